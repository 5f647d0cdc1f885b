"""The studio's password: one for all users, stored as a scrypt hash in `HOME/password` (mode 0600)."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path

from workflows.errors import StorageError, UsageError
from workflows.store.files import atomic_path, read_json

NAME = "password"
SHORTEST = 10
COST, BLOCK, LANES = 2**15, 8, 1
"""scrypt's n, r and p (RFC 7914): 32 MB and some 0.1 s for a guess."""
MEMORY_BYTES = 128 * 1024 * 1024


def is_set(home: Path) -> bool:
    """Return whether a password is set in `home`."""
    return (home / NAME).exists()


def set_password(home: Path, password: str) -> None:
    """Set the password of the studio in `home`.

    Raises:
        UsageError: it is too short or blank.
        StorageError: it can't be written.
    """
    if len(password.strip()) < SHORTEST:
        raise UsageError(
            f"A password needs {SHORTEST} characters or more.", "Several words in a row are easy to remember."
        )
    salt = secrets.token_bytes(16)
    document = {"salt": salt.hex(), "n": COST, "r": BLOCK, "p": LANES, "hash": _hash(password, salt).hex()}
    with atomic_path(home / NAME) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(document, file)


def is_right(home: Path, password: str) -> bool:
    """Return whether `password` is the one that is set. Raises StorageError if the file is damaged."""
    document = read_json(home / NAME)
    try:
        salt, expected = bytes.fromhex(document["salt"]), bytes.fromhex(document["hash"])
        found = _hash(password, salt, document["n"], document["r"], document["p"])
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{home / NAME} is damaged.", "Set it again: fieldguide up --set-password") from error
    return hmac.compare_digest(found, expected)


def _hash(password: str, salt: bytes, n: int = COST, r: int = BLOCK, p: int = LANES) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=MEMORY_BYTES)

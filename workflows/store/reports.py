"""Lists that are too long for a message: stored as text files in the state folder, the newest ones only."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from workflows import environment
from workflows.store.files import storage_errors, write_atomic

KEPT = 50


def keep_list(lines: Iterable[str], home: Path | None = None) -> Path:
    """Write lines to a new file below `home/reports`; return its place. Only the newest files stay there.

    Args:
        home: the state folder; by default the one that the environment names, or the platform's data folder.

    Raises:
        StorageError: the disk is full or can't be written.
    """
    folder = (home or environment.home()) / "reports"
    path = folder / f"{datetime.now():%Y%m%d-%H%M%S-%f}-{secrets.token_hex(3)}.txt"
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(path, "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
        for old in sorted(folder.glob("*.txt"))[:-KEPT]:
            old.unlink(missing_ok=True)
    return path

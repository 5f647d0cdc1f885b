"""Who has given the password: a signed token with an end, which the browser keeps in a cookie that scripts can't read.

Nothing is kept here, so a restart of the web process forgets nobody. Setting another password ends all sessions.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from pathlib import Path

from app.password import NAME as PASSWORD_FILE
from workflows.errors import StorageError
from workflows.store.files import storage_errors

SECONDS = 7 * 24 * 3600
"""How long a browser that gave the password is let in."""


class Sessions:
    """Issues tokens and knows them again."""

    def __init__(self, home: Path, secret: str, port: int) -> None:
        """Keep the sessions of a studio.

        Args:
            home: the state folder, with the password's hash.
            secret: what tokens are signed with.
            port: of the studio; browsers share cookies between the ports of a machine.
        """
        self._home, self._secret = home, secret
        self.cookie = f"fieldguide_{port}"

    def issue(self) -> str:
        """Return a new token. Raises StorageError if the password's file can't be read."""
        body = f"{int(time.time()) + SECONDS}.{secrets.token_urlsafe(12)}"
        return f"{body}.{self._sign(body)}"

    def knows(self, token: str | None) -> bool:
        """Return whether a token is one of ours and still good. Raises StorageError as `issue` does."""
        body, _, signature = (token or "").rpartition(".")
        until, dot, _ = body.partition(".")
        if not dot or not until.isascii() or not until.isdigit() or len(until) > 12 or int(until) <= time.time():
            return False
        return hmac.compare_digest(signature.encode(), self._sign(body).encode())

    def set_cookie(self, token: str, secure: bool) -> str:
        """Return the `Set-Cookie` header that keeps a token, or an empty one, which makes the browser forget."""
        age = SECONDS if token else 0
        end = "; Secure" if secure else ""
        return f"{self.cookie}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{end}"

    def _sign(self, body: str) -> str:
        path = self._home / PASSWORD_FILE
        with storage_errors(path, "read"):
            hashed = path.read_bytes()
        if not self._secret:
            raise StorageError("The studio has no secret to sign sessions with.", "Start it with: fieldguide up")
        key = hashlib.sha256(b"fieldguide session\0" + self._secret.encode() + b"\0" + hashed).digest()
        return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()

"""Sessions of users who gave the password: a signed token that expires, in a cookie that scripts can't read.

Nothing is stored on the server, so a restart of the web process ends no session. Setting another password ends all
sessions; with Starlette's SessionMiddleware it would not, since its key is fixed when the server starts.
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
"""How long a browser stays signed in."""


class Sessions:
    """Issues and verifies tokens."""

    def __init__(self, home: Path, secret: str, port: int) -> None:
        """Create the sessions of a studio.

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

    def is_valid(self, token: str | None) -> bool:
        """Return whether a token was issued here and has not expired. Raises StorageError as `issue` does."""
        body, _, signature = (token or "").rpartition(".")
        until, dot, _ = body.partition(".")
        if not dot or not until.isascii() or not until.isdigit() or len(until) > 12 or int(until) <= time.time():
            return False
        return hmac.compare_digest(signature.encode(), self._sign(body).encode())

    def set_cookie(self, token: str, secure: bool) -> str:
        """Return the `Set-Cookie` header for a token; an empty token deletes the cookie."""
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

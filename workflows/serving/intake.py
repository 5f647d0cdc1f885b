"""What the inference server takes in: nothing without its token, and no more bytes than it has room for.

Bodies are counted while they arrive; what their header says is only used to refuse early.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workflows.serving.limits import MEGABYTE, ServerSettings

OPEN_PATHS = ("/health", "/docs", "/openapi.json")
"""What may be seen without a token: it says nothing about models or images."""


class Intake:
    """Asks for the token, and counts bodies."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app, self._settings = app, settings
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no WebSockets here: closed before they open
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        if self._lacks_token(scope["path"], headers):
            refusal = refuse(
                401,
                "The token is missing or wrong.",
                "Send the header `Authorization: Bearer TOKEN`.",
                {"WWW-Authenticate": "Bearer"},
            )
            await refusal(scope, receive, send)
            return
        body = _Body(self, receive, self._settings.limits.request_bytes)
        try:
            if too_much := self._too_large(headers):
                await body.drain()
                await too_much(scope, receive, send)
                return
            await self._app(scope, body.receive, send)
        finally:
            self._in_flight -= body.size

    def take(self, size: int) -> None:
        """Count bytes of a body that arrived. Raises HTTPException (503) if all bodies together are too many."""
        self._in_flight += size
        if self._in_flight > self._settings.limits.in_flight_bytes:
            seconds = str(self._settings.limits.retry_seconds)
            raise HTTPException(503, "The inference server is receiving too much at once.", {"Retry-After": seconds})

    def _lacks_token(self, path: str, headers: Headers) -> bool:
        if not self._settings.token or path in OPEN_PATHS:
            return False
        scheme, _, given = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self._settings.token.encode())
        return scheme.lower() != "bearer" or not right

    def _too_large(self, headers: Headers) -> JSONResponse | None:
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) <= self._settings.limits.request_bytes:
            return None
        return refuse(413, too_large(self._settings.limits.request_bytes), "Send fewer files at once.")


class _Body:
    """A request's body, counted while it arrives."""

    def __init__(self, intake: Intake, receive: Receive, most: int) -> None:
        self._intake, self._receive, self._most = intake, receive, most
        self.size = 0

    async def receive(self) -> Message:
        message = await self._receive()
        arrived = len(message.get("body", b""))
        self.size += arrived
        self._intake.take(arrived)
        if self.size > self._most:
            raise HTTPException(413, too_large(self._most))
        return message

    async def drain(self) -> None:
        """Read on for a while and forget it: a client that is still sending would not see the answer."""
        drained, more = 0, True
        while more and drained < self._most:
            message = await self._receive()
            drained += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)


def too_large(most: int) -> str:
    """Return what is said of a body of more than `most` bytes."""
    return f"The request is larger than {most / MEGABYTE:.3g} MB."


def refuse(status: int, error: str, hint: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a refusal in the words of this server."""
    return JSONResponse({"error": error, "hint": hint}, status, headers)

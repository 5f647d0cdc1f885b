"""Who may ask, and how much they may send: looked at before anything of a request is believed.

A server on loopback is not out of reach: every web page in a browser on this machine can send it requests. So a
foreign `Host` (DNS rebinding) and a foreign `Origin` (another site's page) are refused, and a token can be asked for.
Bodies are counted while they arrive; what their header says is only used to refuse early.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workflows.serving.limits import MEGABYTE, Settings

OPEN_PATHS = ("/health", "/docs", "/openapi.json")
"""What may be seen without a token: it says nothing about models or images."""

HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
]


class Guard:
    """The ASGI application around the inference server's own."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
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
        if refusal := self._refusal(scope["path"], headers):
            await refusal(scope, receive, _with_headers(send))
            return
        body = _Body(self, receive, self._settings.limits.request_bytes)
        try:
            if refusal := self._too_large(headers):
                await body.drain()
                await refusal(scope, receive, _with_headers(send))
                return
            await self._app(scope, body.receive, _with_headers(send))
        finally:
            self._in_flight -= body.size

    def take(self, size: int) -> None:
        """Count bytes of a body that arrived. Raises HTTPException (503) if all bodies together are too many."""
        self._in_flight += size
        if self._in_flight > self._settings.limits.in_flight_bytes:
            seconds = str(self._settings.limits.retry_seconds)
            raise HTTPException(503, "The inference server is receiving too much at once.", {"Retry-After": seconds})

    def _refusal(self, path: str, headers: Headers) -> JSONResponse | None:
        host = _hostname(f"//{headers.get('host', '')}")
        if self._settings.hosts and host not in self._settings.hosts:
            return _refuse(403, "This server does not answer to that name.", "Use the address that it printed.")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return _refuse(403, "Pages of other sites may not use this server.", "Call it from a program instead.")
        if self._settings.token and path not in OPEN_PATHS:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(given.strip().encode(), self._settings.token.encode())
            if scheme.lower() != "bearer" or not right:
                return _refuse(
                    401,
                    "The token is missing or wrong.",
                    "Send the header `Authorization: Bearer TOKEN`.",
                    {"WWW-Authenticate": "Bearer"},
                )
        return None

    def _too_large(self, headers: Headers) -> JSONResponse | None:
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) <= self._settings.limits.request_bytes:
            return None
        return _refuse(413, too_large(self._settings.limits.request_bytes), "Send fewer files at once.")


class _Body:
    """A request's body, counted while it arrives."""

    def __init__(self, guard: Guard, receive: Receive, most: int) -> None:
        self._guard, self._receive, self._most = guard, receive, most
        self.size = 0

    async def receive(self) -> Message:
        message = await self._receive()
        arrived = len(message.get("body", b""))
        self.size += arrived
        self._guard.take(arrived)
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


def _hostname(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # half an IPv6 address
        return ""


def _refuse(status: int, error: str, hint: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": error, "hint": hint}, status, headers)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *HEADERS]}
        await send(message)

    return sending

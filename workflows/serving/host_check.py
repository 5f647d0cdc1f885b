"""Host and origin check of the studio and the inference server, as ASGI middleware.

A server on loopback is still reachable: every web page in a browser on this machine can send it requests. So a
foreign `Host` (DNS rebinding) and a foreign `Origin` (another site's page) are refused before anything else of a
request is read, and responses get security headers. Starlette's TrustedHostMiddleware checks only the host, and its
message does not say what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Refusal = Literal["host", "origin"]
"""Why a request is refused: a foreign `Host`, or an `Origin` of another site."""


class HostCheck:
    """Refuses requests with a foreign host or origin; adds headers to every response."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Sequence[str],
        headers: Sequence[tuple[bytes, bytes]],
        refuse: Callable[[Refusal], Response],
    ) -> None:
        """Protect `app`.

        Args:
            app: the server's own application.
            hosts: names that a request may address the server by, `*.example.org` for all below; empty means any.
            headers: of every answer, names in lower case; they replace those of the application.
            refuse: makes the answer to what is refused; a WebSocket is closed before it opens.
        """
        self._app, self._hosts, self._headers, self._refuse = app, hosts, headers, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer: ASGIApp = self._app
        if not is_allowed_host(headers, self._hosts):
            answer = self._refuse("host")
        elif is_cross_origin(headers):
            answer = self._refuse("origin")
        if answer is not self._app and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await answer(scope, receive, self._with_headers(send))

    def _with_headers(self, send: Send) -> Send:
        ours = {name for name, _ in self._headers}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [pair for pair in message.get("headers", ()) if pair[0].lower() not in ours]
                message = {**message, "headers": [*others, *self._headers]}
            await send(message)

        return sending


def is_allowed_host(headers: Headers, hosts: Sequence[str]) -> bool:
    """Return whether a request addresses the server by one of its names; any name is allowed if `hosts` is empty."""
    given = headers.getlist("host")
    name = _hostname(given[0]) if len(given) == 1 else ""
    patterns = [host.strip().lower().rstrip(".") for host in hosts]
    matches = (p in ("*", name) or (p.startswith("*.") and name.endswith(p[1:])) for p in patterns)
    return not hosts or (name != "" and any(matches))


def is_cross_origin(headers: Headers) -> bool:
    """Return whether another site's page sends this; programs other than browsers send no origin."""
    origins = headers.getlist("origin")
    if origins == ["null"]:  # a page may hide its origin; the browser still says whether it is ours
        return headers.get("sec-fetch-site") != "same-origin"
    try:
        return any(urlsplit(origin).netloc != headers.get("host") for origin in origins)
    except ValueError:  # an incomplete IPv6 address
        return True


def _hostname(host: str) -> str:
    """Return the name in a `Host` header, in lower case; empty if the header is not just a name and a port."""
    try:
        parts = urlsplit(f"//{host}")
        odd = any((parts.username, parts.password, parts.path, parts.query, parts.fragment))
        _ = parts.port  # read, because only then it is checked
    except ValueError:  # an incomplete IPv6 address, or an invalid port
        return ""
    return "" if odd else (parts.hostname or "").rstrip(".")

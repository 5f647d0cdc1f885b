"""What the inference server counts of its requests."""

from __future__ import annotations

import math
import time
from collections import deque
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

RECENT = 1000
"""Requests that the latency is measured over."""


class Traffic:
    """Counts requests, errors and latencies on their way to `app`; asking for the counts themselves is not counted."""

    def __init__(self, app: ASGIApp, uncounted: tuple[str, ...]) -> None:
        """Stand before `app`; requests for paths in `uncounted` only pass."""
        self._app, self._uncounted = app, uncounted
        self._seconds: deque[float] = deque(maxlen=RECENT)
        self.started_at = datetime.now(UTC)
        self.requests = 0
        """Answered since the start."""
        self.errors = 0
        """Of these, with status 400 or above, or not answered because the server failed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it once it is answered."""
        if scope["type"] != "http" or scope["path"] in self._uncounted:
            await self._app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self.requests += 1
            self.errors += status >= 400
            self._seconds.append(time.perf_counter() - started)

    @property
    def p95_seconds(self) -> float | None:
        """The latency that 95 % of the recent requests stayed within (nearest rank); None before there is one."""
        ordered = sorted(self._seconds)
        return ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else None

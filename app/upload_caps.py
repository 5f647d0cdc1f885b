"""A bound for all that Streamlit's own upload fields hold in memory, of all sessions together.

Streamlit bounds each file (`server.maxUploadSize`) and keeps it in memory until its session ends; it has no bound for
the sum. Here a file is refused before its body is read, if it would go beyond.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from workflows.errors import UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/_stcore/upload_file/"
TOTAL_VARIABLE = "FIELDGUIDE_MAX_UPLOADS_MB"
TOTAL_MB = 1_500
MEGABYTE = 1024**2
DROPPED_VARIABLE = "FIELDGUIDE_MAX_DROPPED_GB"
DROPPED_GB = 24
"""For what goes to disk instead, see :mod:`app.client.uploads`: all batches together."""


class UploadCaps:
    """Refuses uploads that the memory set aside for them can't hold."""

    def __init__(self, app: ASGIApp, held: Callable[[], int] | None = None) -> None:
        """Stand before `app`; `held` tells how many bytes the sessions hold, by default Streamlit's."""
        self._app, self._held = app, held or held_by_sessions
        self._most = megabytes(TOTAL_VARIABLE, TOTAL_MB) * MEGABYTE
        self._coming = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "PUT" or not scope["path"].startswith(PATH):
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            await PlainTextResponse("The browser did not say how large the file is.\n", 411)(scope, receive, send)
            return
        size = int(length)
        if self._held() + self._coming + size > self._most:
            why = f"All uploads together may hold {self._most // MEGABYTE:,} MB of memory, and that is used up. Close "
            why += f"other windows of the studio, import from a folder, or raise {TOTAL_VARIABLE}.\n"
            await PlainTextResponse(why, 413)(scope, receive, send)
            return
        self._coming += size  # no lock: all requests share one thread
        try:
            await self._app(scope, receive, send)
        finally:
            self._coming -= size


def megabytes(variable: str, default: int) -> int:
    """Return what an environment variable allows, in MB. Raises UsageError if it is no whole number above 0."""
    return _whole_number(variable, default, "MB")


def dropped_bytes() -> int:
    """Return how much all that was dropped may take on disk. Raises UsageError if the setting is no number above 0."""
    return _whole_number(DROPPED_VARIABLE, DROPPED_GB, "GB") * 1024**3


def _whole_number(variable: str, default: int, unit: str) -> int:
    given = os.environ.get(variable, str(default)).strip()
    if not (given.isascii() and given.isdigit() and int(given)):
        raise UsageError(
            f"{variable} must be a whole number of {unit} above 0, not {given!r}.", f"The default: {default}"
        )
    return int(given)


def held_by_sessions() -> int:
    """Return how many bytes of uploads Streamlit holds in memory."""
    from streamlit.runtime import Runtime
    from streamlit.runtime.stats import CacheStat

    if not Runtime.exists():
        return 0
    families = Runtime.instance().uploaded_file_mgr.get_stats().values()
    return sum(stat.byte_length for stats in families for stat in stats if isinstance(stat, CacheStat))

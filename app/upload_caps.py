"""A limit for everything that Streamlit's own upload fields hold in memory, over all sessions.

Streamlit limits each file (`server.maxUploadSize`) and holds it in memory until its session ends; it has no limit for
the sum. Here a file that would exceed it is refused before its body is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from workflows.errors import UsageError
from workflows.serving.limits import MEGABYTE
from workflows.settings import MAX_DROPPED_GB, MAX_UPLOADS_MB, Setting

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/_stcore/upload_file/"


class UploadCaps:
    """Refuses uploads beyond the memory reserved for them."""

    def __init__(self, app: ASGIApp, held: Callable[[], int] | None = None) -> None:
        """Wrap `app`; `held` returns how many bytes the sessions hold, by default Streamlit's."""
        self._app, self._held = app, held or held_by_sessions
        self._most = megabytes(MAX_UPLOADS_MB) * MEGABYTE
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
            why = f"All uploads together may use {self._most // MEGABYTE:,} MB of memory, which is used up. Close "
            why += f"other windows of the studio, import from a folder, or raise {MAX_UPLOADS_MB.variable}.\n"
            await PlainTextResponse(why, 413)(scope, receive, send)
            return
        self._coming += size  # no lock: all requests share one thread
        try:
            await self._app(scope, receive, send)
        finally:
            self._coming -= size


def megabytes(setting: Setting) -> int:
    """Return the value of a setting, in MB. Raises UsageError if it is no whole number above 0."""
    return _whole_number(setting, "MB")


def dropped_bytes() -> int:
    """Return how many bytes all batches of uploads together may take on disk; see :mod:`app.client.uploads`.

    Raises:
        UsageError: the setting is no whole number above 0.
    """
    return _whole_number(MAX_DROPPED_GB, "GB") * 1024**3


def _whole_number(setting: Setting, unit: str) -> int:
    read = setting.read()
    given = (setting.default if read is None else read).strip()
    if not (given.isascii() and given.isdigit() and int(given)):
        raise UsageError(
            f"{setting.variable} must be a whole number of {unit} above 0, not {given!r}.",
            f"The default: {setting.default}",
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

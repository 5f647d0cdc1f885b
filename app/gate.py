"""The gate before the studio where a password is set: who has not given it reaches nothing behind, not even Streamlit.

`POST /fieldguide/login` takes the password and answers with a cookie (see :mod:`app.sessions`); every other request,
WebSockets included, needs that cookie. Wrong passwords are counted (:mod:`app.guesses`) and stand in `logs/door.log`.
"""

from __future__ import annotations

import logging
import threading
from html import escape
from ipaddress import ip_address
from logging.handlers import RotatingFileHandler
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from app.guesses import Guesses
from app.oidc import is_configured
from app.password import is_right, is_set
from app.sessions import Sessions
from workflows.errors import FieldguideError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOGIN, LOGOUT = "/fieldguide/login", "/fieldguide/logout"
HEALTH = "/_stcore/health"
"""Says "ok" and nothing else; the supervisor asks for it."""
MOST_BYTES = 16 * 1024
PAGE = Path(__file__).with_name("components") / "login.html"


class Gate:
    """Lets requests through that bear a session, and asks for the password otherwise."""

    def __init__(self, app: ASGIApp, home: Path, sessions: Sessions, guesses: Guesses | None = None) -> None:
        """Stand before `app`. `home` holds the password, if there is one, and the log of wrong ones."""
        self._app, self._home, self._sessions = app, home, sessions
        self._guesses, self._one_at_a_time = guesses or Guesses(), threading.Lock()
        self._by_provider = is_configured(home)
        self._log = door_log(home)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] not in ("http", "websocket") or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
            return
        if self._by_provider or not is_set(self._home):  # asked anew each time: it may be set while the studio is up
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http" and scope["path"] in (LOGIN, LOGOUT):
            answer = await self._door(Request(scope, receive))
            await answer(scope, receive, send)
        elif self._sessions.knows(HTTPConnection(scope).cookies.get(self._sessions.cookie)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._ask(Request(scope, receive))(scope, receive, send)

    def _ask(self, request: Request) -> Response:
        """Return the page with the field for the password; programs get words."""
        if request.method not in ("GET", "HEAD") or "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse("Sign in first, in a browser.\n", 401)
        here = _inside(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
        if request.headers.get("sec-fetch-site") == "cross-site":
            # a strict cookie does not come along with a link in a mail; from this page it does
            return HTMLResponse(f'<meta http-equiv="refresh" content="0; url={escape(here)}">', 200, _UNKEPT)
        return page(here, status=401)

    async def _door(self, request: Request) -> Response:
        if request.url.path == LOGOUT:
            answer = RedirectResponse("/", 303)
            if request.headers.get("sec-fetch-site") != "cross-site":
                answer.headers["set-cookie"] = self._sessions.set_cookie("", request.url.scheme == "https")
            return answer
        if request.method != "POST":
            return RedirectResponse("/", 303)
        if _is_foreign(request):
            return PlainTextResponse("Only the studio's own page may sign in.\n", 403)
        form = await _form(request)
        if form is None:
            return PlainTextResponse("This is no password.\n", 413)
        to = _inside(form.get("to", ""))
        return await run_in_threadpool(self._try, request, form.get("password", ""), to)

    def _try(self, request: Request, password: str, to: str) -> Response:
        address = request.client.host if request.client else ""
        wait = self._guesses.begin(address)
        if wait:
            self._log.warning("%s must wait %d s", _shown(address), ceil(wait))
            answer = page(to, f"Too many wrong passwords. Try again in {_words(wait)}.", 429)
            answer.headers["retry-after"] = str(ceil(wait))
            return answer
        try:
            with self._one_at_a_time:  # each takes memory and time
                right = is_right(self._home, password)
            token = self._sessions.issue() if right else ""
        except FieldguideError as error:
            self._log.error("%s", error.message)
            return page(to, str(error), 500)
        if not right:
            self._log.warning("%s: wrong password (%d)", _shown(address), self._guesses.failures(address))
            return page(to, "That is not the password.", 401)
        self._guesses.right(address)
        self._log.info("%s came in", _shown(address))
        answer = RedirectResponse(to, 303, _UNKEPT)
        answer.headers["set-cookie"] = self._sessions.set_cookie(token, request.url.scheme == "https")
        return answer


_UNKEPT = {"cache-control": "no-store"}


def page(to: str, trouble: str = "", status: int = 200) -> Response:
    """Return the page that asks for the password.

    Args:
        to: the address in the studio to go on to.
        trouble: what was wrong with the last try.
        status: HTTP's.
    """
    content = PAGE.read_text(encoding="utf-8")
    content = content.replace("{{action}}", LOGIN).replace("{{trouble}}", escape(trouble))
    return HTMLResponse(content.replace("{{to}}", escape(to)), status, _UNKEPT)


def door_log(home: Path) -> logging.Logger:
    """Return the log of who came in and who did not; `home/logs/door.log`, which only its owner can read."""
    path = home / "logs" / "door.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    log = logging.getLogger(f"fieldguide.door.{home}")
    if not log.handlers:
        handler = RotatingFileHandler(path, maxBytes=1_000_000, backupCount=2, encoding="utf-8", delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    return log


async def _form(request: Request) -> dict[str, str] | None:
    """Return the fields that were sent, None if it is no form, or too much."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return None
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=4)
    except (ClientDisconnect, UnicodeDecodeError, ValueError):
        return None
    return {name: values[0] for name, values in fields.items()}


def _is_foreign(request: Request) -> bool:
    """Return whether somebody else's page sends this form."""
    origin = request.headers.get("origin")
    if origin not in (None, "null"):
        return urlsplit(origin).netloc != request.headers.get("host")
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def _inside(to: str) -> str:
    """Return an address if it leads to this studio, else its start."""
    plain = to.startswith("/") and not to.startswith("//") and "\\" not in to and to.isprintable()
    return to if plain and urlsplit(to).path not in (LOGIN, LOGOUT) else "/"


def _shown(address: str) -> str:
    """Return an address as it may stand in a log: a proxy's client can claim any text to be his."""
    try:
        return str(ip_address(address))
    except ValueError:
        return "somebody"


def _words(seconds: float) -> str:
    whole = ceil(seconds)
    return f"{whole} second{'s' if whole != 1 else ''}" if whole < 90 else f"{ceil(whole / 60)} minutes"

"""Login with the studio's password, as ASGI middleware: without a session a request reaches nothing, not even Streamlit.

`POST /fieldguide/login` takes the password and answers with a cookie (see :mod:`app.sessions`); every other request,
WebSockets included, needs that cookie. Wrong passwords are rate-limited (:mod:`app.login_rate_limiter`) and
logged in `logs/login.log`.
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

from app.login_rate_limiter import LoginRateLimiter
from app.oidc import is_configured
from app.password import is_right, is_set
from app.sessions import Sessions
from app.supervisor import HEALTH
from workflows.errors import FieldguideError
from workflows.palette import PALETTES
from workflows.serving.host_check import is_cross_origin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOGIN, LOGOUT = "/fieldguide/login", "/fieldguide/logout"
MAX_FORM_BYTES = 16 * 1024
PAGE = Path(__file__).with_name("components") / "login.html"


class PasswordLogin:
    """Passes on requests that have a session, and answers all others with the login page."""

    def __init__(self, app: ASGIApp, home: Path, sessions: Sessions, limiter: LoginRateLimiter | None = None) -> None:
        """Protect `app`. `home` contains the password's hash, if one is set, and the log of logins."""
        self._app, self._home, self._sessions = app, home, sessions
        self._limiter, self._one_at_a_time = limiter or LoginRateLimiter(), threading.Lock()
        self._by_provider = is_configured(home)
        self._log = login_log(home)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] not in ("http", "websocket") or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
            return
        if self._by_provider or not is_set(self._home):  # read each time: it may be set while the studio runs
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http" and scope["path"] in (LOGIN, LOGOUT):
            answer = await self._login_or_logout(Request(scope, receive))
            await answer(scope, receive, send)
        elif self._sessions.is_valid(HTTPConnection(scope).cookies.get(self._sessions.cookie)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._login_required(Request(scope, receive))(scope, receive, send)

    def _login_required(self, request: Request) -> Response:
        """Return the login page; for programs, plain text."""
        if request.method not in ("GET", "HEAD") or "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse("Sign in first, in a browser.\n", 401)
        here = _local_path(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
        if request.headers.get("sec-fetch-site") == "cross-site":
            # a strict cookie does not come along with a link in a mail; from this page it does
            return HTMLResponse(f'<meta http-equiv="refresh" content="0; url={escape(here)}">', 200, _NO_STORE)
        return login_page(here, status=401)

    async def _login_or_logout(self, request: Request) -> Response:
        if request.url.path == LOGOUT:
            answer = RedirectResponse("/", 303)
            if request.headers.get("sec-fetch-site") != "cross-site":
                answer.headers["set-cookie"] = self._sessions.set_cookie("", request.url.scheme == "https")
            return answer
        if request.method != "POST":
            return RedirectResponse("/", 303)
        if _is_cross_site(request):
            return PlainTextResponse("Only the studio's own page may sign in.\n", 403)
        form = await _form(request)
        if form is None:
            return PlainTextResponse("This is no password.\n", 413)
        to = _local_path(form.get("to", ""))
        return await run_in_threadpool(self._check_password, request, form.get("password", ""), to)

    def _check_password(self, request: Request, password: str, to: str) -> Response:
        address = request.client.host if request.client else ""
        wait = self._limiter.begin(address)
        if wait:
            self._log.warning("%s must wait %d s", _shown(address), ceil(wait))
            answer = login_page(to, f"Too many wrong passwords. Try again in {_words(wait)}.", 429)
            answer.headers["retry-after"] = str(ceil(wait))
            return answer
        try:
            with self._one_at_a_time:  # each takes memory and time
                right = is_right(self._home, password)
            token = self._sessions.issue() if right else ""
        except FieldguideError as error:
            self._log.error("%s", error.message)
            return login_page(to, str(error), 500)
        if not right:
            self._log.warning("%s: wrong password (%d)", _shown(address), self._limiter.failures(address))
            return login_page(to, "That is not the password.", 401)
        self._limiter.succeeded(address)
        self._log.info("%s logged in", _shown(address))
        answer = RedirectResponse(to, 303, _NO_STORE)
        answer.headers["set-cookie"] = self._sessions.set_cookie(token, request.url.scheme == "https")
        return answer


_NO_STORE = {"cache-control": "no-store"}


def login_page(to: str, error: str = "", status: int = 200) -> Response:
    """Return the login page.

    Args:
        to: the path in the studio to open after the login.
        error: why the last attempt was rejected.
        status: the HTTP status code.
    """
    content = PAGE.read_text(encoding="utf-8")
    for mode, palette in PALETTES.items():
        content = content.replace(f"{{{{{mode}}}}}", palette.blue)
    content = content.replace("{{action}}", LOGIN).replace("{{error}}", escape(error))
    return HTMLResponse(content.replace("{{to}}", escape(to)), status, _NO_STORE)


def login_log(home: Path) -> logging.Logger:
    """Return the log of logins and rejected passwords: `home/logs/login.log`, which only its owner can read."""
    path = home / "logs" / "login.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    log = logging.getLogger(f"fieldguide.login.{home}")
    if not log.handlers:
        handler = RotatingFileHandler(path, maxBytes=1_000_000, backupCount=2, encoding="utf-8", delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    return log


async def _form(request: Request) -> dict[str, str] | None:
    """Return the fields of the form, None if the body is not a form or too large."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                return None
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=4)
    except (ClientDisconnect, UnicodeDecodeError, ValueError):
        return None
    return {name: values[0] for name, values in fields.items()}


def _is_cross_site(request: Request) -> bool:
    """Return whether another site's page sends this form."""
    cross_site = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    return cross_site or is_cross_origin(request.headers)


def _local_path(to: str) -> str:
    """Return a path if it stays in this studio, else `/`."""
    plain = to.startswith("/") and not to.startswith("//") and "\\" not in to and to.isprintable()
    return to if plain and urlsplit(to).path not in (LOGIN, LOGOUT) else "/"


def _shown(address: str) -> str:
    """Return an address that is safe to log: behind a proxy, a client can send any text as its address."""
    try:
        return str(ip_address(address))
    except ValueError:
        return "unknown address"


def _words(seconds: float) -> str:
    whole = ceil(seconds)
    return f"{whole} second{'s' if whole != 1 else ''}" if whole < 90 else f"{ceil(whole / 60)} minutes"

"""The studio's web process: Streamlit on an inherited socket, with doors that Streamlit leaves open shut.

Started by the supervisor as `python -m app.web_server DESCRIPTOR STUDIO`; its settings come in the environment (see
`settings`). The socket belongs to the supervisor: while this process is started anew, browsers wait instead of failing.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import workflows  # noqa: F401 - first: it sets the switches that Streamlit reads when it is imported
from app.upload_caps import TOTAL_MB, TOTAL_VARIABLE, UploadCaps, dropped_bytes, megabytes
from flows.leash import Mark, follow
from workflows import environment

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPTIONS_VARIABLE = "FIELDGUIDE_WEB_OPTIONS"
UPLOAD_VARIABLE = "FIELDGUIDE_MAX_UPLOAD_MB"
UPLOAD_MB = 500
"""Streamlit holds in memory what comes through its own fields, so this bounds a file; see also :mod:`app.upload_caps`.
What is dropped into a data set goes to disk instead, see :mod:`app.upload_door`."""

# Everything comes from this server: no script, font, picture or connection of anybody else. Charts need `unsafe-eval`
# (Vega compiles its expressions), Streamlit's own page the inline parts.
POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    ]
)
HEADERS = (
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


def settings(home: Path, host: str, port: int, hosts: tuple[str, ...], cookie_secret: str) -> dict[str, str]:
    """Return the environment of the web process.

    Args:
        home: the state folder; `secrets.toml` in it may configure a login by OIDC.
        host: the address that the server listens on.
        port: its port.
        hosts: names under which browsers may ask for it; against rebinding of DNS names.
        cookie_secret: what login cookies are signed with; kept, so that a restart forgets nobody.

    Raises:
        UsageError: a bound for uploads is no number.
    """
    dropped_bytes()  # read again where it is needed
    on_loopback = host in ("127.0.0.1", "::1", "localhost")
    options = {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.allowedHosts": list(hosts),
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.cookieSecret": cookie_secret,
        "server.maxUploadSize": min(megabytes(UPLOAD_VARIABLE, UPLOAD_MB), megabytes(TOTAL_VARIABLE, TOTAL_MB)),
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.enableAgentApi": False,
        "server.enableStaticServing": False,
        "server.showEmailPrompt": False,
        "browser.gatherUsageStats": False,
        "browser.serverPort": port,
        "client.allowedOrigins": [],
        "client.toolbarMode": "minimal",
        # a traceback helps the person at this machine, and nobody else
        "client.showErrorDetails": "full" if on_loopback else "none",
        "client.showErrorLinks": False,
        "runner.magicEnabled": False,
        "logger.level": "warning",
        # not theme.primaryColor: that would take away the choice between light and dark
        "theme.light.primaryColor": "#0072b2",
        "theme.dark.primaryColor": "#56b4e9",
        "secrets.files": [str(home / "secrets.toml")],
    }
    return {OPTIONS_VARIABLE: json.dumps(options)}


class Guard:
    """Refuses requests under foreign names; adds to answers what keeps a browser from being used against the studio."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

        if scope["type"] == "websocket" and not _same_origin(scope):
            # Streamlit would refuse it, too, but not before it has asked a stranger for this machine's address
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http" and not is_host_allowed(_header(scope, b"host")):
            # Streamlit itself asks only when a WebSocket is opened
            await send({"type": "http.response.start", "status": 400, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"This name is not mine. FIELDGUIDE_HOSTS can add it.\n"})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in HEADERS}
                others = [pair for pair in message.get("headers", ()) if pair[0].lower() not in own]
                message = {**message, "headers": [*others, *HEADERS]}
            await send(message)

        await self._app(scope, receive, send_guarded)


def _same_origin(scope: Scope) -> bool:
    """Return whether a WebSocket is opened by a page of ours, or by a program that is no browser."""
    origin = _header(scope, b"origin")
    return origin is None or urlsplit(origin).netloc == _header(scope, b"host")


def _header(scope: Scope, wanted: bytes) -> str | None:
    found = [value for name, value in scope["headers"] if name == wanted]
    return found[0].decode("latin-1") if len(found) == 1 else None


def main() -> None:
    """Serve until SIGTERM, or until the studio is gone."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    follow(Mark.parse(sys.argv[2]))

    import uvicorn
    from starlette.middleware import Middleware
    from streamlit.starlette import App
    from streamlit.web.bootstrap import load_config_options

    from app.client import client
    from app.gate import Gate
    from app.sessions import Sessions
    from app.upload_door import upload_routes

    Thread(target=client().uploads.sweep, name="sweep uploads", daemon=True).start()
    options = json.loads(os.environ.pop(OPTIONS_VARIABLE))
    load_config_options(options)
    home = environment.home()
    sessions = Sessions(home, options["server.cookieSecret"], options["server.port"])
    layers = [Middleware(Guard), Middleware(Gate, home, sessions), Middleware(UploadCaps)]
    app = App(Path(__file__).with_name("main.py"), routes=upload_routes(), middleware=layers)
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        ws_max_size=64 * 1024 * 1024,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

"""The studio's web process: Streamlit on an inherited socket, with the checks that Streamlit lacks.

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

from starlette.responses import PlainTextResponse

import workflows  # noqa: F401 - first: it sets the switches that Streamlit reads when it is imported
from app.upload_caps import UploadCaps, dropped_bytes, megabytes
from flows.process_identity import ProcessIdentity, exit_with
from workflows import environment
from workflows.palette import PALETTES
from workflows.serving.host_check import HostCheck, Refusal
from workflows.serving.listening import is_loopback
from workflows.settings import HOSTS, MAX_UPLOAD_MB, MAX_UPLOADS_MB, WEB_OPTIONS

# Streamlit holds in memory what comes through its own fields, so a file is bounded; see also `app.upload_caps`. What is
# dropped into a data set goes to disk instead, see `app.upload_endpoint`.

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
    on_loopback = is_loopback(host)
    options = {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.allowedHosts": list(hosts),
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.cookieSecret": cookie_secret,
        "server.maxUploadSize": min(megabytes(MAX_UPLOAD_MB), megabytes(MAX_UPLOADS_MB)),
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
        "theme.light.primaryColor": PALETTES["light"].blue,
        "theme.dark.primaryColor": PALETTES["dark"].blue,
        "secrets.files": [str(home / "secrets.toml")],
    }
    return {WEB_OPTIONS.variable: json.dumps(options)}


def refusal(why: Refusal) -> PlainTextResponse:
    """Return what is said to a request under a foreign name, or from another site's page."""
    if why == "host":
        return PlainTextResponse(f"This name is not mine. {HOSTS.variable} can add it.\n", 400)
    return PlainTextResponse("Pages of other sites may not use the studio.\n", 403)


def main() -> None:
    """Serve until SIGTERM, or until the studio is gone."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    exit_with(ProcessIdentity.parse(sys.argv[2]))

    import uvicorn
    from starlette.middleware import Middleware
    from streamlit.starlette import App
    from streamlit.web.bootstrap import load_config_options

    from app.client import client
    from app.password_login import PasswordLogin
    from app.sessions import Sessions
    from app.upload_endpoint import upload_routes

    Thread(target=client().uploads.sweep, name="sweep uploads", daemon=True).start()
    options = json.loads(os.environ.pop(WEB_OPTIONS.variable))
    load_config_options(options)
    home = environment.home()
    sessions = Sessions(home, options["server.cookieSecret"], options["server.port"])
    # before Streamlit, which checks the origin only of WebSockets, and asks another server for this machine's address
    host_check = Middleware(HostCheck, options["server.allowedHosts"], HEADERS, refusal)
    layers = [host_check, Middleware(PasswordLogin, home, sessions), Middleware(UploadCaps)]
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

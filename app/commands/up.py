"""`fieldguide up`: the studio in the browser, with everything behind it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated

import typer

from app.options import PANEL, AsJson, example
from app.output import Output
from workflows import settings

if TYPE_CHECKING:
    from pathlib import Path

    from app.studio import Studio

PORT = 8501
POLL_SECONDS = 0.25


def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes any free port.")] = PORT,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Other machines' access needs a login.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    set_password: Annotated[
        bool,
        typer.Option(
            "--set-password",
            help=f"Only set the studio's password, from the terminal, ${settings.PASSWORD.variable} or a pipe.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Open the studio in the browser, and run its processes until Ctrl-C."""
    out = Output(as_json)
    from workflows import environment

    home = environment.home()
    if set_password:
        _set_password(out, home)
        return
    from app.studio import ListenAddress, Studio
    from workflows.store.store import Store

    Store()  # creates and migrates the database before any process opens it
    studio = Studio(home, ListenAddress(host, port), lambda text: _log(out, home, text))
    stop = _stop_event()
    out.note(f"Starting the studio; its logs are in {home / 'logs'}.")
    try:
        _serve(out, studio, stop, browser and sys.stderr.isatty())
    finally:
        out.note("Stopping the studio; running trainings stop at their next batch and can be resumed.")
        studio.supervisor.stop()
        studio.close()


def _stop_event() -> threading.Event:
    """Return an event set by Ctrl-C, SIGTERM or the end of the terminal; a second Ctrl-C ends the process at once."""
    stop = threading.Event()

    def receive(number: int, frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            os._exit(130)  # the children watch this process and end with it
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, receive)
    return stop


def _serve(out: Output, studio: Studio, stop: threading.Event, browser: bool) -> None:
    """Keep the studio running; report when the page can be opened, and when everything is up."""
    pages = next(child for child in studio.supervisor.children if child.part.name == "web")
    announced_pages = announced_all = False
    while not stop.is_set():
        studio.supervisor.check()
        if not announced_pages and pages.was_ready:
            announced_pages = True
            out.answer(
                {"url": studio.file.url, "pid": os.getpid(), "home": str(studio.home)},
                f"The studio is at {studio.file.url}   (Ctrl-C stops it)",
            )
            if browser:
                _open(studio.file.url)
        if not announced_all and studio.supervisor.is_up():
            announced_all = True
            out.note("Everything is up.")
        stop.wait(POLL_SECONDS)


def _open(url: str) -> None:
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _log(out: Output, home: Path, text: str) -> None:
    """Write an event to the log; print it, too, if it is unusual."""
    path = home / "logs" / "studio.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
    if " ended " in text or "again" in text:
        out.note(text)


def _set_password(out: Output, home: Path) -> None:
    """Read a password from the terminal, the environment or a pipe, and store its hash."""
    from app.password import set_password

    given = settings.PASSWORD.read()
    if given is None:
        given = (
            typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True) if _typed() else _piped()
        )
    set_password(home, given)
    out.answer({"password": "set", "home": str(home)}, "The password is set; the studio requires it from now on.")


def _typed() -> bool:
    return sys.stdin.isatty()


def _piped() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog=example("fieldguide up", "fieldguide up --port 8600 --no-browser"), rich_help_panel=PANEL)(up)

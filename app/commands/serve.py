"""A model behind an HTTP address, for your own programs: `fieldguide serve`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.options import PANEL, AsJson, ClassifierArgument, Device, example
from app.output import Output
from app.words import table
from workflows.errors import UsageError

if TYPE_CHECKING:
    from app.client.serving import Health

PORT = 8000
HOST = "127.0.0.1"


def serve(
    run: ClassifierArgument = "latest",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help=f"Where to listen; 0 takes any free port. Default {PORT}.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help=f"Address to listen on. Default {HOST}. Other machines' access needs --token-file, or --studio."
        ),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token that every request must carry (16 characters or more).")
    ] = None,
    device: Device = "auto",
    listed: Annotated[bool, typer.Option("--list", help="Only list what the studio serves.")] = False,
    studio: Annotated[
        bool, typer.Option("--studio", help="Have the studio serve the model, with a token, until --stop.")
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop the studio serving the model, and revoke its token.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Answer HTTP requests with a run's classifier until Ctrl-C: predictions, explanations, similar images."""
    out = Output(as_json)
    if listed or studio or stop:
        chosen = token_file is not None or device != "auto" or ((port is not None or host is not None) and not studio)
        if chosen or (studio and stop):
            raise UsageError(
                "The studio chooses token and device of the models that it serves.",
                "Give one of --list, --studio and --stop, and with --studio at most --host and --port.",
            )
        _studio(out, run, (host or HOST, port or None), studio, stop)
        return
    from workflows.serving.limits import ServerSettings
    from workflows.serving.listening import is_loopback, open_socket, read_token
    from workflows.serving.naming import is_model, run_resolver
    from workflows.store.store import Store

    host = host or HOST
    loopback = is_loopback(host)
    token = read_token(token_file) if token_file else ""
    if not loopback and not token:
        raise UsageError(
            f"On {host} everyone on the network could use the model.",
            "Create a token and pass it: openssl rand -hex 32 > token.txt, then --token-file token.txt. "
            "The connection is not encrypted: put a reverse proxy with TLS before it.",
        )
    store = Store()
    run_id = run_resolver(store)(run)
    listener = open_socket(host, PORT if port is None else port)
    # beyond loopback the server's host names are unknown here; the token protects it instead
    hosts = ServerSettings.hosts if loopback else ()
    # a model's name stays a name: a new champion answers as soon as it is promoted
    served = run if is_model(store, run) else run_id
    settings = ServerSettings(run=served, pinned=True, token=token, hosts=hosts, device=device)

    def ready(address: str) -> None:
        needs = " Requests need the token." if token else ""
        out.answer(
            {
                "run_id": run_id,
                "serves": served,
                "address": address,
                "docs": f"{address}/docs",
                "needs_token": bool(token),
            },
            f"Serving {served} at {address}.{needs} API documentation: {address}/docs. Ctrl-C ends it.",
        )

    from workflows.inference.model import load_card  # from here on PyTorch
    from workflows.serving.server import serve as serve_models

    load_card(store.run_folder(run_id).model)
    serve_models(store, settings, listener, ready)


def _studio(out: Output, model: str, where: tuple[str, int | None], start: bool, stop: bool) -> None:
    """Have the studio serve a model, or end that; then list what it serves."""
    from app.client.serving import Serving
    from app.served import served_states, start_serving, stop_serving, token_file
    from workflows.store.store import Store

    store = Store()
    if start:
        host, port = where
        start_serving(store, model, port, host)
    if stop:
        stop_serving(store, model)
    states = served_states(store.home)
    reports = [Serving(store).health(state.served) if state.is_running else None for state in states]
    rows = [
        [
            state.served.model,
            ", ".join([state.served.address, *state.served.addresses]),
            state.state,
            *_counted(health),
            token_file(store.home, state.served.model),
        ]
        for state, health in zip(states, reports, strict=True)
    ]
    document = [
        {
            **asdict(state.served),
            "address": state.served.address,
            "addresses": state.served.addresses,
            "docs": f"{state.served.address}/docs",
            "token_file": token_file(store.home, state.served.model),
            "state": state.state,
            "trouble": state.trouble,
            "health": health,
        }
        for state, health in zip(states, reports, strict=True)
    ]
    shown = table(["model", "address", "state", "#requests", "#errors", "#95 % within", "token"], rows)
    troubles = [f"{state.served.model}: {state.trouble}" for state in states if state.trouble]
    out.answer(document, shown if states else "The studio serves no model.", *troubles)


def _counted(health: Health | None) -> list[int | str | None]:
    """Return requests, errors and latency for the table."""
    if health is None:
        return [None, None, None]
    p95 = None if health.p95_seconds is None else f"{1000 * health.p95_seconds:.0f} ms"
    return [health.requests, health.errors, p95]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=example(
            "fieldguide serve latest",
            "fieldguide serve birds",
            "fieldguide serve birds --studio",
            "fieldguide serve birds --studio --host 0.0.0.0",
            "fieldguide serve --list",
            "curl -F files=@photo.jpg http://127.0.0.1:8000/predict",
        ),
        rich_help_panel=PANEL,
    )(serve)

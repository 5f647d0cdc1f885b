"""The model behind an HTTP address, for a person's own programs: `fieldguide serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.options import AsJson, ClassifierArgument, Device, example
from app.output import Output
from workflows.errors import UsageError

PANEL = "The job"
PORT = 8000


def serve(
    run: ClassifierArgument = "latest",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 takes any free port.")] = PORT,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Beyond this machine only together with --token-file.")
    ] = "127.0.0.1",
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token that every request must carry (16 letters or more).")
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Answer HTTP requests with a run's classifier until Ctrl-C: predictions, explanations, similar images."""
    out = Output(as_json)
    from workflows.serving.door import is_loopback, open_socket, read_token
    from workflows.serving.limits import Settings
    from workflows.serving.naming import is_model, run_resolver
    from workflows.store.store import Store

    loopback = is_loopback(host)
    token = read_token(token_file) if token_file else ""
    if not loopback and not token:
        raise UsageError(
            f"On {host} everybody on the network could use the model.",
            "Make a token and give it: openssl rand -hex 32 > token.txt, then --token-file token.txt. "
            "The connection is not encrypted: put a reverse proxy with TLS before it.",
        )
    store = Store()
    run_id = run_resolver(store)(run)
    listener = open_socket(host, port)
    # beyond loopback the server goes by names that only the network knows; there the token keeps strangers out
    hosts = Settings.hosts if loopback else ()
    # a model's name stays one: whoever becomes its champion answers from then on
    served = run if is_model(store, run) else run_id
    settings = Settings(run=served, pinned=True, token=token, hosts=hosts, device=device)

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
            f"Serving {served} at {address}.{needs} How to ask: {address}/docs. Ctrl-C ends it.",
        )

    from workflows.inference.model import load_card  # from here on PyTorch
    from workflows.serving.server import serve as serve_models

    load_card(store.run_folder(run_id) / "model")
    serve_models(store, settings, listener, ready)


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=example(
            "fieldguide serve latest",
            "fieldguide serve birds",
            "curl -F files=@photo.jpg http://127.0.0.1:8000/predict",
        ),
        rich_help_panel=PANEL,
    )(serve)

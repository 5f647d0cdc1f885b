"""`fieldguide watch ...`: folders whose new photos are imported automatically."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.schedule import studio_is_up
from app.options import AsJson, FilenameColumn, LabelColumn, example
from app.output import Output
from app.request_options import seconds_of
from app.words import table
from workflows.errors import error_of

commands = typer.Typer(help="Watch folders: new photos in them are imported automatically.", no_args_is_help=True)

WatchArgument = Annotated[
    str, typer.Argument(metavar="WATCH", help="A watched folder's id, or a data set that has only one.")
]


@commands.command(
    epilog=example(
        "fieldguide watch add birds /photos/sorted",
        "fieldguide watch add birds /photos/new --unlabelled --every 5m",
        "fieldguide watch add birds /photos/camera --labels /photos/labels.csv",
    )
)
def add(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The data set; a new name makes a new one.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="With a sub-folder for each class, unless …")],
    labels: Annotated[
        Path | None, typer.Option(help="… this label file (CSV: filename, label) names them, or …")
    ] = None,
    filename_column: FilenameColumn = None,
    label_column: LabelColumn = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="… they come without labels, to be labelled in the studio.")
    ] = False,
    every: Annotated[str, typer.Option(metavar="TIME", help="How often to check, e.g. 30s, 5m.")] = "60s",
    as_json: AsJson = False,
) -> None:
    """Watch a folder; what appears in it is imported once writing there has ended."""
    out = Output(as_json)
    from flows.watching import add_watch
    from workflows.store.store import Store

    store = Store()
    seconds = round(seconds_of(every))
    watch = add_watch(
        store,
        dataset,
        folder,
        labels=labels,
        filename_column=filename_column,
        label_column=label_column,
        unlabelled=unlabelled,
        every_seconds=seconds,
    )
    up = studio_is_up(store)
    begins = "" if up else " It is watched while the studio is up: fieldguide up"
    out.answer({**watch.values(), "studio": up}, f"{watch.id}: {watch.folder} goes into {watch.dataset}.{begins}")


@commands.command("list", epilog=example("fieldguide watch list"))
def list_(as_json: AsJson = False) -> None:
    """List the watched folders, with the result of the last import."""
    out = Output(as_json)
    from flows.scheduling import length
    from workflows.store.store import Store

    store = Store()
    found = store.watched.list()
    rows = [
        [one.id, one.dataset, one.folder, "paused" if one.paused else f"every {length(one.every_seconds)}", one.outcome]
        for one in found
    ]
    none = "No folder is watched. Add one: fieldguide watch add DATASET FOLDER"
    shown = table(["watch", "data set", "folder", "checked", "last import"], rows) if rows else none
    out.answer([one.values() for one in found], shown)


def _change(name: str, out: Output, **columns: Any) -> None:
    from workflows.store.store import Store

    store = Store()
    watch = store.watched.get(name)
    store.watched.update(watch.id, **columns)
    state = "paused" if columns["paused"] else "watched again"
    out.answer(store.watched.get(watch.id).values(), f"{watch.id}: {watch.folder} is {state}.")


@commands.command(epilog=example("fieldguide watch pause birds"))
def pause(watch: WatchArgument, as_json: AsJson = False) -> None:
    """Pause watching a folder until it is resumed."""
    _change(watch, Output(as_json), paused=True)


@commands.command(epilog=example("fieldguide watch resume birds"))
def resume(watch: WatchArgument, as_json: AsJson = False) -> None:
    """Resume watching a paused folder."""
    _change(watch, Output(as_json), paused=False)


@commands.command(epilog=example("fieldguide watch remove birds"))
def remove(watch: WatchArgument, as_json: AsJson = False) -> None:
    """Stop watching a folder; imported photos stay."""
    out = Output(as_json)
    from workflows.store.store import Store

    store = Store()
    found = store.watched.get(watch)
    store.watched.remove(found.id)
    out.answer({"removed": found.id}, f"{found.folder} is no longer watched.")


@commands.command("run-now", epilog=example("fieldguide watch run-now birds"))
def run_now(watch: WatchArgument, as_json: AsJson = False) -> None:
    """Import from a watched folder now, whether the studio is up or not."""
    out = Output(as_json)
    from flows.watching import import_now
    from workflows.store.store import Store

    store = Store()
    found = store.watched.get(watch)
    report = import_now(store, found)
    if "error" in report:
        raise error_of(report)
    out.answer(report, store.watched.get(found.id).outcome)


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.add_typer(commands, name="watch", rich_help_panel="Further commands")

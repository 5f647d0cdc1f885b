"""`rename`, `note`, `tag` and `star` of runs, data sets and versions: what people add; ids never change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from app.options import AsJson, DatasetArgument, RunArgument, example
from app.output import Output

if TYPE_CHECKING:
    from workflows.store.marks import Mark, Subject
    from workflows.store.store import Store

Tags = Annotated[list[str], typer.Argument(metavar="TAG...", help="One or more tags.")]
Note = Annotated[str, typer.Argument(metavar="TEXT", help="The note; '' removes it.")]
Title = Annotated[str, typer.Argument(metavar="NEW", help="Its new name; '' goes back to the id.")]
Remove = Annotated[bool, typer.Option("--remove", help="Remove these tags.")]
Off = Annotated[bool, typer.Option("--off", help="Remove the star.")]
OfVersion = Annotated[int | None, typer.Option("--version", min=1, help="Of this version, not of the whole data set.")]


def _answer(out: Output, mark: Mark) -> None:
    lines = [f"{mark.key}: {mark.words or 'no name, tags or star'}", *([mark.note] if mark.note else [])]
    out.answer({"id": mark.key, **mark.document()}, *lines)


def _retagged(mark: Mark, tags: Sequence[str], remove: bool) -> list[str]:
    return [tag for tag in mark.tags if tag not in tags] if remove else [*mark.tags, *tags]


# ------------------------------------------------------------------------- runs


def _run(text: str) -> tuple[Store, str]:
    from workflows.store.store import Store

    store = Store()
    return store, store.runs.get(text).run_id


def rename_run(run: RunArgument, title: Title, as_json: AsJson = False) -> None:
    """Give a run a name. Its id stays."""
    out = Output(as_json)
    store, run_id = _run(run)
    _answer(out, store.marks.change("run", run_id, title=title))


def note_run(run: RunArgument, note: Note, as_json: AsJson = False) -> None:
    """Note something on a run."""
    out = Output(as_json)
    store, run_id = _run(run)
    _answer(out, store.marks.change("run", run_id, note=note))


def tag_run(run: RunArgument, tags: Tags, remove: Remove = False, as_json: AsJson = False) -> None:
    """Tag a run."""
    out = Output(as_json)
    store, run_id = _run(run)
    _answer(out, store.marks.change("run", run_id, tags=_retagged(store.marks.get("run", run_id), tags, remove)))


def star_run(run: RunArgument, off: Off = False, as_json: AsJson = False) -> None:
    """Mark a run with a star."""
    out = Output(as_json)
    store, run_id = _run(run)
    _answer(out, store.marks.change("run", run_id, starred=not off))


# -------------------------------------------------------------------- data sets


def _dataset(name: str, version: int | None) -> tuple[Store, Subject, str]:
    """Return the kind and key of what is named; it must exist."""
    from workflows.data.catalog import get_version
    from workflows.store.marks import version_key
    from workflows.store.store import Store

    store = Store()
    get_version(store, name, version)
    return (store, "dataset", name) if version is None else (store, "version", version_key(name, version))


def rename_dataset(name: DatasetArgument, title: Title, version: OfVersion = None, as_json: AsJson = False) -> None:
    """Give a data set, or one of its versions, another name.

    A data set's id, its first name, stays: runs, schedules, models and watched folders hold the id, so all of them work
    as before. Commands know the data set by both.
    """
    out = Output(as_json)
    from workflows.data.naming import give_title

    store, subject, key = _dataset(name, version)
    _answer(out, give_title(store, key, title) if version is None else store.marks.change(subject, key, title=title))


def note_dataset(name: DatasetArgument, note: Note, version: OfVersion = None, as_json: AsJson = False) -> None:
    """Note something on a data set or a version."""
    out = Output(as_json)
    store, subject, key = _dataset(name, version)
    _answer(out, store.marks.change(subject, key, note=note))


def tag_dataset(
    name: DatasetArgument, tags: Tags, remove: Remove = False, version: OfVersion = None, as_json: AsJson = False
) -> None:
    """Tag a data set or a version."""
    out = Output(as_json)
    store, subject, key = _dataset(name, version)
    _answer(out, store.marks.change(subject, key, tags=_retagged(store.marks.get(subject, key), tags, remove)))


def star_dataset(name: DatasetArgument, off: Off = False, version: OfVersion = None, as_json: AsJson = False) -> None:
    """Mark a data set or a version with a star."""
    out = Output(as_json)
    store, subject, key = _dataset(name, version)
    _answer(out, store.marks.change(subject, key, starred=not off))


VERBS: dict[str, tuple[str, Callable[..., None], Callable[..., None]]] = {
    "rename": ("'without blur'", rename_run, rename_dataset),
    "note": ("'from the camera at the gate'", note_run, note_dataset),
    "tag": ("paper", tag_run, tag_dataset),
    "star": ("", star_run, star_dataset),
}
"""Each verb with an example of its arguments, for runs and for data sets."""


def register(runs: typer.Typer, datasets: typer.Typer) -> None:
    """Add the verbs to `fieldguide runs` and `fieldguide dataset`."""
    for verb, (words, of_run, of_dataset) in VERBS.items():
        runs.command(verb, epilog=example(f"fieldguide runs {verb} latest {words}".strip()))(of_run)
        datasets.command(verb, epilog=example(f"fieldguide dataset {verb} flowers {words}".strip()))(of_dataset)

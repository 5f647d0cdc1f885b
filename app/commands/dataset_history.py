"""`fieldguide dataset history`, `diff`, `labels`, `delete`: the history of a data set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.dataset import VersionOption
from app.options import AsJson, DatasetArgument, example
from app.output import Output
from app.words import moment, size_of, table
from workflows.errors import UsageError
from workflows.words import listed

if TYPE_CHECKING:
    from workflows.data.deletion import DeletionPlan
    from workflows.data.history import ImageChange, VersionDiff

SHOWN_IMAGES = 20
KINDS = (("added", "now"), ("removed", "before"), ("relabelled", "label"), ("moved", "split"))


def history(name: DatasetArgument, as_json: AsJson = False) -> None:
    """Show who made each version, when, how and why, and what it changed."""
    out = Output(as_json)
    from workflows.data.history import history as changes_of
    from workflows.store.marks import version_key
    from workflows.store.store import Store

    store = Store()
    changes, marks = changes_of(store, name), store.marks.all("version")
    rows = [
        [
            c.number,
            marks[key].words if (key := version_key(name, c.number)) in marks else "",
            moment(c.created_at),
            c.author or "-",
            c.action,
            c.images,
            c.in_words(),
            c.reason,
        ]
        for c in changes
    ]
    shown = table(["#version", "name", "when", "who", "how", "#images", "changes", "why"], rows)
    out.answer(changes, shown, f"To revert the newest: fieldguide dataset undo {name}")


def diff(
    name: DatasetArgument,
    v1: Annotated[int, typer.Argument(min=1, help="A version's number.")],
    v2: Annotated[int, typer.Argument(min=1, help="Another version's number.")],
    as_json: AsJson = False,
) -> None:
    """Show how one version of a data set differs from another, image by image."""
    out = Output(as_json)
    from workflows.data.history import diff as difference
    from workflows.data.history import in_words
    from workflows.store.store import Store

    found = difference(Store(), name, v1, v2)
    out.answer(_document(found), in_words(found), *_shown(found))


def _document(found: VersionDiff) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(found), "counts": found.counts()}


def _shown(found: VersionDiff) -> list[Any]:
    lines: list[Any] = []
    if found.classes_added:
        lines.append(f"new classes: {', '.join(found.classes_added)}")
    if found.classes_removed:
        lines.append(f"removed classes: {', '.join(found.classes_removed)}")
    rows = [row for kind, _ in KINDS for row in _rows(kind, getattr(found, kind))]
    if rows:
        lines.append(table(["change", "image", "before", "after"], rows))
    return lines


def _rows(kind: str, changes: tuple[ImageChange, ...]) -> list[list[Any]]:
    rows: list[list[Any]] = [[kind, change.path, change.before, change.after] for change in changes[:SHOWN_IMAGES]]
    if len(changes) > SHOWN_IMAGES:
        rows.append([kind, f"all {len(changes)}: see --json", None, None])
    return rows


def labels(
    name: DatasetArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.csv", help="Write the table to this CSV file.")
    ] = None,
    version: VersionOption = None,
    as_json: AsJson = False,
) -> None:
    """List each image with its label and split, or write them to a CSV file that spreadsheets open safely."""
    out = Output(as_json)
    from workflows.data.catalog import get_version, labels_of
    from workflows.store.files import write_table
    from workflows.store.store import Store

    found = get_version(Store(), name, version)
    rows = labels_of(found)
    if output is None:
        return out.answer(rows, table(list(rows.columns), rows.to_numpy().tolist()))
    if output.suffix.lower() != ".csv":
        raise UsageError(f"{output} doesn't end in .csv.", "For example: -o labels.csv")
    write_table(output, rows)
    document = {"name": found.name, "version": found.number, "images": len(rows), "file": output.resolve()}
    return out.answer(document, f"{len(rows)} rows of {found.name} (version {found.number}) written to {output}")


def delete(
    name: DatasetArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Even though runs were trained on it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a data set with all its versions, and the photos that no other data set uses."""
    out = Output(as_json)
    from workflows.data.deletion import delete_dataset, deletion_plan
    from workflows.store.store import Store

    store = Store()
    plan = deletion_plan(store, name)
    if dry_run:
        return out.answer({"deleted": False, "plan": plan}, *_described(plan), "Nothing was deleted (--dry-run).")
    if not yes and not (plan.runs and not force):  # no question before a refusal
        _ask(out, plan)
    done = delete_dataset(store, name, force)
    lines = [f"Data set {name} is deleted."] if yes else ["It is deleted."]
    if yes:
        lines += _described(plan)
    if not done.finished:
        lines.append("An import is running: the photos are deleted later, with the next import or deletion.")
    return out.answer({"deleted": True, "finished": done.finished, "plan": plan}, *lines)


def _ask(out: Output, plan: DeletionPlan) -> None:
    for line in _described(plan):
        out.note(line)
    if not sys.stdin.isatty():
        raise UsageError(
            "Deleting needs a confirmation, and there is no terminal to ask in.", "Add --yes if you are sure."
        )
    if not typer.confirm(f"Delete data set {plan.name}?", err=True):
        raise typer.Exit(1)


def _described(plan: DeletionPlan) -> list[str]:
    lines = [
        f"{plan.name}: {plan.versions} version(s) with {plan.images} different photos, {size_of(plan.bytes_freed)} "
        f"to be freed."
    ]
    if plan.shared:
        lines.append(f"{plan.shared} photos stay, because other data sets or the test sets of models use them.")
    if plan.quarantined:
        lines.append(f"{plan.quarantined} rejected file(s) in quarantine are deleted, too.")
    if plan.runs:
        active = f" ({len(plan.active_runs)} not ended yet)" if plan.active_runs else ""
        lines.append(
            f"{len(plan.runs)} run(s){active} were trained on it: "
            f"{listed(plan.runs, full='--json')}. They stay, but can't be resumed or evaluated again."
        )
    return lines


def register(commands: typer.Typer) -> None:
    """Add the verbs to `fieldguide dataset`."""
    verbs = "fieldguide dataset"
    commands.command(epilog=example(f"{verbs} history flowers"))(history)
    commands.command(epilog=example(f"{verbs} diff flowers 1 3"))(diff)
    commands.command(epilog=example(f"{verbs} labels flowers -o labels.csv"))(labels)
    commands.command(epilog=example(f"{verbs} delete flowers", f"{verbs} delete flowers --yes --force"))(delete)

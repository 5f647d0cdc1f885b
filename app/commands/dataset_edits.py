"""`fieldguide dataset relabel`, `remove`, `move`, …: changing what a data set holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import AsJson, DatasetArgument, FilenameColumn, LabelColumn, Seed, example
from app.output import Output
from app.request_options import parse_shares
from app.words import table
from workflows.errors import UsageError

if TYPE_CHECKING:
    from workflows.data.columns import Columns
    from workflows.data.resplit import ResplitPlan
    from workflows.data.version import DatasetVersion
    from workflows.store.store import Store


class AnySplit(StrEnum):
    """Every split there is."""

    train = "train"
    val = "val"
    test = "test"


Reason = Annotated[str, typer.Option("--reason", help="Reason, for the history.")]
Author = Annotated[
    str | None, typer.Option("--author", help="Author; by default $FIELDGUIDE_USER, or the user of this machine.")
]
IMAGES_HELP = "Images: their path in the source, or their id."


def _change(
    out: Output,
    name: str,
    edit: Callable[[Store, DatasetVersion], DatasetVersion],
    more: Mapping[str, Any] | None = None,
) -> None:
    """Make an edit and show what the new version changes; `more` is added to the document."""
    from workflows.data.catalog import get_version
    from workflows.data.history import diff
    from workflows.store.store import Store

    store = Store()
    before = get_version(store, name)
    after = edit(store, before)
    found = diff(store, name, before.number, after.number)
    document = {
        **(more or {}),
        "name": name,
        "version": after.number,
        "changed": after.number != before.number,
        "parent": after.parent,
        "action": after.action,
        "author": after.author,
        "reason": after.reason,
        "images": after.images,
        "classes": list(after.classes),
        "changes": found.counts(),
    }
    if after.number == before.number:
        return out.answer(document, f"Nothing to change: {name} is still at version {after.number}.")
    return out.answer(
        document,
        f"{name}, version {after.number}: {after.reason}",
        f"{after.images} images, {len(after.classes)} classes",
        f"To revert it: fieldguide dataset undo {name}",
    )


def relabel(
    name: DatasetArgument,
    labels: Annotated[
        list[str],
        typer.Argument(metavar="FILE.csv|IMAGE=LABEL...", help="A CSV with filename and label, or images and labels."),
    ],
    filename_column: FilenameColumn = None,
    label_column: LabelColumn = None,
    encoding: Annotated[str | None, typer.Option(help="The CSV file's encoding; UTF-8 by default.")] = None,
    reason: Reason = "",
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Relabel images; `IMAGE=` removes the label. Also gives images their first label."""
    out = Output(as_json)
    from workflows.data import edits
    from workflows.data.catalog import find_images
    from workflows.data.columns import Columns

    def edit(store: Store, version: DatasetVersion) -> DatasetVersion:
        wanted = _wanted_labels(version, labels, encoding, Columns(filename_column, label_column))
        ids = find_images(version, wanted)
        return edits.relabel(store, name, {ids[key]: wanted[key] for key in wanted}, author=author, reason=reason)

    _change(out, name, edit)


def _wanted_labels(
    version: DatasetVersion, labels: list[str], encoding: str | None, columns: Columns
) -> Mapping[str, str | None]:
    """Parse arguments into image -> label."""
    if len(labels) == 1 and (labels[0].lower().endswith((".csv", ".tsv")) or Path(labels[0]).is_file()):
        from workflows.data.given_labels import given_labels

        return given_labels(version, Path(labels[0]).expanduser(), encoding, columns)
    wanted: dict[str, str | None] = {}
    for text in labels:
        image, equals, label = text.rpartition("=")
        if not equals or not image:
            raise UsageError(
                f"{text!r} is not IMAGE=LABEL.", "For example: fieldguide dataset relabel flowers a/1.jpg=b"
            )
        if wanted.get(image, label or None) != (label or None):
            raise UsageError(f"{image!r} has two labels.", "Give one.")
        wanted[image] = label or None
    return wanted


def remove(
    name: DatasetArgument,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help=IMAGES_HELP)],
    reason: Reason = "",
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Remove images from the next version; earlier versions still hold them."""
    out = Output(as_json)
    from workflows.data import edits
    from workflows.data.catalog import find_images

    def edit(store: Store, version: DatasetVersion) -> DatasetVersion:
        return edits.remove(store, name, find_images(version, images).values(), author=author, reason=reason)

    _change(out, name, edit)


def move(
    name: DatasetArgument,
    split: Annotated[AnySplit, typer.Argument(help="Where to.")],
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help=IMAGES_HELP)],
    reason: Reason = "",
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Put images into another split. Copies of one picture, and images of one group, stay together."""
    out = Output(as_json)
    from workflows.data import edits
    from workflows.data.catalog import find_images
    from workflows.data.frozen import release_warnings, released, test_images_of_champions

    def edit(store: Store, version: DatasetVersion) -> DatasetVersion:
        ids = find_images(version, images).values()
        for line in release_warnings(released(test_images_of_champions(store, name), dict.fromkeys(ids, split.value))):
            out.note(line)
        return edits.move(store, name, dict.fromkeys(ids, split.value), author=author, reason=reason)

    _change(out, name, edit)


def rename_class(
    name: DatasetArgument,
    old: Annotated[str, typer.Argument(help="The current name of the class.")],
    new: Annotated[str, typer.Argument(help="Its new name; no other class may have it.")],
    reason: Reason = "",
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Rename a class."""
    out = Output(as_json)
    from workflows.data import edits

    _change(out, name, lambda store, _: edits.rename_class(store, name, old, new, author=author, reason=reason))


def merge_classes(
    name: DatasetArgument,
    classes: Annotated[list[str], typer.Argument(metavar="CLASS...", help="Classes to merge.")],
    into: Annotated[str, typer.Option("--into", help="The resulting class: an existing one, or a new name.")],
    reason: Reason = "",
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Merge several classes into one."""
    out = Output(as_json)
    from workflows.data import edits

    _change(out, name, lambda store, _: edits.merge_classes(store, name, classes, into, author=author, reason=reason))


def resplit(
    name: DatasetArgument,
    split: Annotated[
        str, typer.Option(help="Shares of train/val/test, in percent; `as-before` for the present ones.")
    ] = "70/15/15",
    seed: Seed = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the result.")] = False,
    release: Annotated[
        bool,
        typer.Option(
            "--release-test-images",
            help="Also split the images that champions are tested on: those models can't be retrained after that.",
        ),
    ] = False,
    reason: Reason = "",
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Split all labelled images again, look-alikes together. A split that came with them is replaced.

    Images that a model's champion is tested on stay out of training.
    """
    out = Output(as_json)
    ratios = None if split == "as-before" else parse_shares(split)
    from app.progress_bars import ProgressBars
    from workflows.data.resplit import carry_out_resplit, plan_resplit
    from workflows.store.store import Store

    store = Store()
    with ProgressBars(out) as bars:
        plan = plan_resplit(store, name, ratios, seed, bars, release_test_images=release)
    if dry_run:
        return out.answer(_planned(plan), *_described(plan), "Nothing was changed (--dry-run).")
    for line in plan.warnings():
        out.note(line)
    return _change(
        out, name, lambda store, _: carry_out_resplit(store, plan, author=author, reason=reason), _planned(plan)
    )


def _planned(plan: ResplitPlan) -> dict[str, Any]:
    return {
        "name": plan.version.name,
        "version": plan.version.number,
        "ratios": list(plan.ratios),
        "seed": plan.seed,
        "sizes": plan.totals(),
        "sizes_by_class": plan.sizes.to_dict("index"),
        "moved": plan.moved,
        "look_alikes": {"groups": plan.groups, "torn": plan.torn},
        "leaking": dict(zip(("before", "after"), plan.leaking, strict=True)),
        "test_images": {"of_champions": dict(plan.frozen), "released": dict(plan.released)},
    }


def _staying(plan: ResplitPlan) -> list[tuple[str, int]]:
    return [(model, images) for model, images in plan.frozen.items() if model not in plan.released]


def _described(plan: ResplitPlan) -> list[Any]:
    totals = ", ".join(f"{number:,} {split}" for split, number in plan.totals().items())
    rows = [[label, *sizes] for label, sizes in zip(plan.sizes.index, plan.sizes.to_numpy().tolist(), strict=True)]
    before, after = plan.leaking
    return [
        f"{plan.version.name}, version {plan.version.number}, would be split again: {totals}; {plan.moved:,} images move.",
        table(["class", *(f"#{split}" for split in plan.sizes.columns)], rows),
        f"Held-out images with a look-alike in an earlier split: {before:,} now, {after:,} afterwards.",
        *(f"{images:,} images that {model} is tested on stay out of training." for model, images in _staying(plan)),
        *plan.warnings(),
    ]


def undo(name: DatasetArgument, reason: Reason = "", author: Author = None, as_json: AsJson = False) -> None:
    """Take the last change back, by a new version; again takes the change before it back."""
    out = Output(as_json)
    from workflows.data import undoing

    _change(out, name, lambda store, _: undoing.undo(store, name, author=author, reason=reason))


def redo(name: DatasetArgument, reason: Reason = "", author: Author = None, as_json: AsJson = False) -> None:
    """Make the change that was undone last again, by a new version."""
    out = Output(as_json)
    from workflows.data import undoing

    _change(out, name, lambda store, _: undoing.redo(store, name, author=author, reason=reason))


def restore(
    name: DatasetArgument,
    version: Annotated[int, typer.Argument(min=1, help="The version to go back to.")],
    reason: Reason = "",
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Go back to any version, by a new version that equals it."""
    out = Output(as_json)
    from workflows.data import undoing

    _change(out, name, lambda store, _: undoing.restore(store, name, version, author=author, reason=reason))


def register(commands: typer.Typer) -> None:
    """Add the verbs to `fieldguide dataset`."""
    verbs = "fieldguide dataset"
    commands.command(
        epilog=example(
            f"{verbs} relabel flowers roses/12.jpg=tulips --reason 'seen on the photo'",
            f"{verbs} relabel flowers corrected.csv",
        )
    )(relabel)
    commands.command(epilog=example(f"{verbs} remove flowers roses/12.jpg roses/13.jpg"))(remove)
    commands.command(epilog=example(f"{verbs} move flowers train roses/12.jpg"))(move)
    commands.command("rename-class", epilog=example(f"{verbs} rename-class flowers rose roses"))(rename_class)
    commands.command("merge-classes", epilog=example(f"{verbs} merge-classes flowers Rose rose --into roses"))(
        merge_classes
    )
    commands.command(epilog=example(f"{verbs} resplit flowers --split 80/10/10", f"{verbs} resplit flowers --dry-run"))(
        resplit
    )
    commands.command(epilog=example(f"{verbs} undo flowers"))(undo)
    commands.command(epilog=example(f"{verbs} redo flowers"))(redo)
    commands.command(epilog=example(f"{verbs} restore flowers 3"))(restore)

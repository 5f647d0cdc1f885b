"""`fieldguide dataset relabel`, `remove`, `move`, …: changing what a data set holds."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.options import AsJson, Seed, example, parse_shares
from app.output import Output
from workflows.errors import UsageError

if TYPE_CHECKING:
    from workflows.data.version import DatasetVersion
    from workflows.store.store import Store


class AnySplit(StrEnum):
    """Every split there is."""

    train = "train"
    val = "val"
    test = "test"


NameArgument = Annotated[str, typer.Argument(help="The data set.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the history.")]
Author = Annotated[
    str | None, typer.Option("--author", help="Who; by default $FIELDGUIDE_USER, or the user of this machine.")
]
IMAGES_HELP = "Images: their path in the source, or their id."


def _change(out: Output, name: str, edit: Callable[[Store, DatasetVersion], DatasetVersion]) -> None:
    """Do an edit and tell what the new version changes."""
    from workflows.data.catalog import get_version
    from workflows.data.history import diff
    from workflows.store.store import Store

    store = Store()
    before = get_version(store, name)
    after = edit(store, before)
    found = diff(store, name, before.number, after.number)
    document = {
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
        return out.answer(document, f"Nothing to change: {name} is at version {after.number} as before.")
    return out.answer(
        document,
        f"{name}, version {after.number}: {after.reason}",
        f"{after.images} images, {len(after.classes)} classes",
        f"To take it back: fieldguide dataset undo {name}",
    )


def relabel(
    name: NameArgument,
    labels: Annotated[
        list[str],
        typer.Argument(metavar="FILE.csv|IMAGE=LABEL...", help="A CSV with filename and label, or images and labels."),
    ],
    encoding: Annotated[str | None, typer.Option(help="The CSV file's encoding; UTF-8 by default.")] = None,
    reason: Reason = "",
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Give images another label; `IMAGE=` takes the label away. Images get their first label here, too."""
    out = Output(as_json)
    from workflows.data import edits
    from workflows.data.catalog import find_images

    def edit(store: Store, version: DatasetVersion) -> DatasetVersion:
        wanted = _wanted_labels(labels, encoding)
        ids = find_images(version, wanted)
        return edits.relabel(store, name, {ids[key]: wanted[key] for key in wanted}, author=author, reason=reason)

    _change(out, name, edit)


def _wanted_labels(labels: list[str], encoding: str | None) -> dict[str, str | None]:
    """From what was typed to image -> label."""
    if len(labels) == 1 and (labels[0].lower().endswith((".csv", ".tsv")) or Path(labels[0]).is_file()):
        from workflows.data.label_files import read_labels

        return {row.filename: row.label for row in read_labels(Path(labels[0]).expanduser(), encoding).rows}
    wanted: dict[str, str | None] = {}
    for text in labels:
        image, equals, label = text.rpartition("=")
        if not equals or not image:
            raise UsageError(
                f"{text!r} is not IMAGE=LABEL.", "For example: fieldguide dataset relabel flowers a/1.jpg=b"
            )
        if wanted.get(image, label or None) != (label or None):
            raise UsageError(f"{image!r} is given two labels.", "Give one.")
        wanted[image] = label or None
    return wanted


def remove(
    name: NameArgument,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help=IMAGES_HELP)],
    reason: Reason = "",
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Leave images out of the next version; earlier versions keep them."""
    out = Output(as_json)
    from workflows.data import edits
    from workflows.data.catalog import find_images

    def edit(store: Store, version: DatasetVersion) -> DatasetVersion:
        return edits.remove(store, name, find_images(version, images).values(), author=author, reason=reason)

    _change(out, name, edit)


def move(
    name: NameArgument,
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

    def edit(store: Store, version: DatasetVersion) -> DatasetVersion:
        ids = find_images(version, images).values()
        return edits.move(store, name, dict.fromkeys(ids, split.value), author=author, reason=reason)

    _change(out, name, edit)


def rename_class(
    name: NameArgument,
    old: Annotated[str, typer.Argument(help="The class as it is called now.")],
    new: Annotated[str, typer.Argument(help="Its new name; no other class may have it.")],
    reason: Reason = "",
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Give a class another name."""
    out = Output(as_json)
    from workflows.data import edits

    _change(out, name, lambda store, _: edits.rename_class(store, name, old, new, author=author, reason=reason))


def merge_classes(
    name: NameArgument,
    classes: Annotated[list[str], typer.Argument(metavar="CLASS...", help="Classes that become one.")],
    into: Annotated[str, typer.Option("--into", help="The class they become: one that there is, or a new name.")],
    reason: Reason = "",
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Make one class of several."""
    out = Output(as_json)
    from workflows.data import edits

    _change(out, name, lambda store, _: edits.merge_classes(store, name, classes, into, author=author, reason=reason))


def resplit(
    name: NameArgument,
    split: Annotated[str, typer.Option(help="Shares of train/val/test, in percent.")] = "70/15/15",
    seed: Seed = 0,
    reason: Reason = "",
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Divide all labelled images anew into train, val and test. A split that came with them is given up."""
    out = Output(as_json)
    ratios = parse_shares(split)
    from workflows.data import edits

    _change(out, name, lambda store, _: edits.resplit(store, name, ratios, seed, author=author, reason=reason))


def undo(name: NameArgument, reason: Reason = "", author: Author = None, as_json: AsJson = False) -> None:
    """Go back to what the newest version was made from. It makes a new version: undo again to do it again."""
    out = Output(as_json)
    from workflows.data import edits

    _change(out, name, lambda store, _: edits.undo(store, name, author=author, reason=reason))


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
    commands.command(epilog=example(f"{verbs} resplit flowers --split 80/10/10"))(resplit)
    commands.command(epilog=example(f"{verbs} undo flowers"))(undo)

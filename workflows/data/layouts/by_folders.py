"""Images whose folders are their labels: class folders, also below folders for train, val and test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from workflows.data.folders import Listing
from workflows.data.label_files import SPLIT_NAMES
from workflows.data.layouts.scan import Scan, SourceEntry, entry_of, named
from workflows.errors import SourceError
from workflows.store.names import counted

NO_LABEL = "no_label"
"""Where CVAT's and Datumaro's exports as class folders put the images that nobody has labelled."""


def by_folders(source: Path, listing: Listing) -> Scan:
    """Take folders as classes, or as splits that hold classes.

    Raises:
        SourceError: no images, or a folder that would be a class without images.
    """
    refuse_nothing(source, listing)
    top = sorted({folder.partition("/")[0] for folder in listing.folders})
    holding = {file.relative.rpartition("/")[0] for file in listing.files}
    split_folders = [name for name in top if name.lower() in SPLIT_NAMES]
    with_classes = [name for name in split_folders if any(folder.startswith(f"{name}/") for folder in holding)]
    sides = {SPLIT_NAMES[name.lower()] for name in split_folders}
    if len(sides) > 1 and "train" in sides and with_classes:
        return _split_folders(source, listing, split_folders)
    if split_folders == top and len(top) > 1:
        raise SourceError(
            f"{source} has the folders {', '.join(top)}, but no folders of classes in them.",
            "Put each class into a folder of its own there, or give a label file: a CSV with filename,label.",
        )
    if with_classes == top and sides == {"train"}:
        found = _class_folders(source, listing, below=f"{top[0]}/")
        found.notes.append(f"There is only a folder {top[0]!r}: its images are split like a set without a split.")
        return found
    return _class_folders(source, listing, below="")


def unlabelled_images(source: Path, listing: Listing) -> Scan:
    """Take every image as it comes, without a label and without a split.

    Raises:
        SourceError: no images.
    """
    refuse_nothing(source, listing)
    return Scan(source, "unlabelled", [entry_of(file) for file in listing.files], list(listing.ignored))


def refuse_nothing(source: Path, listing: Listing) -> None:
    """Check that there is an image.

    Raises:
        SourceError: there is none.
    """
    if not listing.files:
        others = counted(len(listing.ignored), "other entry", "other entries")
        what = f"It holds {others}, e.g. {listing.ignored[0][0]!r}." if listing.ignored else "It is empty."
        raise SourceError(
            f"There are no images in {source}. {what}",
            f"Choose the {_kind(source)} that the photos lie in: one folder for each class, or photos and a CSV with "
            "filename,label. Photos are known by the end of their names, e.g. .jpg, .png or .tif.",
        )


def _kind(source: Path) -> str:
    return "folder" if source.is_dir() else "archive"


def _class_folders(source: Path, listing: Listing, below: str) -> Scan:
    """Take the folders directly under `below` as classes; images deeper down belong to them too."""
    entries, ignored = [], list(listing.ignored)
    for file in listing.files:
        label, slash, _ = file.relative.removeprefix(below).partition("/")
        if slash and file.relative.startswith(below):
            entries.append(entry_of(file, _label(label)))
        else:
            ignored.append((file.relative, "image outside of the class folders"))
    _refuse_empty_classes(_folders_below(listing, below), entries, source)
    return _noted(Scan(source, "class-folders", entries, ignored))


def _split_folders(source: Path, listing: Listing, split_folders: list[str]) -> Scan:
    entries, ignored = [], list(listing.ignored)
    for file in listing.files:
        top, _, rest = file.relative.partition("/")
        label, slash, _ = rest.partition("/")
        if top in split_folders and slash:
            known = _label(label)
            entries.append(entry_of(file, known, SPLIT_NAMES[top.lower()] if known else None))
        else:
            where = "class folders" if top in split_folders else "split folders"
            ignored.append((file.relative, f"image outside of the {where}"))
    train = [name for name in split_folders if SPLIT_NAMES[name.lower()] == "train"]
    folders = {label for name in train for label in _folders_below(listing, f"{name}/")}
    _refuse_empty_classes(folders, [entry for entry in entries if entry.split == "train"], source)
    found = Scan(source, "split-folders", entries, ignored)
    if found.splits == {"train"}:  # the other folders hold no labelled images
        found.entries = [replace(entry, split=None) for entry in entries]
        found.notes.append("Only the training folder holds labelled images: they are split like a set without a split.")
    return _noted(found)


def _label(folder: str) -> str | None:
    return None if folder == NO_LABEL else folder


def _noted(found: Scan) -> Scan:
    number = sum(entry.label is None for entry in found.entries)
    if number:
        found.notes.append(
            f"{counted(number, 'image')} in {NO_LABEL!r}, where exports put what nobody has labelled: taken without a label."
        )
    return found


def _folders_below(listing: Listing, below: str) -> set[str]:
    inside = (folder.removeprefix(below) for folder in listing.folders if folder.startswith(below))
    return {folder for folder in inside if "/" not in folder}


def _refuse_empty_classes(folders: Iterable[str], entries: list[SourceEntry], source: Path) -> None:
    empty = set(folders) - {NO_LABEL} - {entry.label for entry in entries if entry.label is not None}
    if empty and entries:
        raise SourceError(
            f"{named(empty)} holds no images (in {source}).",
            "Every folder there is taken as a class: add images to it, or remove the folder.",
        )

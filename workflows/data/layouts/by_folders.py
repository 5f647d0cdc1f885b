"""Images whose folders are their labels: class folders, also below folders for train, val and test.

The level of folders that are the classes can be chosen. By default it is the top level (below the folders
for train, val and test): images further down belong to these classes, too, and a note says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from workflows.data import reasons
from workflows.data.folders import Listing
from workflows.data.label_files import SPLIT_NAMES
from workflows.data.layouts.beside import table_beside
from workflows.data.layouts.scan import Scan, SourceEntry, entry_of, named, offered, too_many_to_name
from workflows.errors import SourceError
from workflows.store.names import counted
from workflows.words import listed

ALL_FILES = "`entries` of --json, and the import's report"
NO_LABEL = frozenset(("no_label", "_unlabeled"))
"""Where exports as class folders put unlabelled images: those of CVAT and Datumaro, and of FiftyOne."""


def by_folders(source: Path, listing: Listing, level: int = 1) -> Scan:
    """Read folders as classes, or as splits that contain classes.

    Args:
        level: which folders are the classes: 1 for the top level, 2 for the next, and so on; below the folders
            of a split, if there are any.

    Raises:
        SourceError: no images, none at `level`, or a folder that would be a class without images.
    """
    found = _by_folders(source, listing, level)
    if level > 1 and not found.entries:
        raise SourceError(
            f"No image in {source} is in folders of level {level}.",
            "Level 1 means the top-level folders, level 2 the ones in them: choose the level of the classes.",
        )
    return _noted(found, level)


def _by_folders(source: Path, listing: Listing, level: int) -> Scan:
    refuse_nothing(source, listing)
    top = sorted({folder.partition("/")[0] for folder in listing.folders})
    holding = {file.relative.rpartition("/")[0] for file in listing.files}
    split_folders = [name for name in top if name.lower() in SPLIT_NAMES]
    with_classes = [name for name in split_folders if any(folder.startswith(f"{name}/") for folder in holding)]
    sides = {SPLIT_NAMES[name.lower()] for name in split_folders}
    if len(sides) > 1 and "train" in sides and with_classes:
        return _split_folders(source, listing, split_folders, level)
    if split_folders == top and len(top) > 1:
        beside = table_beside(source, listing)
        raise SourceError(
            f"{source} has the folders {', '.join(top)}, but no class folders in them.",
            beside.advice
            if beside
            else "Put each class into its own folder there, or give a label file: a CSV with filename,label.",
            details=offered(beside),
        )
    if with_classes == top and sides == {"train"}:
        found = _class_folders(source, listing, f"{top[0]}/", level)
        found.notes.append(
            f"The only split folder is {top[0]!r}: its images are split into training, validation and test."
        )
        return found
    return _class_folders(source, listing, "", level)


def unlabelled_images(source: Path, listing: Listing) -> Scan:
    """Read every image without a label and without a split.

    Raises:
        SourceError: no images.
    """
    refuse_nothing(source, listing)
    return Scan(source, "unlabelled", [entry_of(file) for file in listing.files], list(listing.ignored))


def add_unlabelled(found: Scan, listing: Listing) -> None:
    """Add the images of a source that it gives no label: those outside its class folders, or not in its label file."""
    files = {file.relative: file for file in listing.files}
    bare = [name for name, why in (*found.ignored, *found.rejected) if name in files and why in reasons.WITHOUT_LABEL]
    if not bare:
        return
    found.entries += [entry_of(files[name]) for name in bare]
    found.ignored = [item for item in found.ignored if item[0] not in bare]
    found.rejected = [item for item in found.rejected if item[0] not in bare]
    found.notes.append(f"{counted(len(bare), 'image')} without a label: imported, to be labelled later.")


def refuse_nothing(source: Path, listing: Listing) -> None:
    """Check that there is an image.

    Raises:
        SourceError: there is no image.
    """
    if not listing.files:
        others = counted(len(listing.ignored), "other entry", "other entries")
        what = f"It holds {others}, e.g. {listing.ignored[0][0]!r}." if listing.ignored else "It is empty."
        raise SourceError(
            f"{source} contains no images. {what}",
            f"Choose the {_kind(source)} with the photos: one folder per class, or photos and a CSV with "
            "filename,label. Photos are recognised by their file name suffix, e.g. .jpg, .png or .tif.",
        )


def _kind(source: Path) -> str:
    return "folder" if source.is_dir() else "archive"


def _class_folders(source: Path, listing: Listing, below: str, level: int) -> Scan:
    """Read the folders below `below` as classes; images deeper down belong to them too."""
    found = Scan(source, "class-folders", [], list(listing.ignored))
    for file in listing.files:
        folders = file.relative.removeprefix(below).split("/")[:-1]
        if len(folders) >= level and file.relative.startswith(below):
            found.entries.append(entry_of(file, _label(folders[level - 1])))
            _remember_nested(found, below, folders, level)
        else:
            found.ignored.append((file.relative, reasons.OUTSIDE_CLASSES))
    _refuse_empty_classes(_folders_below(listing, below, level), found.entries, source)
    return found


def _split_folders(source: Path, listing: Listing, split_folders: list[str], level: int) -> Scan:
    found = Scan(source, "split-folders", [], list(listing.ignored))
    for file in listing.files:
        top, *folders = file.relative.split("/")[:-1] or [""]
        if top in split_folders and len(folders) >= level:
            known = _label(folders[level - 1])
            found.entries.append(entry_of(file, known, SPLIT_NAMES[top.lower()] if known else None))
            _remember_nested(found, f"{top}/", folders, level)
        else:
            reason = reasons.OUTSIDE_CLASSES if top in split_folders else reasons.OUTSIDE_SPLITS
            found.ignored.append((file.relative, reason))
    train = [name for name in split_folders if SPLIT_NAMES[name.lower()] == "train"]
    trained = {label for name in train for label in _folders_below(listing, f"{name}/", level)}
    _refuse_empty_classes(trained, [entry for entry in found.entries if entry.split == "train"], source)
    if found.splits == {"train"}:  # the other folders contain no labelled images
        found.entries = [replace(entry, split=None) for entry in found.entries]
        found.notes.append(
            "Only the training folder contains labelled images: they are split into training, validation and test."
        )
    return found


def _label(folder: str) -> str | None:
    return None if folder in NO_LABEL else folder


def _remember_nested(found: Scan, below: str, folders: list[str], level: int) -> None:
    if len(folders) > level:
        place = below + "/".join(folders[: level + 1])
        found.nested[place] = found.nested.get(place, 0) + 1


def _noted(found: Scan, level: int) -> Scan:
    waiting = [entry for entry in found.entries if entry.label is None]
    folders = sorted(NO_LABEL & {part for entry in waiting for part in entry.relative.split("/")})
    if waiting:
        found.notes.append(
            f"{counted(len(waiting), 'image')} in {', '.join(map(repr, folders))}, where exports put unlabelled "
            "images: imported without a label."
        )
    if found.nested:
        found.notes.append(_nested_note(found, level))
    if level > 1 and (alike := _of_several_folders(found, level)):
        found.notes.append(f"Folders with the same name are one class: {listed(alike, full=ALL_FILES)}.")
    return found


def _nested_note(found: Scan, level: int) -> str:
    folders = [f"{place} ({number})" for place, number in sorted(found.nested.items())]
    named_alike = sorted({place.rpartition("/")[2] for place in found.nested} & found.classes)
    alike = f" There is also a class called {listed(map(repr, named_alike), full=ALL_FILES)}." if named_alike else ""
    return (
        f"Folders inside class folders are not classes of their own; their images belong to the class above: "
        f"{listed(folders, full=ALL_FILES)}.{alike} "
        f"If they are the classes, choose their level: --class-level {level + 1}."
    )


def _of_several_folders(found: Scan, level: int) -> list[str]:
    """Return the classes with more than one folder, as text."""
    first = 1 if found.layout == "split-folders" else 0
    pairs = {
        (entry.label, "/".join(entry.relative.split("/")[first:][:level])) for entry in found.entries if entry.label
    }
    times = Counter(label for label, _ in pairs)
    return [f"{label!r} ({times[label]} folders)" for label in sorted(times) if times[label] > 1]


def _folders_below(listing: Listing, below: str, level: int) -> set[str]:
    inside = (folder.removeprefix(below).split("/") for folder in listing.folders if folder.startswith(below))
    return {folders[-1] for folders in inside if len(folders) == level}


def _refuse_empty_classes(folders: Iterable[str], entries: list[SourceEntry], source: Path) -> None:
    empty = set(folders) - NO_LABEL - {entry.label for entry in entries if entry.label is not None}
    if empty and entries:
        raise SourceError(
            f"{named(empty)} has no images (in {source}).",
            "Every folder there is a class: add images to it, or remove the folder.",
            problems=too_many_to_name(empty),
        )

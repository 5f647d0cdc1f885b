"""A version of a data set: its images with their labels and splits. It never changes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import pandas as pd

from workflows.data.rendering import Rendering
from workflows.errors import StorageError
from workflows.store.datasets import VersionRecord
from workflows.store.files import read_metadata, read_table
from workflows.store.store import Store
from workflows.targets.base import Target
from workflows.targets.registry import target_in

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
HELD_OUT: tuple[Literal["val", "test"], ...] = ("val", "test")
"""Splits that are not trained on."""
SPLIT_WORDS: dict[str, str] = {"train": "training", "val": "validation", "test": "test"}

Action = Literal[
    "import",
    "add",
    "mirror",
    "relabel",
    "remove",
    "rename-class",
    "merge-classes",
    "move",
    "split",
    "fix",
    "undo",
    "redo",
    "restore",
]
"""What makes a version; the first three import images, the others change existing ones."""
IMPORTS: tuple[Action, ...] = ("import", "add", "mirror")

IMAGES_FILE = "images.parquet"
REPORT_FILE = "import.json"
RATIOS_KEY = "ratios"  # in the table's metadata: shares of train, val and test for later images
RENDERING_KEY = "rendering"  # there, too: how raw samples are rendered

# One row per image of a version.
#   path         in its source, with `/`
#   width, height  pixels, upright
#   mode, format, orientation  as stored in the file
#   label, split null = the image has none yet
#   group        images of one group are never in two splits; null = none
#   source       folder that the image was imported from
#   attributes   further columns of the label file, as JSON
#   phash        perceptual hash; null until it is computed
COLUMNS = (
    "image_id",
    "path",
    "sha256",
    "width",
    "height",
    "mode",
    "format",
    "orientation",
    "label",
    "split",
    "group",
    "source",
    "attributes",
    "phash",
)


@dataclass(frozen=True)
class DatasetVersion:
    """One immutable version of a data set.

    Attributes:
        classes: class names in natural order (2 before 10); a class's index is its position here.
        images: number of images.
        fingerprint: SHA-256 over all records; equal fingerprints mean equal content.
        source: folder that the newest images came from.
        reason: why this version was made, as text.
        folder: holds `images.parquet`, and `import.json` if an import made this version.
        given_split: whether the split came with the images.
        author: who made it; empty if that was not recorded.
        action: what made it: one of :data:`Action`.
        parent: number of the version that it was made from; None for the first.
    """

    name: str
    number: int
    classes: tuple[str, ...]
    images: int
    fingerprint: str
    source: str
    created_at: datetime
    reason: str
    folder: Path
    given_split: bool
    author: str = ""
    action: str = "import"
    parent: int | None = None

    def table(self) -> pd.DataFrame:
        """Return one row for each image, sorted by path; the columns are :data:`COLUMNS`.

        `label` and `split` are null where an image has none yet.

        Raises:
            StorageError: the file is missing or damaged.
        """
        return read_table(self.folder / IMAGES_FILE)

    def labelled(self) -> pd.DataFrame:
        """Return the rows of :meth:`table` that training may use: with a label and a split.

        Raises:
            StorageError: the file is missing or damaged.
        """
        table = self.table()
        return table[table["label"].notna() & table["split"].notna()].reset_index(drop=True)

    def ratios(self) -> tuple[float, float, float] | None:
        """Return the requested shares of train, val and test; None if unknown.

        Raises:
            StorageError: the file is missing or damaged.
        """
        written = read_metadata(self.folder / IMAGES_FILE).get(RATIOS_KEY)
        if written is None:
            return None
        train, val, test = (float(share) for share in written.split(","))
        return train, val, test

    def rendering(self) -> Rendering | None:
        """Return how the raw samples of its images are rendered; None if it was made before renderings existed.

        Raises:
            StorageError: the file is missing or damaged.
        """
        path = self.folder / IMAGES_FILE
        written = read_metadata(path).get(RENDERING_KEY)
        try:
            return Rendering.from_json(written) if written is not None else None
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{path} has a rendering in an unknown format.", "Update Fieldguide.") from error

    def target(self) -> Target:
        """Return what its labels are; one for each image where it was made before there was a choice.

        Raises:
            StorageError: the file is missing or damaged.
            DatasetError: this Fieldguide does not know its kind of labels.
        """
        return target_in(read_metadata(self.folder / IMAGES_FILE))

    def split_counts(self) -> pd.DataFrame:
        """Return the number of images, classes (rows, in order) by splits (columns train, val, test)."""
        table = self.table()
        counts = pd.crosstab(table["label"], table["split"])
        return counts.reindex(index=list(self.classes), columns=list(SPLITS), fill_value=0)

    def __str__(self) -> str:
        return f"{self.name} v{self.number}"


def version_of(store: Store, record: VersionRecord) -> DatasetVersion:
    """Return the version of a record in the store."""
    return DatasetVersion(
        name=record.dataset,
        number=record.number,
        classes=record.classes,
        images=record.images,
        fingerprint=record.fingerprint,
        source=record.source,
        created_at=record.created_at,
        reason=record.reason,
        folder=store.dataset_folder(record.dataset) / str(record.number),
        given_split=record.given_split,
        author=record.author,
        action=record.action,
        parent=record.parent,
    )


def image_id(path: str, sha256: str) -> str:
    """Return the id of the image with this content at this path of its source: 16 hex digits."""
    return hashlib.blake2b(f"{path}\0{sha256}".encode(), digest_size=8).hexdigest()


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that puts `2` before `10` and `img2` before `img10`; equal for equal names only.

    >>> sorted(["10", "2", "1"], key=natural_key)
    ['1', '2', '10']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    folded = tuple((0, int(part), "") if part[0] in "0123456789" else (1, 0, part.casefold()) for part in parts)
    return (*folded, (-1, 0, name))  # the name itself orders `Dog` and `dog`, `1` and `01`


def classes_of(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the classes of a version's table, in the order that fixes their indices."""
    return in_natural_order(set(table["label"].dropna()))


def in_natural_order(names: set[str]) -> tuple[str, ...]:
    """Return class names in the order that fixes their indices."""
    return tuple(sorted(names, key=natural_key))

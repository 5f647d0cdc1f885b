"""Data sets, as pages show and change them."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from app.client.cache import Cache
from app.client.evaluation import csv_of
from app.client.images import Images, Query
from workflows.data import deletion, edits, undoing
from workflows.data import history as histories
from workflows.data.audit.findings import AuditReport, Finding, counts_in_words
from workflows.data.audit.repairs import SETTLED_BY_RESPLIT, RepairPlan, carry_out, plan_repair
from workflows.data.audit.run import AUDIT_FILE, stored_audit
from workflows.data.catalog import get_version, labels_of, list_datasets, list_versions
from workflows.data.columns import BY_NAME, Columns
from workflows.data.frozen import release_warnings, released, test_images_of_champions
from workflows.data.given_labels import given_labels
from workflows.data.history import ImageChange
from workflows.data.naming import check_name
from workflows.data.quarantine import Quarantined, quarantined
from workflows.data.rendering import Rendering
from workflows.data.reports import ImportReport, load_report
from workflows.data.resplit import ResplitPlan, carry_out_resplit, plan_resplit
from workflows.data.splits import check_ratios, quotas
from workflows.data.survey import parse_bands
from workflows.data.thumbnails import thumbnail, thumbnails
from workflows.data.undoing import Timeline, timeline
from workflows.data.version import SPLITS, DatasetVersion, Split, natural_key
from workflows.errors import DatasetError, StorageError
from workflows.state import State
from workflows.store.names import slug
from workflows.store.store import Store

KEPT_VERSIONS = 4
KEPT_FOUND = 64
LARGE_SIDE = 1024
AHEAD = threading.BoundedSemaphore(2)


@dataclass(frozen=True)
class LabelChanges:
    """What a label file would change.

    Attributes:
        labels: image id -> new label, of the images that would change.
        rows: what changes: `filename`, `before`, `after`.
        same: how many named images have that label already.
        unknown: names in the file that match no image.
        new_classes: labels that are not in use yet.
    """

    labels: dict[str, str | None]
    rows: pd.DataFrame
    same: int
    unknown: tuple[str, ...]
    new_classes: tuple[str, ...]


class Datasets:
    """Reads and edits data sets; every edit makes a new version. Versions never change, so each is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._images, self._found = Cache(KEPT_VERSIONS), Cache(KEPT_FOUND)
        self._audits, self._differences, self._reports = Cache(16), Cache(8), Cache(8)
        self._renderings = Cache(64)

    # ------------------------------------------------------------------ reading

    def names(self) -> list[str]:
        """Return the names of all data sets."""
        return [version.name for version in list_datasets(self._store)]

    def check_name(self, name: str) -> None:
        """Check the name of a data set. Raises UsageError."""
        check_name(name)

    def check_bands(self, text: str) -> None:
        """Check a text that names bands to show, such as `4,3,2`. Raises UsageError."""
        parse_bands(text)

    def version(self, name: str, number: int | None = None) -> DatasetVersion:
        """Return a version, by default the newest. Raises DatasetError."""
        return get_version(self._store, name, number)

    def images(self, version: DatasetVersion) -> Images:
        """Return the images of a version, ready to be searched. Raises StorageError."""
        return self._images.get((version.name, version.fingerprint), lambda: Images(version.table()))

    def find(self, version: DatasetVersion, query: Query) -> pd.DataFrame:
        """Return the rows that match a query, in the order of their paths.

        Raises:
            StorageError: the version is damaged.
        """
        key = (version.name, version.fingerprint, query)
        return self._found.get(key, lambda: self.images(version).find(query))

    def among(self, version: DatasetVersion, show: str) -> tuple[str, ...] | None:
        """Return the ids of the images that `show` names, the worst or oldest first; None stands for all.

        Args:
            show: `all`, `unlabelled`, `waiting` (labelled, without a split yet), `review`, or the key of a finding.
        """
        if show == "all":
            return None
        if show in ("unlabelled", "waiting"):
            table = self.images(version).table
            bare = table["label"].isna()
            wanted = bare if show == "unlabelled" else ~bare & table["split"].isna()
            return tuple(table.index[wanted])
        if show == "review":
            return tuple(review.image_id for review in self._store.reviews.list(version.name))
        report = self.audit(version.name)
        finding = report.find(show) if report else None
        if finding is None:
            return ()
        together = [image for group in finding.facts.get("groups", ()) for image in group]
        return tuple(dict.fromkeys([*together, *finding.image_ids]))  # images that belong together, side by side

    def label_of(self, name: str, image_id: str) -> str | None:
        """Return an image's label in the newest version; None if it has none, or is not there (any more)."""
        try:
            label = self.images(self.version(name)).table["label"].get(image_id)
        except (DatasetError, StorageError):
            return None
        return label if isinstance(label, str) else None

    def reviews(self, name: str) -> dict[str, str]:
        """Return the images that are still on the review list, with their notes."""
        return {review.image_id: review.note for review in self._store.reviews.list(name)}

    def trained(self, name: str) -> bool:
        """Return whether a run on this data set has finished."""
        return any(run.dataset == name and run.state == State.FINISHED for run in self._store.runs.list())

    def thumbnails(self, version: DatasetVersion, contents: Iterable[str]) -> dict[str, Path]:
        """Return small pictures of a version's images by SHA-256; those that can't be read are left out."""
        return thumbnails(self._store, contents, rendering=self._rendering(version))

    def photo(self, version: DatasetVersion, sha256: str) -> Path:
        """Return a large picture, at most 1024 pixels wide and high. Raises ImageError."""
        return thumbnail(self._store, sha256, LARGE_SIDE, self._rendering(version))

    def _rendering(self, version: DatasetVersion) -> Rendering | None:
        return self._renderings.get((version.name, version.number, version.created_at), version.rendering)

    def original(self, sha256: str) -> Path:
        """Return the file as it was imported."""
        return self._store.blobs.path(sha256)

    def prepare_photos(self, version: DatasetVersion, contents: Sequence[str]) -> None:
        """Make large pictures ahead of time, in the background."""

        rendering = self._rendering(version)

        def make() -> None:
            with AHEAD:
                thumbnails(self._store, contents, LARGE_SIDE, rendering)

        threading.Thread(target=make, name="photos ahead", daemon=True).start()

    def report(self, version: DatasetVersion) -> ImportReport | None:
        """Return the report of the import behind a version; None if none was stored."""
        try:
            return self._reports.get((version.name, version.fingerprint), lambda: load_report(version))
        except StorageError:
            return None

    def quarantined(self, name: str) -> list[Quarantined]:
        """Return the rejected files in quarantine."""
        return quarantined(self._store, name)

    # -------------------------------------------------------------------- audit

    def audit(self, name: str) -> AuditReport | None:
        """Return the newest audit of a data set, possibly of an older version; None if there is none."""
        for version in reversed(list_versions(self._store, name)):
            path = version.folder / AUDIT_FILE
            try:
                stamp = path.stat().st_mtime_ns
            except OSError:
                continue
            found = self._audits.get((name, version.fingerprint, stamp), partial(stored_audit, version))
            if found is not None:
                return found
        return None

    def plan_repair(self, name: str, key: str) -> RepairPlan:
        """Return what fixing a finding would do. Raises DatasetError if there is no safe fix."""
        return plan_repair(self._store, name, key)

    def repair(self, plan: RepairPlan) -> DatasetVersion:
        """Carry out a repair plan. Raises DatasetError if the data set has changed meanwhile."""
        return carry_out(self._store, plan)

    # ------------------------------------------------------------------ changing

    def relabel(self, name: str, labels: Mapping[str, str | None], reason: str = "") -> DatasetVersion:
        """Relabel images (by id); None removes the label.

        Raises:
            DatasetError: there is no such data set, or it has no such image.
        """
        return edits.relabel(self._store, name, dict(labels), reason=reason)

    def move(self, name: str, image_ids: Collection[str], split: Split) -> DatasetVersion:
        """Put images into another split. Raises DatasetError."""
        return edits.move(self._store, name, dict.fromkeys(image_ids, split))

    def remove(self, name: str, image_ids: Collection[str]) -> DatasetVersion:
        """Leave images out of the next version. Raises DatasetError."""
        return edits.remove(self._store, name, image_ids)

    def rename_class(self, name: str, old: str, new: str) -> DatasetVersion:
        """Rename a class. Raises DatasetError, UsageError."""
        return edits.rename_class(self._store, name, old, new)

    def merge_classes(self, name: str, olds: Collection[str], into: str) -> DatasetVersion:
        """Merge classes. Raises DatasetError, UsageError."""
        return edits.merge_classes(self._store, name, olds, into)

    def release_warnings(self, name: str, image_ids: Iterable[str]) -> list[str]:
        """Return warnings about training on images that champions are tested on."""
        splits = dict.fromkeys(image_ids, "train")
        return release_warnings(released(test_images_of_champions(self._store, name), splits))

    def plan_resplit(
        self, name: str, ratios: Sequence[float] | None = None, *, release_test_images: bool = False
    ) -> ResplitPlan:
        """Return what a new split would do; see :func:`workflows.data.resplit.plan_resplit`."""
        return plan_resplit(self._store, name, ratios, release_test_images=release_test_images)

    def carry_out_resplit(self, plan: ResplitPlan) -> DatasetVersion:
        """Carry out a planned split. Raises DatasetError if the data set has changed meanwhile."""
        return carry_out_resplit(self._store, plan)

    def timeline(self, name: str) -> Timeline:
        """Return where undo and redo lead."""
        return timeline(list_versions(self._store, name))

    def undo(self, name: str) -> DatasetVersion:
        """Take the last change back. Raises DatasetError."""
        return undoing.undo(self._store, name)

    def redo(self, name: str) -> DatasetVersion:
        """Make the change that was undone last again. Raises DatasetError."""
        return undoing.redo(self._store, name)

    def restore(self, name: str, number: int) -> DatasetVersion:
        """Go back to a version. Raises DatasetError."""
        return undoing.restore(self._store, name, number)

    def add_to_review(self, name: str, image_ids: Iterable[str], note: str = "") -> int:
        """Put images on the data set's review list; return how many."""
        return self._store.reviews.add(name, image_ids, note)

    def reviewed(self, name: str, image_ids: Iterable[str]) -> None:
        """Take images off the review list."""
        self._store.reviews.mark_done(name, image_ids)

    def review_again(self, name: str, image_ids: Iterable[str]) -> None:
        """Put images back on the review list that were taken off it, with their notes."""
        self._store.reviews.reopen(name, image_ids)

    # ------------------------------------------------------------------- history

    def history(self, name: str) -> list[DatasetVersion]:
        """Return all versions of a data set, newest first. Raises DatasetError."""
        return list_versions(self._store, name)[::-1]

    def diff(self, name: str, before: int, after: int) -> histories.VersionDiff:
        """Return how a version differs from another. Raises DatasetError."""
        key = (name, before, after, self.version(name, after).fingerprint)
        return self._differences.get(key, lambda: histories.diff(self._store, name, before, after))

    def deletion_plan(self, name: str) -> deletion.DeletionPlan:
        """Return what deleting a data set would remove. Raises DatasetError."""
        return deletion.deletion_plan(self._store, name)

    def delete(self, name: str, force: bool = False) -> deletion.Deletion:
        """Delete a data set. Raises DatasetError."""
        return deletion.delete_dataset(self._store, name, force)

    # -------------------------------------------------------------------- labels

    def labels_csv(self, version: DatasetVersion) -> bytes:
        """Return `filename,label,split` of all images as a CSV file in which no spreadsheet finds formulas."""
        return csv_of(labels_of(version))

    def label_changes(
        self, version: DatasetVersion, content: bytes, encoding: str | None = None, columns: Columns = BY_NAME
    ) -> LabelChanges:
        """Return what a table of images and labels would change; see :func:`~workflows.data.given_labels.given_labels`.

        Raises:
            SourceError: it is no such table.
            UsageError: an unknown encoding.
        """
        with tempfile.TemporaryDirectory(prefix="fieldguide-") as folder:
            path = Path(folder) / "labels.csv"
            path.write_bytes(content)
            given = given_labels(version, path, encoding, columns)
        table = self.images(version).table
        by_path = table.reset_index().groupby("path")["image_id"].agg(list)
        wanted: dict[str, str | None] = {}
        unknown: list[str] = []
        for name, label in given.items():
            ids = [name] if name in table.index else by_path.get(name, [])
            unknown += [] if ids else [name]
            wanted.update(dict.fromkeys(ids, label))
        before = table["label"].reindex(list(wanted)).fillna("")
        changing = [image for image, label in wanted.items() if before.at[image] != label]
        rows = pd.DataFrame(
            {
                "filename": table["path"].reindex(changing).tolist(),
                "before": before.reindex(changing).tolist(),
                "after": [wanted[image] for image in changing],
            }
        )
        new = sorted({str(wanted[image]) for image in changing} - set(version.classes), key=natural_key)
        labels = {image: wanted[image] for image in changing}
        return LabelChanges(labels, rows, len(wanted) - len(changing), tuple(unknown), tuple(new))


def suggest_name(text: str) -> str:
    """Return a name for a data set, made from a file's or a folder's."""
    return slug(text, fallback="photos")


def expected_splits(counts: Mapping[str, int], ratios: Sequence[float]) -> pd.DataFrame:
    """Return about how many images of each class (rows) each split would get: copies and groups stay together.

    Raises:
        UsageError: the ratios are invalid.
    """
    shares = check_ratios(ratios)
    rows = {label: quotas(number, shares) for label, number in counts.items()}
    return pd.DataFrame(
        [[rows[label].get(split, 0) for split in SPLITS] for label in counts], index=list(counts), columns=list(SPLITS)
    )


def too_small(counts: Mapping[str, int], ratios: Sequence[float]) -> list[str]:
    """Return the classes that have fewer images than there are splits."""
    needed = len(check_ratios(ratios))
    return [label for label, number in counts.items() if number < needed]


__all__ = [
    "SETTLED_BY_RESPLIT",
    "SPLITS",
    "AuditReport",
    "DatasetVersion",
    "Datasets",
    "Finding",
    "ImageChange",
    "Images",
    "LabelChanges",
    "Query",
    "RepairPlan",
    "ResplitPlan",
    "Split",
    "counts_in_words",
    "expected_splits",
    "suggest_name",
    "too_small",
]

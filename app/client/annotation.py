"""Labels given one by one: each is saved before the next image is shown, and many together become one version.

::

    HOME/annotations/NAME/journal.jsonl     labels since the last version, one line each
    HOME/annotations/NAME/recording.jsonl   labels being recorded as a version, or left by a crash while they were
    HOME/annotations/NAME/classes.json      classes that were added but have no image yet
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from workflows.data.catalog import get_version
from workflows.data.edits import clean_label, relabel
from workflows.data.version import DatasetVersion, in_natural_order
from workflows.errors import FieldguideError, StorageError
from workflows.state import State
from workflows.store.files import read_json, storage_errors, write_atomic, write_json
from workflows.store.locks import hold
from workflows.store.names import counted
from workflows.store.store import Store

if TYPE_CHECKING:
    from app.client.datasets import Datasets

IDLE_SECONDS = 90.0
"""Labels become a version this long after the last one, so that none stay in a journal."""
MOST_PENDING = 200
"""Or once there are this many."""


class Annotation:
    """Saves labels at once, and records them as versions. Safe to use from many sessions (threads) at once."""

    _timers: ClassVar[dict[str, threading.Timer]] = {}
    _guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, store: Store, idle_seconds: float = IDLE_SECONDS) -> None:
        self._store, self._idle = store, idle_seconds

    # ------------------------------------------------------------------- labels

    def give(self, name: str, image_id: str, label: str | None) -> None:
        """Save a person's label for an image (None removes it); it is on disk when this returns.

        Raises:
            UsageError: an invalid label.
            StorageError: the disk is full or can't be written.
        """
        line = json.dumps({"image": image_id, "label": None if label is None else clean_label(label)}) + "\n"
        path = self._folder(name) / "journal.jsonl"
        with self._guard, storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as journal:
                journal.write(line)
                journal.flush()
                os.fsync(journal.fileno())
        self._record_later(name)

    def take_back(self, name: str, image_id: str, label: str | None, before: str | None) -> None:
        """Undo `label`, the last one of an image: one that is in no version yet is gone as if it had never been given.

        Args:
            before: the label that the image had before.

        Raises:
            StorageError: the disk is full or can't be written.
        """
        path = self._folder(name) / "journal.jsonl"
        with self._guard, storage_errors(path):
            lines = _lines(path)
            last = max((place for place, line in enumerate(lines) if line["image"] == image_id), default=None)
            if last is not None and lines[last]["label"] == label:
                del lines[last]
                write_atomic(path, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
                return
        self.give(name, image_id, before)

    def pending(self, name: str) -> dict[str, str | None]:
        """Return the labels that are in no version yet: image id -> latest label."""
        folder = self._folder(name)
        with self._guard:
            lines = [*_lines(folder / "recording.jsonl"), *_lines(folder / "journal.jsonl")]
        return {str(line["image"]): line["label"] for line in lines}

    def record(self, name: str) -> DatasetVersion | None:
        """Make a version of what is pending; None if there is nothing. Images that were removed meanwhile are left out.

        Raises:
            DatasetError: there is no such data set.
            StorageError: the disk is full or can't be written; the labels stay in the journal.
        """
        self._forget_timer(name)
        folder = self._folder(name)
        if not self.pending(name):
            return None
        with hold(self._store.locks_folder / f"annotation-{name}.lock"):
            with self._guard, storage_errors(folder):
                _gather(folder / "journal.jsonl", folder / "recording.jsonl")
            given = {str(line["image"]): line["label"] for line in _lines(folder / "recording.jsonl")}
            version = get_version(self._store, name)
            present = set(version.table()["image_id"])
            known = {image: label for image, label in given.items() if image in present}
            if known:
                version = relabel(self._store, name, known, reason=f"labelled {counted(len(known), 'image')} by hand")
            with storage_errors(folder):
                (folder / "recording.jsonl").unlink(missing_ok=True)
        return version

    def discard(self, name: str) -> None:
        """Discard pending labels."""
        self._forget_timer(name)
        folder = self._folder(name)
        with hold(self._store.locks_folder / f"annotation-{name}.lock"), self._guard, storage_errors(folder):
            for file in ("journal.jsonl", "recording.jsonl"):
                (folder / file).unlink(missing_ok=True)

    def _record_later(self, name: str) -> None:
        wait = 0.0 if len(self.pending(name)) >= MOST_PENDING else self._idle
        timer = threading.Timer(wait, self._record_quietly, (name,))
        timer.daemon = True
        with self._guard:
            old = self._timers.pop(str(self._folder(name)), None)
            self._timers[str(self._folder(name))] = timer
        if old is not None:
            old.cancel()
        timer.start()

    def _record_quietly(self, name: str) -> None:
        try:
            self.record(name)
        except FieldguideError:
            return  # it is still pending, and the page shows why once somebody records it

    def _forget_timer(self, name: str) -> None:
        with self._guard:
            timer = self._timers.pop(str(self._folder(name)), None)
        if timer is not None and timer is not threading.current_thread():
            timer.cancel()

    # ------------------------------------------------------------------ classes

    def classes(self, version: DatasetVersion) -> list[str]:
        """Return the classes that an image can get: those of the version, and those added or pending."""
        pending = {label for label in self.pending(version.name).values() if label is not None}
        return list(in_natural_order({*version.classes, *self._named(version.name), *pending}))

    def name_classes(self, name: str, classes: Iterable[str]) -> list[str]:
        """Add classes that no image has yet; return those that are new.

        Raises:
            UsageError: an invalid name.
            StorageError: the disk is full or can't be written.
        """
        cleaned = list(dict.fromkeys(clean_label(each) for each in classes if each.strip()))
        named = self._named(name)
        fresh = [each for each in cleaned if each not in named]
        write_json(self._folder(name) / "classes.json", [*named, *fresh])
        return fresh

    def unname_class(self, name: str, label: str) -> None:
        """Remove an added class; images that have it keep it."""
        write_json(self._folder(name) / "classes.json", [each for each in self._named(name) if each != label])

    def _named(self, name: str) -> list[str]:
        try:
            return [str(each) for each in read_json(self._folder(name) / "classes.json")]
        except (StorageError, TypeError):
            return []

    def forget(self, name: str) -> None:
        """Remove all files of a deleted data set."""
        self.discard(name)
        (self._folder(name) / "classes.json").unlink(missing_ok=True)

    # -------------------------------------------------------------------- queue

    def least_sure(self, name: str) -> list[str]:
        """Return the images that the newest finished run of a data set predicted, the least confident first."""
        from app.client.evaluation import Evaluation  # scikit-learn: imported only where it is needed

        evaluation = Evaluation(self._store)
        for run in self._store.runs.list():  # the newest comes first
            finals = evaluation.subject(run.run_id).finals if (run.dataset, run.state) == (name, State.FINISHED) else ()
            if finals:
                frames = [evaluation.evaluated(run.run_id, split).frame for split in finals]
                answers = pd.concat([frame[["image_id", "confidence"]] for frame in frames])
                return [str(image) for image in answers.sort_values(["confidence", "image_id"])["image_id"]]
        return []

    def _folder(self, name: str) -> Path:
        return self._store.home / "annotations" / name


def queues(datasets: Datasets, version: DatasetVersion) -> dict[str, str]:
    """Return the queues with their titles: the most useful first."""
    images = datasets.images(version)
    offered = {"unlabelled": f"Without a label ({images.unlabelled:,})"} if images.unlabelled else {}
    reviews = len(datasets.reviews(version.name))
    offered |= {"review": f"Review list ({reviews:,})"} if reviews else {}
    offered |= (
        {"least-confident": "Least confident predictions of the newest model"} if datasets.trained(version.name) else {}
    )
    offered["all"] = f"All photos ({version.images:,})"
    report = datasets.audit(version.name)
    for finding in report.findings if report else ():
        if finding.image_ids:
            offered[f"finding:{finding.key}"] = f"Finding: {finding.title}"
    numbers = zip(map(str, images.counts.index), images.counts["all"].tolist(), strict=True)
    return offered | {f"class:{label}": f"Class {label} ({number:,})" for label, number in numbers}


def queue_ids(datasets: Datasets, annotation: Annotation, version: DatasetVersion, queue: str) -> list[str]:
    """Return the images of a queue in their order; of those without a label, none that has one by now."""
    kind, _, what = queue.partition(":")
    table = datasets.images(version).table
    if kind == "class":
        return list(table.index[table["label"] == what])
    if kind == "least-confident":
        return [image for image in annotation.least_sure(version.name) if image in table.index]
    among = datasets.among(version, what or kind)
    found = list(table.index) if among is None else [image for image in among if image in table.index]
    if kind != "unlabelled":
        return found
    pending = annotation.pending(version.name)
    return [image for image in found if pending.get(image) is None]


def _lines(path: Path) -> list[dict[str, str | None]]:
    """Return the contents of a journal; a truncated last line is ignored."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    found = []
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and {"image", "label"} <= document.keys():
            found.append(document)
    return found


def _gather(journal: Path, recording: Path) -> None:
    """Put the labels of an interrupted recording back before those of the journal."""
    if not journal.exists():
        return
    if not recording.exists():
        journal.replace(recording)
        return
    with recording.open("ab") as file:
        file.write(b"\n" + journal.read_bytes())
        file.flush()
        os.fsync(file.fileno())
    journal.unlink()

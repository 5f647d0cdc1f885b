"""Photos dropped for prediction: on disk for a while, in no data set."""

from __future__ import annotations

import io
import secrets
import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from weakref import WeakKeyDictionary

import pandas as pd
from PIL import Image

from app.client.arrivals import is_archive, is_photo
from app.client.inference import Inference, Photo, Prediction
from app.client.uploads import Batch, Uploads
from workflows.data.catalog import rendering_of_run
from workflows.data.images import read_rgb
from workflows.data.importing import add_dataset
from workflows.data.rendering import Rendering
from workflows.data.reports import ImportReport
from workflows.data.sources import UNLABELLED, open_source
from workflows.errors import FieldguideError, ImageError, SourceError, StorageError
from workflows.serving.limits import Limits
from workflows.store.files import storage_errors
from workflows.store.names import printable
from workflows.store.store import Store

KEPT_SECONDS = 24 * 3600.0
THUMBNAIL_SIDE, PREVIEW_SIDE = 96, 640
TOP = 5
DECODERS = 4
MAX_PHOTO_BYTES = Limits().file_bytes
"""A larger photo is not sent to the server, which would refuse it."""


@dataclass(frozen=True)
class DroppedPhoto:
    """One file: its name for the person, and its path for now."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True)
class Drop:
    """Everything dropped at once; its files are deleted with its batch.

    Attributes:
        photos: in the order of their names.
        ignored: (name, reason) of files that are no photos.
    """

    photos: tuple[DroppedPhoto, ...]
    ignored: tuple[tuple[str, str], ...]


@dataclass
class Predicting:
    """A prediction of many photos, running in a thread; its results only grow."""

    run_id: str
    batch: Batch
    drop: Drop
    results: list[Prediction] = field(default_factory=list)
    error: FieldguideError | None = None
    stopped: bool = False
    finished: bool = False

    def stop(self) -> None:
        """Stop it; what it has so far stays."""
        self.stopped = True

    def table(self) -> pd.DataFrame:
        """Return one row per answered photo.

        Columns: `number` (its place in the drop), `file`, `label`, `confidence` (NaN where there is none), `label_2`,
        `confidence_2`, …, `error` (empty where there is none).
        """
        return pd.DataFrame([_row(number, result) for number, result in enumerate(list(self.results))])


class Drops:
    """Accepts photos, has them predicted, and sends those to review to annotation."""

    def __init__(self, store: Store, inference: Inference) -> None:
        self._store, self._inference, self._uploads = store, inference, Uploads(store)
        self._folder = store.cache_folder / "drops"
        self._drops: WeakKeyDictionary[Batch, Drop | FieldguideError] = WeakKeyDictionary()

    def take(self, batch: Batch) -> Drop:
        """Return the photos of a batch that has arrived; archives are unpacked under the same rules as for imports.

        Repeated calls for the same batch return the same result.

        Raises:
            SourceError: there is no photo, or the archive is rejected.
            StorageError: the disk is full or can't be written.
        """
        with batch.sorting, self._uploads.working(batch):
            if batch not in self._drops:
                try:
                    self._drops[batch] = self._sorted(batch)
                except FieldguideError as error:
                    self._drops[batch] = error
            taken = self._drops[batch]
        if isinstance(taken, FieldguideError):
            raise taken
        return taken

    def _sorted(self, batch: Batch) -> Drop:
        """Separate photos, archives and other files."""
        photos: list[DroppedPhoto] = []
        ignored: list[tuple[str, str]] = []
        refused: list[FieldguideError] = []
        for name in sorted(batch.files):
            path = batch.folder / "files" / name
            if is_photo(name):
                photos.append(DroppedPhoto(printable(name), path, path.stat().st_size))
            elif not is_archive(name):
                ignored.append((printable(name), "not an image file"))
            else:
                try:
                    self._unpack(batch, name, photos, ignored)
                except (SourceError, StorageError) as error:
                    refused.append(error)
                    ignored.append((printable(name), error.message))
        if not photos:
            raise (
                refused[0]
                if refused
                else SourceError(
                    "There is no photo in what was dropped.", "Drop photos, a folder of photos, or a zip of photos."
                )
            )
        return Drop(tuple(sorted(photos, key=lambda photo: photo.name)), tuple(ignored))

    def _unpack(self, batch: Batch, name: str, photos: list[DroppedPhoto], ignored: list[tuple[str, str]]) -> None:
        archive, folder = batch.folder / "files" / name, batch.folder / "unpacked" / secrets.token_hex(8)
        try:
            with storage_errors(folder), open_source(archive, reading=UNLABELLED, workspace=folder / "all") as found:
                unpacked = []
                for entry in found.entries:
                    path = folder / f"{secrets.token_hex(8)}{PurePosixPath(entry.relative.lower()).suffix}"
                    entry.path.rename(path)
                    unpacked.append(DroppedPhoto(printable(entry.relative), path, path.stat().st_size))
                self._uploads.replace(batch, name, len(unpacked), sum(photo.size for photo in unpacked))
        except FieldguideError as error:
            shutil.rmtree(folder, ignore_errors=True)
            # the message has the file's temporary path
            error.message = error.message.replace(str(archive), printable(name))
            raise
        photos += unpacked
        ignored += [(f"{printable(name)}: {printable(inner)}", reason) for inner, reason in found.ignored]

    def _sweep(self) -> None:
        oldest = time.time() - KEPT_SECONDS
        for folder in self._folder.glob("*"):
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)

    def predict(self, run_id: str, batch: Batch) -> Predicting:
        """Start to predict all photos of a batch, in a thread of its own. Raises as `take` does."""
        job = Predicting(run_id, batch, self.take(batch))
        threading.Thread(target=self._work, args=(job,), name="predict", daemon=True).start()
        return job

    def _work(self, job: Predicting) -> None:
        try:
            with self._uploads.working(job.batch):
                for part in _parts(job.drop.photos):
                    if job.stopped:
                        break
                    job.results += self._answers(job.run_id, part)
        except FieldguideError as error:
            job.error = error
        except OSError as error:
            job.error = SourceError(f"The dropped photos can't be read any more: {error.strerror}.", "Drop them again.")
        finally:
            job.finished = True

    def _answers(self, run_id: str, photos: Sequence[DroppedPhoto]) -> list[Prediction]:
        fitting = [photo for photo in photos if photo.size <= MAX_PHOTO_BYTES]
        sent = [Photo(photo.name, photo.size, photo.path.read_bytes) for photo in fitting]
        answers = iter(self._inference.predict(run_id, sent, TOP) if sent else ())
        too_large = f"The file is larger than {MAX_PHOTO_BYTES // 1024**2} MB."
        return [next(answers) if photo in fitting else Prediction(file=photo.name, error=too_large) for photo in photos]

    def thumbnails(self, run_id: str, photos: Iterable[DroppedPhoto]) -> list[bytes | None]:
        """Return a small JPEG of each photo as a run's model sees it, made once; None if it can't be read."""
        rendering = rendering_of_run(self._store, run_id)
        with ThreadPoolExecutor(DECODERS) as pool:
            return list(pool.map(lambda photo: _thumbnail(photo, THUMBNAIL_SIDE, rendering), photos))

    def preview(self, run_id: str, photo: DroppedPhoto) -> bytes | None:
        """Return a JPEG of a photo for a part of a page, made once; None if it can't be read."""
        return _thumbnail(photo, PREVIEW_SIDE, rendering_of_run(self._store, run_id))

    def content(self, photo: DroppedPhoto) -> bytes:
        """Return a photo's bytes. Raises SourceError if it is larger than may be sent, or is no longer there."""
        if photo.size > MAX_PHOTO_BYTES:
            raise SourceError(
                f"{photo.name} is larger than {MAX_PHOTO_BYTES // 1024**2} MB.", "Drop a smaller copy of it."
            )
        try:
            return photo.path.read_bytes()
        except OSError as error:
            raise SourceError(f"{photo.name} can't be read any more: {error.strerror}.", "Drop it again.") from error

    def send_to_annotation(self, dataset: str, photos: Sequence[DroppedPhoto]) -> ImportReport:
        """Add photos to a data set without a label; the data set is created if it does not exist.

        Raises:
            UsageError: a data set can't have this name.
            SourceError: too many can't be read.
            StorageError: the disk is full or can't be written.
        """
        self._sweep()
        folder = self._folder / f"to-annotate-{secrets.token_hex(8)}"
        try:
            with storage_errors(folder):
                folder.mkdir(parents=True)
                for name, photo in zip(_file_names(photos), photos, strict=True):
                    shutil.copyfile(photo.path, folder / name)
            return add_dataset(self._store, dataset, folder, reading=UNLABELLED)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _parts(photos: Sequence[DroppedPhoto], size: int = 16) -> list[Sequence[DroppedPhoto]]:
    return [photos[start : start + size] for start in range(0, len(photos), size)]


def _row(number: int, result: Prediction) -> dict[str, object]:
    row: dict[str, object] = {"number": number, "file": result.file, "label": result.label or ""}
    row["confidence"] = result.confidence if result.confidence is not None else float("nan")
    for rank, score in enumerate((result.top or [])[1:], start=2):
        row |= {f"label_{rank}": score.label, f"confidence_{rank}": score.confidence}
    return row | {"error": result.error or ""}


def _file_names(photos: Sequence[DroppedPhoto]) -> list[str]:
    """Return a unique, safe file name for each photo, as close as possible to its own."""
    taken: set[str] = set()
    names = []
    for photo in photos:
        stem = "".join(c if c.isalnum() or c in "-_ " else "_" for c in PurePosixPath(photo.name).stem)[:80] or "photo"
        suffix = photo.path.suffix or ".jpg"  # the content decides the format
        name, number = f"{stem}{suffix}", 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _thumbnail(photo: DroppedPhoto, side: int, rendering: Rendering | None) -> bytes | None:
    path = photo.path.with_name(f"{photo.path.name}.{side}{rendering.key if rendering else ''}")
    try:
        if path.exists():
            return path.read_bytes()
        picture = Image.fromarray(read_rgb(photo.path, rendering))
        picture.thumbnail((side, side))
        content = io.BytesIO()
        picture.save(content, format="JPEG", quality=85)
        path.write_bytes(content.getvalue())
        return content.getvalue()
    except (ImageError, OSError):
        return None

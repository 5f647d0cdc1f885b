"""Photos that a person dropped to have them predicted: kept on disk for a while, belonging to no data set."""

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
from typing import BinaryIO

import pandas as pd
from PIL import Image

from app.client.inference import Inference, Photo, Prediction
from workflows.data.folders import IMAGE_SUFFIXES
from workflows.data.images import read_rgb
from workflows.data.importing import add_dataset
from workflows.data.reports import ImportReport
from workflows.data.sources import open_source
from workflows.errors import FieldguideError, ImageError, SourceError
from workflows.store.files import storage_errors
from workflows.store.names import printable
from workflows.store.store import Store

KEPT_SECONDS = 24 * 3600.0
THUMBNAIL_SIDE = 96
TOP = 5
DECODERS = 4
ARCHIVES = ("zip", "tar", "tgz", "gz", "bz2", "xz")


@dataclass(frozen=True)
class DroppedPhoto:
    """One file: the name that the person knows it by, and where it lies meanwhile."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True)
class Drop:
    """Everything dropped at once.

    Attributes:
        folder: holds the files; removed by `Drops.discard`, or after a day.
        photos: in the order of their names.
        ignored: (name, reason) of what is no photo.
    """

    folder: Path
    photos: tuple[DroppedPhoto, ...]
    ignored: tuple[tuple[str, str], ...]


@dataclass
class Predicting:
    """A prediction of many photos, under way in a thread; only ever grows."""

    run_id: str
    drop: Drop
    results: list[Prediction] = field(default_factory=list)
    error: FieldguideError | None = None
    stopped: bool = False
    finished: bool = False

    def stop(self) -> None:
        """Ask it to end with what it has."""
        self.stopped = True

    def table(self) -> pd.DataFrame:
        """Return one row per answered photo.

        Columns: `number` (its place in the drop), `file`, `label`, `confidence` (NaN where there is none), `label_2`,
        `confidence_2`, …, `error` (empty where there is none).
        """
        return pd.DataFrame([_row(number, result) for number, result in enumerate(list(self.results))])


class Drops:
    """Takes photos in, has them predicted, and hands the doubtful ones to annotation."""

    def __init__(self, store: Store, inference: Inference) -> None:
        self._store, self._inference = store, inference
        self._folder = store.cache_folder / "drops"

    def take(self, files: Sequence[tuple[str, BinaryIO]]) -> Drop:
        """Keep dropped files on disk; archives are unpacked under the same rules as for imports.

        Args:
            files: (name, content) of photos and archives.

        Raises:
            SourceError: an archive is refused, or there is not one photo.
            StorageError: the disk is full or can't be written.
        """
        self._sweep()
        folder = self._folder / secrets.token_hex(8)
        photos: list[DroppedPhoto] = []
        ignored: list[tuple[str, str]] = []
        try:
            with storage_errors(folder):
                folder.mkdir(parents=True)
                for name, content in files:
                    kept = self._keep(folder, name, content)
                    if _is_archive(name):
                        self._unpack(folder, kept, photos, ignored)
                    else:
                        photos.append(kept)
            if not photos:
                raise SourceError("There is no photo in what was dropped.", "Drop photos, or a zip of photos.")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Drop(folder, tuple(sorted(photos, key=lambda photo: photo.name)), tuple(ignored))

    def _keep(self, folder: Path, name: str, content: BinaryIO) -> DroppedPhoto:
        path = folder / f"{secrets.token_hex(8)}{_suffix(name)}"
        content.seek(0)
        with path.open("wb") as file:
            shutil.copyfileobj(content, file)
        return DroppedPhoto(printable(name), path, path.stat().st_size)

    def _unpack(
        self, folder: Path, archive: DroppedPhoto, photos: list[DroppedPhoto], ignored: list[tuple[str, str]]
    ) -> None:
        try:
            with open_source(archive.path, workspace=folder / "unpacking", unlabelled=True) as found:
                for entry in found.entries:
                    path = folder / f"{secrets.token_hex(8)}{_suffix(entry.relative)}"
                    entry.path.rename(path)
                    photos.append(DroppedPhoto(printable(entry.relative), path, path.stat().st_size))
                ignored += [(f"{archive.name}: {name}", reason) for name, reason in found.ignored]
        except SourceError as error:  # it names the file by the name that we gave it
            words = error.message.replace(str(archive.path), archive.name).replace(archive.path.name, archive.name)
            raise SourceError(words, error.hint) from error
        finally:
            archive.path.unlink(missing_ok=True)

    def discard(self, drop: Drop) -> None:
        """Remove the files of a drop."""
        shutil.rmtree(drop.folder, ignore_errors=True)

    def _sweep(self) -> None:
        oldest = time.time() - KEPT_SECONDS
        for folder in self._folder.glob("*"):
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)

    def predict(self, run_id: str, drop: Drop) -> Predicting:
        """Begin to predict all photos of a drop, in a thread of its own."""
        job = Predicting(run_id, drop)
        threading.Thread(target=self._work, args=(job,), name="predict", daemon=True).start()
        return job

    def _work(self, job: Predicting) -> None:
        try:
            for part in _parts(job.drop.photos):
                if job.stopped:
                    break
                photos = [Photo(photo.name, photo.size, photo.path.read_bytes) for photo in part]
                job.results += self._inference.predict(job.run_id, photos, TOP)
        except FieldguideError as error:
            job.error = error
        except OSError as error:
            job.error = SourceError(f"The dropped photos can't be read any more: {error.strerror}.", "Drop them again.")
        finally:
            job.finished = True

    def thumbnails(self, photos: Iterable[DroppedPhoto]) -> list[bytes | None]:
        """Return a small JPEG of each photo, made once; None for what can't be read."""
        with ThreadPoolExecutor(DECODERS) as pool:
            return list(pool.map(_thumbnail, photos))

    def send_to_annotation(self, dataset: str, photos: Sequence[DroppedPhoto]) -> ImportReport:
        """Add photos to a data set without a label; it is made if there is none of this name.

        Raises:
            UsageError: a data set can't have this name.
            SourceError: too many can't be read.
            StorageError: the disk is full or can't be written.
        """
        folder = self._folder / f"to-annotate-{secrets.token_hex(8)}"
        try:
            with storage_errors(folder):
                folder.mkdir(parents=True)
                for name, photo in zip(_file_names(photos), photos, strict=True):
                    shutil.copyfile(photo.path, folder / name)
            return add_dataset(self._store, dataset, folder, unlabelled=True)
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


def _is_archive(name: str) -> bool:
    return name.lower().rpartition(".")[2] in ARCHIVES


def _suffix(name: str) -> str:
    """Return the ending of a name if it is one that photos and archives have; what a stranger typed goes no further."""
    suffix = PurePosixPath(name.lower()).suffix
    return suffix if suffix in IMAGE_SUFFIXES or suffix[1:] in ARCHIVES else ""


def _file_names(photos: Sequence[DroppedPhoto]) -> list[str]:
    """Return a distinct, harmless file name for each photo, as near as possible to its own."""
    taken: set[str] = set()
    names = []
    for photo in photos:
        stem = "".join(c if c.isalnum() or c in "-_ " else "_" for c in PurePosixPath(photo.name).stem)[:80] or "photo"
        suffix = photo.path.suffix or ".jpg"  # the format is told by the content
        name, number = f"{stem}{suffix}", 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _thumbnail(photo: DroppedPhoto) -> bytes | None:
    path = photo.path.with_suffix(".thumbnail")
    try:
        if path.exists():
            return path.read_bytes()
        picture = Image.fromarray(read_rgb(photo.path))
        picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        content = io.BytesIO()
        picture.save(content, format="JPEG", quality=85)
        path.write_bytes(content.getvalue())
        return content.getvalue()
    except (ImageError, OSError):
        return None

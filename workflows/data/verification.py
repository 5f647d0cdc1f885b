"""Taking images in: each is read once, decoded once and completely, measured, and a copy of its bytes is kept.

Only so many images are in memory as are being worked on; of each that is done, a small record remains.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO, TypeVar

import pandas as pd

from workflows.data.images import ImageFacts, decode, read_file
from workflows.data.measures import Measures, measure, measured_images
from workflows.data.sources import SourceEntry
from workflows.errors import ImageError
from workflows.progress import Progress
from workflows.store.blobs import Blobs
from workflows.store.files import storage_errors

Item = TypeVar("Item")
Result = TypeVar("Result")

_SETTLE_EVERY = 20  # images between two flushes of their names: what a cut may cost is decoded again


@dataclass(frozen=True, slots=True)
class VerifiedImage:
    """An image of a source after looking at it: what it is, or why it can't be used."""

    entry: SourceEntry
    sha256: str = ""
    facts: ImageFacts | None = None
    reason: str = ""
    measures: Measures | None = None


@dataclass(frozen=True, slots=True)
class KnownImage:
    """What was learnt of an image when it was decoded."""

    facts: ImageFacts
    measures: Measures


class Journal:
    """What is known of images by their SHA-256; what is learnt anew is written down at once.

    An import that was killed finds here what it had verified. Used by one process at a time.
    """

    def __init__(self, path: Path, known: Mapping[str, KnownImage]) -> None:
        self._path = path
        self.known = {**_written(path), **known}
        self._stream: TextIO | None = None

    def __enter__(self) -> Journal:
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("a", encoding="utf-8")
            self._stream.write("\n")  # ends a line that a killed process left half-written
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError):  # a full disk: what is lost here is only decoded again
                self._stream.close()

    def note(self, images: Iterable[VerifiedImage]) -> None:
        """Write down verified images, whose copies are safe in the store."""
        lines = []
        for image in images:
            if image.facts is not None and image.measures is not None and image.sha256 not in self.known:
                self.known[image.sha256] = KnownImage(image.facts, image.measures)
                record = {"sha256": image.sha256, **asdict(image.facts), "measures": asdict(image.measures)}
                lines.append(json.dumps(record) + "\n")
        if lines and self._stream is not None:
            with storage_errors(self._path):
                self._stream.write("".join(lines))
                self._stream.flush()

    def forget(self) -> None:
        """Remove the file, once a version's own table holds all this."""
        self._path.unlink(missing_ok=True)


def _written(path: Path) -> dict[str, KnownImage]:
    known: dict[str, KnownImage] = {}
    if not path.exists():
        return known
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                record = json.loads(line)
                sha256, measures = record.pop("sha256"), Measures(**record.pop("measures"))
                known[sha256] = KnownImage(ImageFacts(**record), measures)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # half a line, or written by an older programme; the image is verified again
    return known


def known_images(table: pd.DataFrame | None, measures: pd.DataFrame | None = None) -> dict[str, KnownImage]:
    """Return what a version knows of its images, by SHA-256.

    Args:
        table: the version's rows.
        measures: its measured facts (:func:`~workflows.data.measures.measures_table`). Images that are missing there are left out, so that
            they will be measured.
    """
    if table is None or measures is None:
        return {}
    measured = dict(measured_images(measures))
    columns = ["sha256", "width", "height", "mode", "format", "orientation"]
    return {
        sha256: KnownImage(ImageFacts(width, height, mode, kind, orientation, mode != "RGB"), measured[sha256])
        for sha256, width, height, mode, kind, orientation in table[columns].itertuples(index=False)
        if sha256 in measured
    }


def verify_images(
    entries: Sequence[SourceEntry],
    blobs: Blobs,
    journal: Journal,
    progress: Progress,
    threads: int | None = None,
) -> list[VerifiedImage]:
    """Decode every image and keep a copy of those that are sound; the outcome has the order of `entries`.

    Args:
        journal: images verified before are not decoded again; new ones are noted there.
        threads: decoders at once (they release Python's lock); default: one for each core, and one for the disk.

    Raises:
        StorageError: the store's disk is full, read-only or refuses.
    """
    outcome: list[VerifiedImage] = []
    unsettled: set[Path] = set()

    def verify(entry: SourceEntry) -> VerifiedImage:
        return _verify(entry, blobs, unsettled, journal.known)

    for image in in_order(verify, entries, threads or cores() + 1):
        outcome.append(image)
        if len(outcome) % _SETTLE_EVERY == 0 or len(outcome) == len(entries):
            # in this order: what the journal names is safe on the disk
            blobs.settle(unsettled)
            journal.note(outcome[-_SETTLE_EVERY:])
            progress("import", len(outcome), len(entries), image.entry.relative)
    return outcome


def _verify(entry: SourceEntry, blobs: Blobs, unsettled: set[Path], known: Mapping[str, KnownImage]) -> VerifiedImage:
    try:
        # read once: what is judged is what is kept, even if somebody changes the file meanwhile
        content = read_file(entry.path)
        sha256 = hashlib.sha256(content).hexdigest()
        image = known.get(sha256) if blobs.path(sha256).exists() else None
        if image is None:
            decoded = decode(content)
            image = KnownImage(decoded.facts, measure(decoded, content))
    except ImageError as error:
        return VerifiedImage(entry, reason=error.message)
    return VerifiedImage(entry, blobs.put(content, unsettled), image.facts, measures=image.measures)


def in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield `function(item)` in order, computed by threads that run only a little ahead (memory stays bounded)."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="verify")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 4 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1

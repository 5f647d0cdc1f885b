"""Verifying images for an import: each is read once, decoded completely, measured, and copied into the store.

Only the images being processed are in memory; of each one that is done, a small record remains.
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
from workflows.data.rendering import Rendering
from workflows.data.sources import SourceEntry
from workflows.errors import ImageError
from workflows.progress import Progress
from workflows.store.blobs import Blobs
from workflows.store.files import storage_errors

Item = TypeVar("Item")
Result = TypeVar("Result")

_SETTLE_EVERY = 20  # images between two flushes of the journal: after a power failure, at most these are decoded again


@dataclass(frozen=True, slots=True)
class VerifiedImage:
    """A verified image of a source: its facts, or why it can't be used."""

    entry: SourceEntry
    sha256: str = ""
    facts: ImageFacts | None = None
    reason: str = ""
    measures: Measures | None = None


@dataclass(frozen=True, slots=True)
class KnownImage:
    """What is known of an image since it was decoded."""

    facts: ImageFacts
    measures: Measures


class Journal:
    """What is known of images by their SHA-256; new facts are written at once.

    After a killed import, the next attempt finds here what was verified. Used by one process at a time. `rendering` is how raw
    samples are rendered, which affects their measures.
    """

    def __init__(self, path: Path, known: Mapping[str, KnownImage], rendering: Rendering | None = None) -> None:
        self._path = path
        self.rendering = rendering
        self._key = rendering.key if rendering is not None else ""
        self.known = {**_written(path, self._key), **known}
        self._stream: TextIO | None = None

    def __enter__(self) -> Journal:
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("a", encoding="utf-8")
            self._stream.write("\n")  # ends a line that a killed process left incomplete
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError):  # a full disk: what is lost here is just decoded again
                self._stream.close()

    def note(self, images: Iterable[VerifiedImage]) -> None:
        """Record verified images, whose copies are safe in the store."""
        lines = []
        for image in images:
            if image.facts is not None and image.measures is not None and image.sha256 not in self.known:
                self.known[image.sha256] = KnownImage(image.facts, image.measures)
                record = {
                    "sha256": image.sha256,
                    **asdict(image.facts),
                    "measures": asdict(image.measures),
                    "rendering": self._key,
                }
                lines.append(json.dumps(record) + "\n")
        if lines and self._stream is not None:
            with storage_errors(self._path):
                self._stream.write("".join(lines))
                self._stream.flush()

    def forget(self) -> None:
        """Remove the file, once a version's own table holds all of it."""
        self._path.unlink(missing_ok=True)


def _written(path: Path, rendering: str) -> dict[str, KnownImage]:
    """Return a journal's records with the current rendering; with another one, the measures differ."""
    known: dict[str, KnownImage] = {}
    if not path.exists():
        return known
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                record = json.loads(line)
                sha256, measures = record.pop("sha256"), Measures(**record.pop("measures"))
                if record.pop("rendering") == rendering:
                    known[sha256] = KnownImage(ImageFacts(**record), measures)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # an incomplete line, or one of an older release; the image is verified again
    return known


def known_images(table: pd.DataFrame | None, measures: pd.DataFrame | None = None) -> dict[str, KnownImage]:
    """Return what is known of a version's images, by SHA-256.

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
    """Decode every image and store a copy of the sound ones; the outcome has the order of `entries`.

    Args:
        journal: images verified before are not decoded again; new ones are recorded there.
        threads: number of concurrent decoders (they release Python's lock); default: one per core, plus one for the disk.

    Raises:
        StorageError: the store's disk is full, read-only or refuses.
    """
    outcome: list[VerifiedImage] = []
    unsettled: set[Path] = set()

    def verify(entry: SourceEntry) -> VerifiedImage:
        return _verify(entry, blobs, unsettled, journal.known, journal.rendering)

    for image in in_order(verify, entries, threads or cores() + 1):
        outcome.append(image)
        if len(outcome) % _SETTLE_EVERY == 0 or len(outcome) == len(entries):
            # in this order: what the journal lists is safe on the disk
            blobs.settle(unsettled)
            journal.note(outcome[-_SETTLE_EVERY:])
            progress("import", len(outcome), len(entries), image.entry.relative)
    return outcome


def _verify(
    entry: SourceEntry,
    blobs: Blobs,
    unsettled: set[Path],
    known: Mapping[str, KnownImage],
    rendering: Rendering | None,
) -> VerifiedImage:
    try:
        # read once: what is verified is what is stored, even if the file changes meanwhile
        content = read_file(entry.path)
        sha256 = hashlib.sha256(content).hexdigest()
        image = known.get(sha256) if blobs.path(sha256).exists() else None
        if image is None:
            decoded = decode(content, rendering)
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
    """Return how many CPUs this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1

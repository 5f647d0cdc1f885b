"""Taking images in: each is decoded completely, and a copy of its bytes is kept."""

from __future__ import annotations

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

from workflows.data.images import ImageFacts, inspect_image, read_file
from workflows.data.sources import SourceEntry
from workflows.errors import ImageError
from workflows.progress import Progress
from workflows.store.blobs import Blobs
from workflows.store.files import storage_errors

Item = TypeVar("Item")
Result = TypeVar("Result")

_REPORT_EVERY = 20


@dataclass(frozen=True)
class VerifiedImage:
    """An image of a source after looking at it: what it is, or why it can't be used."""

    entry: SourceEntry
    sha256: str = ""
    facts: ImageFacts | None = None
    reason: str = ""


class Journal:
    """What is known of images by their SHA-256; what is learnt anew is written down at once.

    An import that was killed finds here what it had verified. Used by one process at a time.
    """

    def __init__(self, path: Path, known: Mapping[str, ImageFacts]) -> None:
        self._path = path
        self.known = {**_written(path), **known}
        self._stream: TextIO | None = None

    def __enter__(self) -> Journal:
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("a", encoding="utf-8", buffering=1)
            self._stream.write("\n")  # ends a line that a killed process left half-written
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def note(self, sha256: str, facts: ImageFacts) -> None:
        """Write down a verified image."""
        if sha256 not in self.known and self._stream is not None:
            self.known[sha256] = facts
            with storage_errors(self._path):
                self._stream.write(json.dumps({"sha256": sha256, **asdict(facts)}) + "\n")

    def forget(self) -> None:
        """Remove the file, once a version's own table holds all this."""
        self._path.unlink(missing_ok=True)


def _written(path: Path) -> dict[str, ImageFacts]:
    facts: dict[str, ImageFacts] = {}
    if not path.exists():
        return facts
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            fields = json.loads(line)
            sha256 = fields.pop("sha256")
            facts[sha256] = ImageFacts(**fields)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # half a line; the image is verified again
    return facts


def known_images(table: pd.DataFrame | None) -> dict[str, ImageFacts]:
    """Return what a version's table knows of its images, by SHA-256."""
    if table is None:
        return {}
    columns = ["sha256", "width", "height", "mode", "format", "orientation"]
    return {
        sha256: ImageFacts(width, height, mode, kind, orientation, mode != "RGB")
        for sha256, width, height, mode, kind, orientation in table[columns].itertuples(index=False)
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
    for image in _in_order(lambda entry: _verify(entry, blobs, journal.known), entries, threads or _cores() + 1):
        outcome.append(image)
        if image.facts is not None:
            journal.note(image.sha256, image.facts)
        if len(outcome) % _REPORT_EVERY == 0 or len(outcome) == len(entries):
            progress("import", len(outcome), len(entries), image.entry.relative)
    return outcome


def _verify(entry: SourceEntry, blobs: Blobs, known: Mapping[str, ImageFacts]) -> VerifiedImage:
    try:
        # read once: what is judged is what is kept, even if somebody changes the file meanwhile
        content = read_file(entry.path)
        sha256 = hashlib.sha256(content).hexdigest()
        facts = known[sha256] if sha256 in known and blobs.path(sha256).exists() else inspect_image(content)
    except ImageError as error:
        return VerifiedImage(entry, reason=error.message)
    return VerifiedImage(entry, blobs.put(content), facts)


def _in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
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


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1

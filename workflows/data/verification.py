"""Taking images in: each is decoded completely, and a copy of its bytes is kept."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from workflows.data.images import ImageFacts, inspect_image, read_file
from workflows.data.sources import SourceEntry
from workflows.errors import ImageError
from workflows.progress import Progress
from workflows.store.blobs import Blobs

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


def verify_images(
    entries: Sequence[SourceEntry],
    blobs: Blobs,
    known: Mapping[str, ImageFacts],
    progress: Progress,
    threads: int | None = None,
) -> list[VerifiedImage]:
    """Decode every image and keep a copy of those that are sound; the outcome has the order of `entries`.

    Args:
        known: images verified before, by SHA-256; they are not decoded again.
        threads: decoders at once (they release Python's lock); default: one for each core, and one for the disk.

    Raises:
        StorageError: the store's disk is full, read-only or refuses.
    """
    outcome: list[VerifiedImage] = []
    for image in _in_order(lambda entry: _verify(entry, blobs, known), entries, threads or _cores() + 1):
        outcome.append(image)
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

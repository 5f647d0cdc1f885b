"""CIFAR-10's binary form, rewritten as an archive of PNG files.

Each record is one byte of label and 3 x 1,024 bytes of red, green and blue, row by row (the description at
https://www.cs.toronto.edu/~kriz/cifar.html). Nothing is unpickled or executed.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from workflows.errors import SourceError
from workflows.progress import Progress, silent
from workflows.store.files import atomic_path, storage_errors

SIDE = 32
RECORD_BYTES = 1 + 3 * SIDE * SIDE
MOST_RECORDS = 10_000
SPLITS = {
    "data_batch_1.bin": "train",
    "data_batch_2.bin": "train",
    "data_batch_3.bin": "train",
    "data_batch_4.bin": "train",
    "data_batch_5.bin": "val",
    "test_batch.bin": "test",
}
_ALWAYS_THE_SAME = (1980, 1, 1, 0, 0, 0)  # the archive depends on the pixels alone


def convert_cifar(archive: Path, target: Path, classes: Sequence[str], progress: Progress = silent) -> int:
    """Write `target`, a zip of `split/class/batch-number.png`; return the number of images.

    Args:
        archive: `cifar-10-binary.tar.gz`.
        classes: names of the labels from 0.
        progress: receives the number of batches done, as stage `convert`.

    Raises:
        SourceError: not CIFAR-10, a damaged batch, or an unknown label.
        StorageError: the disk is full or can't be written.
    """
    count, seen = 0, set()
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as pictures:
        for batch, content in _batches(archive):
            for number, (label, png) in enumerate(_records(archive, batch, content, len(classes))):
                place = f"{SPLITS[batch]}/{classes[label]}/{Path(batch).stem}-{number:05d}.png"
                pictures.writestr(zipfile.ZipInfo(place, _ALWAYS_THE_SAME), png)
                count += 1
            seen.add(batch)
            progress("convert", len(seen), len(SPLITS), batch)
        if seen != set(SPLITS):
            raise _refusal(archive, f"it has no {', '.join(sorted(set(SPLITS) - seen))}")
    return count


def _batches(archive: Path) -> Iterator[tuple[str, bytes]]:
    with storage_errors(archive, "read"):
        try:
            with tarfile.open(archive, "r|*") as members:  # read once from front to end; nothing is unpacked
                for member in members:
                    name = member.name.rpartition("/")[2]
                    stream = members.extractfile(member) if member.isreg() and name in SPLITS else None
                    if stream is not None:
                        yield name, stream.read(MOST_RECORDS * RECORD_BYTES + 1)
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise _refusal(archive, f"it can't be read ({error})") from error


def _records(archive: Path, batch: str, content: bytes, classes: int) -> Iterator[tuple[int, bytes]]:
    if len(content) % RECORD_BYTES or not 0 < len(content) <= MOST_RECORDS * RECORD_BYTES:
        raise _refusal(archive, f"{batch} is not a whole number of records up to {MOST_RECORDS:,}")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
    if records[:, 0].max() >= classes:
        raise _refusal(archive, f"{batch} has the label {records[:, 0].max()}, but there are {classes} classes")
    for record in records:
        pixels = record[1:].reshape(3, SIDE, SIDE).transpose(1, 2, 0)
        png = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(png, format="PNG")
        yield int(record[0]), png.getvalue()


def _refusal(archive: Path, reason: str) -> SourceError:
    return SourceError(f"{archive.name} is not CIFAR-10 in its binary form: {reason}.", "Nothing was imported.")

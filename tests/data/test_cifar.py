"""CIFAR-10's binary form becomes pictures, pixel by pixel; anything else is refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workflows.data.cards import card_of
from workflows.data.cifar import RECORD_BYTES, SPLITS, convert_cifar
from workflows.errors import SourceError

CLASSES = card_of("cifar10").classes
PER_BATCH = 40


def batches(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    made = {name: rng.integers(0, 256, (PER_BATCH, RECORD_BYTES), np.uint8) for name in SPLITS}
    for records in made.values():
        records[:, 0] = np.arange(PER_BATCH) % len(CLASSES)
    return made


def pack(path: Path, members: dict[str, bytes]) -> Path:
    """Write a tar.gz as the publisher does: one folder with the batches and a text file."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"batches.meta.txt": b"airplane\n", **members}.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_every_record_becomes_its_picture(tmp_path: Path) -> None:
    made = batches()
    archive = pack(tmp_path / "cifar.tar.gz", {name: records.tobytes() for name, records in made.items()})
    assert convert_cifar(archive, tmp_path / "out.zip", CLASSES) == PER_BATCH * len(SPLITS)
    with zipfile.ZipFile(tmp_path / "out.zip") as pictures:
        assert len(pictures.namelist()) == PER_BATCH * len(SPLITS)
        for batch, number in (("data_batch_1.bin", 0), ("data_batch_5.bin", 7), ("test_batch.bin", 39)):
            record = made[batch][number]
            place = f"{SPLITS[batch]}/{CLASSES[record[0]]}/{Path(batch).stem}-{number:05d}.png"
            pixels = np.asarray(Image.open(io.BytesIO(pictures.read(place))))
            for channel in range(3):
                plane = record[1 + channel * 1024 : 1 + (channel + 1) * 1024].reshape(32, 32)
                np.testing.assert_array_equal(pixels[:, :, channel], plane)


def test_the_same_archive_gives_the_same_bytes(tmp_path: Path) -> None:
    archive = pack(tmp_path / "cifar.tar.gz", {name: records.tobytes() for name, records in batches().items()})
    for name in ("a.zip", "b.zip"):
        convert_cifar(archive, tmp_path / name, CLASSES)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda made: made.pop("test_batch.bin"), "it has no test_batch.bin"),
        (lambda made: made.update({"data_batch_2.bin": made["data_batch_2.bin"][:-1]}), "data_batch_2.bin"),
        (lambda made: made.update({"data_batch_2.bin": b""}), "data_batch_2.bin"),
        (lambda made: made.update({"data_batch_3.bin": b"\x0a" * RECORD_BYTES}), "the label 10"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, spoil: object, reason: str) -> None:
    made = {name: records.tobytes() for name, records in batches().items()}
    spoil(made)  # type: ignore[operator]
    with pytest.raises(SourceError, match=reason):
        convert_cifar(pack(tmp_path / "cifar.tar.gz", made), tmp_path / "out.zip", CLASSES)
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cifar.tar.gz").write_bytes(content)
    with pytest.raises(SourceError, match="not CIFAR-10"):
        convert_cifar(tmp_path / "cifar.tar.gz", tmp_path / "out.zip", CLASSES)


def test_an_archive_that_ends_early_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "cifar.tar.gz", {name: records.tobytes() for name, records in batches().items()})
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(SourceError, match="not CIFAR-10"):
        convert_cifar(archive, tmp_path / "out.zip", CLASSES)

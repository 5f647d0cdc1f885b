"""Small real image files."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workflows.store.store import Store

MakeImages = Callable[..., Path]


@pytest.fixture
def store(home: Path) -> Store:
    """A fresh store."""
    return Store()


def picture(seed: object, size: tuple[int, int] = (24, 16), mode: str = "RGB") -> Image.Image:
    """A picture that no other seed gives: noise, width x height."""
    digest = hashlib.sha256(repr(seed).encode()).digest()
    noise = np.random.default_rng(list(digest)).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def write(path: Path, content: bytes) -> Path:
    """Write a file, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def make_images(tmp_path: Path) -> MakeImages:
    """Makes a folder of class folders: `make_images(cats=5, dogs=5, below="photos")`."""

    def make(below: str = "photos", **classes: int) -> Path:
        for label, number in classes.items():
            for index in range(number):
                name = f"{label}/{index}.png"
                write(tmp_path / below / name, encoded(picture(f"{below}/{name}")))
        return tmp_path / below

    return make


def tree_state(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Content, time and links of every file of a folder: what must not change."""
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
            path.stat().st_nlink,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

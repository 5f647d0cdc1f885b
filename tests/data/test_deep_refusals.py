"""Deep pictures that promise too much, or are damaged, are refused in words."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.deep_files import TWELVE, scene, tiff
from tests.data.image_files import deep_png
from tests.properties import examples
from workflows.data.images import MAX_BYTES, read_rgb
from workflows.errors import ImageError

# ---------------------------------------------------------------------- harm


def patched(content: bytes, old: bytes, new: bytes) -> bytes:
    assert content.count(old) >= 1 and len(old) == len(new)
    return content.replace(old, new, 1)


def test_a_strip_that_unpacks_to_more_than_it_says() -> None:
    values = scene(1, 4095, 5).astype(np.uint16)
    honest = tiff(values, compression="zlib", rowsperstrip=48)
    with tifffile.TiffFile(io.BytesIO(honest)) as file:
        page = file.pages.first
        tags = {code: page.tags[code] for code in (273, 279)}
    bomb = zlib.compress(bytes(64 * 1024**2))
    content = bytearray(honest)
    for tag, value in ((tags[273], len(honest)), (tags[279], len(bomb))):
        size = struct.calcsize("<" + {3: "H", 4: "I"}[int(tag.dtype)])
        content[tag.valueoffset : tag.valueoffset + size] = value.to_bytes(size, "little")
    with pytest.raises(ImageError, match="unpacks"):
        read_rgb(bytes(content) + bomb, TWELVE)


def test_a_tiff_that_promises_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    content = tiff(scene(1, 4095, 5).astype(np.uint16))
    wide = struct.pack("<HHII", 256, 4, 1, 64)  # ImageWidth
    short = struct.pack("<HHIHH", 256, 3, 1, 64, 0)
    old = wide if wide in content else short
    new = struct.pack("<HHII", 256, 4, 1, 2**31)
    with pytest.raises(ImageError, match="megapixels"):
        read_rgb(patched(content, old, new), TWELVE)
    monkeypatch.setattr("workflows.data.samples.MAX_BYTES", 1000)
    with pytest.raises(ImageError, match="more than"):
        read_rgb(content, TWELVE)
    assert MAX_BYTES >= 64 * 48 * 5 * 2


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_truncated(kept: float, compression: str | None) -> None:
    content = tiff(scene(1, 4095, 5).astype(np.uint16), compression=compression, rowsperstrip=8)
    with pytest.raises(ImageError, match="damaged"):
        read_rgb(content[: int(kept * len(content))], TWELVE)


SEEDS = [
    tiff(scene(1, 4095, 5).astype(np.uint16), compression="zlib", rowsperstrip=8),
    tiff(scene(1, 4095, 4).astype(np.uint16), compression="lzw", tile=(16, 16)),
    tiff(scene(1, 4095, 3).astype(np.uint16), photometric="rgb"),
    tiff(scene(1, 1)[..., 0].astype(np.float32), bigtiff=True),
    deep_png(scene(1, 4095, 3).astype(np.uint16)),
]


@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_mutated_files_never_escape(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, min(len(content) - 1, 600)))] = data.draw(st.integers(0, 255))
    try:
        pixels = read_rgb(bytes(content), TWELVE)
    except ImageError as error:
        assert error.message
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3

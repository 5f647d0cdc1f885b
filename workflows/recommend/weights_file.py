"""The model size of a weights file, without loading it."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

from workflows.backbones.yolov8 import YOLOV8

MAX_HEADER_BYTES = 10_000_000


def size_in_weights(weights: str) -> str | None:
    """Return the size of YOLOv8-cls that a weights file holds, by its first layer's width or else by its name.

    Args:
        weights: "auto", "none" or a path. For a file that can't be read, the name is used: loading
            it, and reporting errors, is done elsewhere.
    """
    if weights in ("auto", "none"):
        return None
    by_shape = YOLOV8.size_of(_shapes(Path(weights))) if weights.endswith(".safetensors") else None
    named = (size for size in YOLOV8.sizes if YOLOV8.weights_stem(size) in Path(weights).name)
    return by_shape or next(named, None)


def _shapes(path: Path) -> dict[str, Sequence[int]]:
    """Read the header of a .safetensors file: its length (8 bytes), then JSON with every tensor's shape."""
    try:
        with path.expanduser().open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length)) if length <= MAX_HEADER_BYTES else {}
    except (OSError, struct.error, ValueError):
        return {}
    entries = header.items() if isinstance(header, dict) else ()
    shapes = {name: entry.get("shape") for name, entry in entries if isinstance(entry, dict)}
    return {name: shape for name, shape in shapes.items() if isinstance(shape, list)}

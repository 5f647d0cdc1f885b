"""Which model size a weights file is of, without loading it."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

from workflows.graph.settings import ModelSize

FIRST_LAYER_CHANNELS: dict[int, ModelSize] = {16: "n", 32: "s", 48: "m", 64: "l", 80: "x"}
MAX_HEADER_BYTES = 10_000_000


def size_in_weights(weights: str) -> ModelSize | None:
    """Return the size that a weights file holds, by its first layer's width or else by its name.

    Args:
        weights: "auto", "none" or a path. A file that can't be read is judged by its name alone: loading
            it is another's job, and so is complaining.
    """
    if weights in ("auto", "none"):
        return None
    by_shape = _size_by_shape(Path(weights)) if weights.endswith(".safetensors") else None
    named = re.search(r"yolov8([nsmlx])-cls", Path(weights).name)
    return by_shape or (_SIZES[named.group(1)] if named else None)


_SIZES: dict[str, ModelSize] = {"n": "n", "s": "s", "m": "m", "l": "l", "x": "x"}


def _size_by_shape(path: Path) -> ModelSize | None:
    """Read the header of a .safetensors file: its length (8 bytes), then JSON with every tensor's shape."""
    try:
        with path.expanduser().open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length)) if length <= MAX_HEADER_BYTES else {}
    except (OSError, struct.error, ValueError):
        return None
    entry = header.get("model.0.conv.weight") if isinstance(header, dict) else None
    shape = entry.get("shape") if isinstance(entry, dict) else None
    return FIRST_LAYER_CHANNELS.get(shape[0]) if isinstance(shape, list) and len(shape) == 4 else None

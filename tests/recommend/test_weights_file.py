"""The model size that a weights file holds, told without loading it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from workflows.recommend.weights_file import size_in_weights


@pytest.mark.parametrize(("channels", "size"), [(16, "n"), (32, "s"), (48, "m"), (64, "l"), (80, "x"), (24, None)])
def test_size_by_the_first_layer(tmp_path: Path, channels: int, size: str | None) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"model.0.conv.weight": np.zeros((channels, 3, 3, 3), np.float32)}, path)
    assert size_in_weights(str(path)) == size


def test_the_shape_goes_before_the_name(tmp_path: Path) -> None:
    path = tmp_path / "yolov8m-cls.safetensors"
    save_file({"model.0.conv.weight": np.zeros((16, 3, 3, 3), np.float32)}, path)
    assert size_in_weights(str(path)) == "n"


@pytest.mark.parametrize(
    ("weights", "size"),
    [
        ("auto", None),
        ("none", None),
        ("yolov8x-cls.pt", "x"),
        ("some/where/yolov8s-cls-birds.pt", "s"),
        ("missing/yolov8m-cls.safetensors", "m"),
        ("mine.pt", None),
        ("yolov8q-cls.pt", None),
    ],
)
def test_size_by_the_name(weights: str, size: str | None) -> None:
    assert size_in_weights(weights) == size


@pytest.mark.parametrize(
    "content",
    [b"", b"short", b"\xff" * 64, (2).to_bytes(8, "little") + b"[]", (9).to_bytes(8, "little") + b'{"a": 1}!'],
)
def test_a_damaged_file_is_judged_by_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "yolov8s-cls.safetensors"
    path.write_bytes(content)
    assert size_in_weights(str(path)) == "s"


def test_the_shared_backbone_is_n(shared: Path) -> None:
    assert size_in_weights(str(shared / "weights" / "yolov8n-cls-backbone.safetensors")) == "n"

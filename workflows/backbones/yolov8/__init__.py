"""YOLOv8-cls: networks and weights by Ultralytics.

Costs were measured with ultralytics 8.4.190 and torch 2.15.0: parameters with a 1,000-class head and GFLOPs (thop, two
per multiply-add) at 224 px by `ultralytics.utils.torch_utils`; bytes saved for the backward pass, float32, by
`torch.autograd.graph.saved_tensors_hooks`; relative time of forward + backward + AdamW step by wall clock on 2 cores
with AVX512-bf16, channels_last, bfloat16 autocast (l: between m and x).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from workflows.backbones.base import Backbone, ModelCost

if TYPE_CHECKING:
    import torch

    from workflows.backbones.network import Network

FIRST_LAYER = "model.0.conv.weight"
FIRST_LAYER_CHANNELS = {16: "n", 32: "s", 48: "m", 64: "l", 80: "x"}


class YOLOv8(Backbone):
    """YOLOv8-cls. It was pretrained on images in [0, 1]: mean 0, deviation 1."""

    name = "yolov8-cls"
    title = "YOLOv8{}-cls"
    sizes: ClassVar[Mapping[str, ModelCost]] = {
        "n": ModelCost(2_719_288, 14.4e6, 1.0),
        "s": ModelCost(6_361_736, 27.6e6, 2.5),
        "m": ModelCost(17_053_336, 52.0e6, 7.0),
        "l": ModelCost(37_480_744, 83.7e6, 15.0),
        "x": ModelCost(57_422_840, 104.4e6, 25.0),
    }
    features = 1280
    cam_layers: ClassVar[Mapping[int, int]] = {8: 32, 6: 16, 4: 8, 2: 4}  # the last of each stage
    weights_url = "https://github.com/ultralytics/assets/releases/download/v8.4.0"
    weights_checksums: ClassVar[Mapping[str, str]] = {
        # as published in the Git LFS pointers of public repositories
        "11fa19f2aea79bc960d680a13f82f22105982b325eb9e17a4a5e1a9f8245980a": "yolov8n-cls.pt",
        "864010e833b46be542ed849b2eb0fdacf51e4679dc677c18dcc4505244d08ec1": "yolov8m-cls.pt",
        "78eee110c8dddafcd5b0b7742eba9a351f117a2f67944c86019bd53138f00954": "yolov8x-cls.pt",
    }

    def build(self, size: str, classes: int, image_size: int, dropout: float = 0.0) -> Network:
        """Return the network; see :meth:`Backbone.build`. It takes any size of image."""
        from workflows.backbones.yolov8.network import YOLOv8Network

        return YOLOv8Network(self, size, classes, dropout)

    def weights_stem(self, size: str) -> str:
        """Return the name that Ultralytics gives its files, such as "yolov8n-cls"."""
        return f"yolov8{size}-cls"

    def read_checkpoint(self, path: Path) -> dict[str, torch.Tensor]:
        """Read the weights in a checkpoint of Ultralytics'."""
        from workflows.backbones.yolov8.network import read_checkpoint

        return read_checkpoint(path)

    def size_of(self, shapes: Mapping[str, Sequence[int]]) -> str | None:
        """Return the size by the width of the first layer."""
        shape = shapes.get(FIRST_LAYER)
        return FIRST_LAYER_CHANNELS.get(shape[0]) if shape is not None and len(shape) == 4 else None


YOLOV8 = YOLOv8()

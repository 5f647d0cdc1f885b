"""What the rest of the program knows of a backbone. All of it but the network itself is known without PyTorch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    import torch

    from workflows.backbones.network import Network

REFERENCE_SIZE = 224
"""Side of the input, in pixels, at which costs are stated."""


class ModelCost(NamedTuple):
    """What one size of a backbone costs at `REFERENCE_SIZE`."""

    parameters: int
    """With a last layer for `Backbone.counted_classes`."""
    activation_bytes: float
    """What is saved for the backward pass, for each image, in float32."""
    relative_time: float
    """Time of a training step, relative to size n of YOLOv8-cls, in which speeds of devices are stated."""


class Backbone(ABC):
    """A family of networks for images: its sizes, what they cost, its pretrained weights, and how to build one."""

    name: ClassVar[str]
    """In workflows and cards of models, as `family`."""
    title: ClassVar[str]
    """For people; `{}` stands for the size, as in "YOLOv8{}-cls"."""
    sizes: ClassVar[Mapping[str, ModelCost]]
    """The smallest first."""
    features: ClassVar[int]
    """Inputs of the last layer."""
    counted_classes: ClassVar[int] = 1000
    """The classes that the costs are stated for: ImageNet's."""
    cam_layers: ClassVar[Mapping[int, int]]
    """The layers that heat-maps may be of, by their number, the deepest first, and how many pixels of the input one of
    their cells spans."""
    mean: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 0.0)
    std: ClassVar[tuple[float, float, float]] = (1.0, 1.0, 1.0)
    """Of red, green and blue, in [0, 1]: the network is shown (image - mean) / std."""
    weights_url: ClassVar[str] = ""
    """The address that its official weights lie below; empty if there are none."""
    weights_checksums: ClassVar[Mapping[str, str]] = {}
    """SHA-256 of official files, and their names."""

    @abstractmethod
    def build(self, size: str, classes: int, image_size: int, dropout: float = 0.0) -> Network:
        """Return a network with random weights, drawn from PyTorch's generator.

        Args:
            size: one of `sizes`.
            classes: number of classes, at least 2.
            image_size: side of the square input, in pixels.
            dropout: dropout before the last layer, in [0, 1).
        """

    def titled(self, size: str) -> str:
        """Return what people call a network of this size, such as "YOLOv8n-cls"."""
        return self.title.format(size)

    def parameters(self, size: str, classes: int) -> int:
        """Return how many weights a network for so many classes has."""
        return self.sizes[size].parameters + (self.features + 1) * (classes - self.counted_classes)

    def weights_stem(self, size: str) -> str:
        """Return what the names of files with weights of this size begin with."""
        return f"{self.name}-{size}"

    def read_checkpoint(self, path: Path) -> dict[str, torch.Tensor]:
        """Read the weights in a `.pt` file that is trusted, by the names that the network has for them.

        Raises any error where it can't.
        """
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: value.float().contiguous() for name, value in state.items()}

    def size_of(self, shapes: Mapping[str, Sequence[int]]) -> str | None:
        """Return the size that weights of these shapes, by name, are of; None where it can't be said."""
        return None

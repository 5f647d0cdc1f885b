"""What a backbone builds: a network that takes images and gives logits, and shows its parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn

from workflows.backbones.base import Backbone


class Network(nn.Module, ABC):
    """A classifier. The names of its weights stay: checkpoints and models are written with them."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    @property
    @abstractmethod
    def head(self) -> nn.Linear:
        """The last layer: new for every task, while all others begin from pretrained weights. It takes embeddings."""

    @property
    @abstractmethod
    def layers(self) -> Sequence[nn.Module]:
        """The layers whose outputs are maps of the image [n, features, rows, columns]; see `Backbone.cam_layers`."""

    @abstractmethod
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits [n, classes] for inputs [n, 3, side, side] as of :meth:`to_input`, in training or not."""

    @property
    def head_names(self) -> set[str]:
        """Return the names of the last layer's weights."""
        head = {id(parameter) for parameter in self.head.parameters()}
        return {name for name, parameter in self.named_parameters() if id(parameter) in head}

    def to_input(self, squares: torch.Tensor) -> torch.Tensor:
        """Turn uint8 squares [n, side, side, 3] into float input [n, 3, side, side], channels last in memory."""
        images = squares.permute(0, 3, 1, 2).float().div_(255.0)
        mean, std = self.backbone.mean, self.backbone.std
        if any(mean):
            images.sub_(images.new_tensor(mean).view(1, 3, 1, 1))
        return images if set(std) == {1.0} else images.div_(images.new_tensor(std).view(1, 3, 1, 1))

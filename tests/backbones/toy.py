"""A backbone as another package would bring it: two convolutions and a linear layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import nn

from workflows.backbones.base import Backbone, ModelCost
from workflows.backbones.network import Network


class ToyNetwork(Network):
    """So small that it learns on any machine."""

    def __init__(self, backbone: Backbone, width: int, classes: int, dropout: float) -> None:
        super().__init__(backbone)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU())
            for before, after in ((3, width), (width, 8))
        )
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(8, classes)

    @property
    def head(self) -> nn.Linear:
        return self.out

    @property
    def layers(self) -> Sequence[nn.Module]:
        return list(self.stages)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        for stage in self.stages:
            images = stage(images)
        return self.out(self.dropout(images.mean((2, 3))))


class Toy(Backbone):
    """A backbone without official weights, and with a mean and deviation of its own."""

    name = "toy"
    title = "Toy ({})"
    sizes: ClassVar[Mapping[str, ModelCost]] = {
        "tiny": ModelCost(9_800, 1e5, 0.1),
        "small": ModelCost(10_900, 2e5, 0.15),
    }
    features = 8
    cam_layers: ClassVar[Mapping[int, int]] = {1: 4, 0: 2}
    mean = (0.5, 0.4, 0.3)
    std = (0.2, 0.25, 0.5)

    def build(self, size: str, classes: int, image_size: int, dropout: float = 0.0) -> Network:
        return ToyNetwork(self, {"tiny": 4, "small": 8}[size], classes, dropout)


TOY = Toy()

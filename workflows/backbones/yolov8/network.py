"""The network of YOLOv8-cls, as Ultralytics builds it: its weights have the names that `yolo` knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from ultralytics.nn.tasks import ClassificationModel, load_checkpoint

from workflows.backbones.base import Backbone
from workflows.backbones.network import Network


class YOLOv8Network(Network):
    """Ultralytics' layers, one after the other. Their last, the classification head, has a linear layer at its end."""

    def __init__(self, backbone: Backbone, size: str, classes: int, dropout: float) -> None:
        super().__init__(backbone)
        self.model = ClassificationModel(f"yolov8{size}-cls.yaml", ch=3, nc=classes, verbose=False).model
        self.model[-1].drop.p = dropout

    @property
    def head(self) -> nn.Linear:
        """The linear layer of the classification head."""
        return self.model[-1].linear

    @property
    def layers(self) -> Sequence[nn.Module]:
        """All layers but the classification head."""
        return self.model[:-1]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits [n, classes]; outside of training Ultralytics' head gives (probabilities, logits)."""
        found = self.model(images)
        return found if self.training else found[1]


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights in a checkpoint of Ultralytics'. Raises what a damaged or hostile file makes it raise."""
    model, _ = load_checkpoint(str(path))
    return {name: value.contiguous() for name, value in model.float().state_dict().items()}

"""The network: Ultralytics' YOLOv8-cls with a loss that heeds class weights, and 16-bit arithmetic anywhere.

Does not know where photos or weights come from, nor how training is organised.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional
from ultralytics.nn.tasks import ClassificationModel

from workflows.graph.settings import ModelSize

Weighting = Literal["none", "sqrt", "balanced"]


class ClassifierLoss:
    """Cross-entropy with class weights and label smoothing.

    Ultralytics' own classify loss ignores `cls_pw` and has no label smoothing. After each call, `seen` holds
    the batch's logits, which the training dynamics are made from.
    """

    def __init__(self, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0) -> None:
        self.class_weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.label_smoothing = label_smoothing
        self.seen: torch.Tensor | None = None

    def __call__(
        self, logits: torch.Tensor, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the mean loss of a batch and the same, detached, by name. `logits`: [n, classes]."""
        logits, labels = logits.float(), batch["cls"]
        loss = self.mean(logits, labels)
        self.seen = logits.detach()
        return loss, {"loss": loss.detach()}

    def mean(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the weighted mean cross-entropy of `logits` [n, classes] against `labels` [n]."""
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        return functional.cross_entropy(logits, labels, weight=weights, label_smoothing=self.label_smoothing)


def class_weights(counts: Sequence[int], weighting: Weighting) -> list[float] | None:
    """Return a weight per class from the number of training images per class, or None for equal weights.

    `balanced` is scikit-learn's n / (classes × count); `sqrt` its square root. Both are scaled so that the mean
    weight over the images is 1, which leaves the size of the loss, and so the learning rate, alone.
    """
    if weighting == "none":
        return None
    sizes = np.maximum(np.asarray(counts, np.float64), 1.0)
    raw = sizes.sum() / (len(sizes) * sizes)
    weights = np.sqrt(raw) if weighting == "sqrt" else raw
    return (weights / np.average(weights, weights=sizes)).tolist()


class Classifier(ClassificationModel):
    """YOLOv8-cls. `half` runs the training pass in that 16-bit type, on a CPU too (Ultralytics' own can't)."""

    half: torch.dtype | None = None

    def __init__(self, size: ModelSize, classes: int, dropout: float = 0.0) -> None:
        """Build the network with random weights.

        Args:
            size: n, s, m, l or x.
            classes: number of classes.
            dropout: dropout before the classifier layer, in [0, 1).
        """
        super().__init__(f"yolov8{size}-cls.yaml", ch=3, nc=classes, verbose=False)
        self.head.drop.p = dropout

    @property
    def head(self) -> Any:
        """Return the classification head (1 × 1 convolution, pooling, dropout, linear layer)."""
        return self.model[-1]

    def loss(
        self, batch: dict[str, torch.Tensor], preds: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the loss of a batch (`img` float [n, 3, side, side] in [0, 1], `cls` int64 [n])."""
        if preds is None:
            with self.arithmetic(batch["img"].device.type):
                preds = self.forward(batch["img"])
        return self.criterion(preds, batch)

    def arithmetic(self, device_type: str) -> AbstractContextManager[Any]:
        """Return the autocast context of the training pass."""
        return torch.autocast(device_type, dtype=self.half or torch.bfloat16, enabled=self.half is not None)


def choose_half(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the 16-bit type of the training pass on `device`, or None for 32 bits.

    `auto` takes 16 bits where the hardware computes with them; where it must emulate them they are slower.
    """
    if precision == "float32":
        return None
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast or precision == "mixed" else None


def to_input(squares: torch.Tensor) -> torch.Tensor:
    """Turn uint8 squares [n, side, side, 3] into the network's float input [n, 3, side, side] in [0, 1].

    Mean 0 and deviation 1, as YOLOv8-cls was pretrained. The memory layout stays channels-last.
    """
    return squares.permute(0, 3, 1, 2).float().div_(255.0)


def logits_of(model: torch.nn.Module, squares: np.ndarray, device: torch.device, batch: int = 256) -> torch.Tensor:
    """Return the logits (float32 [n, classes], on the CPU) of uint8 squares [n, side, side, 3].

    Always 32-bit arithmetic and no TF32, so that evaluation, prediction and every machine agree.
    `model` must be in evaluation mode.
    """
    parts = []
    convolutions = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.inference_mode():
            for start in range(0, len(squares), batch):
                part = torch.from_numpy(np.ascontiguousarray(squares[start : start + batch]))
                parts.append(model(to_input(part.to(device)))[1].float().cpu())
    finally:
        torch.backends.cudnn.allow_tf32 = convolutions
    return torch.cat(parts) if parts else torch.zeros(0, 0)

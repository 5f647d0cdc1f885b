"""The optimiser, and how the learning rate and the choice of the best epoch follow from the settings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from workflows.backbones.network import Network

if TYPE_CHECKING:
    from workflows.nodes.training import TrainingSettings


def learning_rate_factor(progress: float, epochs: int, settings: TrainingSettings) -> float:
    """Return the share of the peak learning rate at `progress` (in epochs, 0 … `epochs`).

    Linear warm-up, then half a cosine (Loshchilov and Hutter, 2017) down to `final_learning_rate`. Warm-up never
    takes more than half of the training.
    """
    warmup = min(settings.warmup_epochs, epochs / 2)
    if progress < warmup:
        return max(progress / warmup, 1e-3)
    share = (progress - warmup) / max(epochs - warmup, 1e-9)
    low = settings.final_learning_rate
    return low + (1.0 - low) * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))


def make_optimizer(network: Network, settings: TrainingSettings, fused: bool = False) -> torch.optim.Optimizer:
    """Return the requested optimiser: no decay on biases and norms, a separate rate for the classifier layer.

    Each group has its peak rate as `initial_lr`.
    """
    head = {id(parameter) for parameter in network.head.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        groups.setdefault((id(parameter) in head, parameter.ndim > 1), []).append(parameter)
    rate = settings.learning_rate
    options: list[dict[str, Any]] = [
        {
            "params": parameters,
            "initial_lr": rate * (settings.head_learning_rate if is_head else 1.0),
            "weight_decay": settings.weight_decay if is_matrix else 0.0,
        }
        for (is_head, is_matrix), parameters in groups.items()
    ]
    if settings.optimizer == "SGD":
        return torch.optim.SGD(options, lr=rate, momentum=settings.momentum, nesterov=settings.momentum > 0)
    return torch.optim.AdamW(options, lr=rate, betas=(settings.momentum, 0.999), fused=fused)

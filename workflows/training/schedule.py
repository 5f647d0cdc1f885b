"""The optimiser, and how the learning rate, the averaged weights and the choice of the best epoch follow from the settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from workflows.graph.settings import Monitor, TrainingSettings
from workflows.training.network import Classifier


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


def make_optimizer(
    model: Classifier, settings: TrainingSettings, decay: float, fused: bool = False
) -> torch.optim.Optimizer:
    """Return the optimiser asked for: no decay on biases and norms, a rate of its own for the classifier layer."""
    head = {id(parameter) for parameter in model.head.linear.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        groups.setdefault((id(parameter) in head, parameter.ndim > 1), []).append(parameter)
    rate = settings.learning_rate
    options = [
        {
            "params": parameters,
            "lr": rate * (settings.head_learning_rate if is_head else 1.0),
            "weight_decay": decay if is_matrix else 0.0,
        }
        for (is_head, is_matrix), parameters in groups.items()
    ]
    if settings.optimizer == "SGD":
        return torch.optim.SGD(options, lr=rate, momentum=settings.momentum, nesterov=settings.momentum > 0)
    return torch.optim.AdamW(options, lr=rate, betas=(settings.momentum, 0.999), fused=fused)


def average_decay(memory: float, updates: int) -> Callable[[int], float]:
    """Return the decay of the moving average of the weights after each update.

    `memory` is the average's horizon as a share of the `updates` of the whole training, so that short trainings
    are averaged as well as long ones (a fixed decay of 0.9999 never catches up in a few hundred updates). It rises
    from the start as (1 + n) / (10 + n), as TensorFlow's moving average does.
    """
    horizon = memory * updates
    if horizon < 1.0:
        return lambda _: 0.0
    return lambda done: min(1.0 - 1.0 / (1.0 + horizon), (1.0 + done) / (10.0 + done))


def step_fitness(metrics: Mapping[str, Any], monitor: Monitor) -> float:
    """Return what the best checkpoint is chosen by: the monitored metric, higher is better.

    Small validation splits make many ties; among equals the smaller log loss wins. Its part (< 1e-5) can never
    outweigh one image in 100,000.
    """
    tie_break = -1e-6 * min(float(metrics["log_loss"]), 10.0)
    if monitor == "log_loss":
        return -float(metrics["log_loss"])
    return float(metrics[monitor]) + tie_break

"""The moving average of the weights, which is what evaluation judges and a run leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import nn

N = TypeVar("N", bound=nn.Module)


class WeightAverage(Generic[N]):
    """A copy of a network whose floating-point weights and statistics follow the network's, slowly.

    Attributes:
        network: the averaged copy, in evaluation mode.
        updates: how often it has followed.
    """

    def __init__(self, network: N, decay: Callable[[int], float]) -> None:
        """Copy `network`. `decay` gives the weight of the average so far, by the number of updates."""
        self.network = deepcopy(network).eval().requires_grad_(False)
        self.updates = 0
        self._decay = decay
        own, followed = self.network.state_dict(), network.state_dict()
        names = [name for name, value in own.items() if value.is_floating_point()]
        # they share memory with the networks, which are only ever changed in place
        self._own, self._followed = [own[name] for name in names], [followed[name] for name in names]

    def update(self) -> None:
        """Follow the network after one of its steps."""
        self.updates += 1
        torch._foreach_lerp_(self._own, self._followed, 1.0 - self._decay(self.updates))  # one kernel for all


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

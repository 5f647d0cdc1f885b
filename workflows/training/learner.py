"""What learns: a network with its loss, optimiser, arithmetic and moving average, a batch at a time.

Does not know of epochs, photos or files.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from workflows.backbones.network import Network
from workflows.targets.base import Loss
from workflows.training.average import WeightAverage, average_decay
from workflows.training.group import Group
from workflows.training.network import choose_half
from workflows.training.schedule import make_optimizer

if TYPE_CHECKING:
    from workflows.nodes.training import TrainingSettings

MAX_GRADIENT_NORM = 10.0
NO_MEMORY = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_INTERNAL_ERROR", "unable to find an engine")
"""Out-of-memory messages of CUDA's libraries."""


class Learner:
    """A network that learns.

    Attributes:
        network: what learns.
        average: the moving average of its weights.
        images_at_once: how many images go through the network at a time: the whole batch, or as many as the device
            has memory for.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        settings: TrainingSettings,
        device: torch.device,
        group: Group,
        updates: int,
    ) -> None:
        """Move `network` to `device`. `updates`: optimiser steps of the whole training."""
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.loss = loss
        self.images_at_once = settings.batch
        self._group, self._device = group, device
        self._shared = group.shared(self.network)
        self.average = WeightAverage(self.network, average_decay(settings.average_weights, updates))
        self._half = choose_half(settings.precision, device)
        self._scaler = torch.amp.GradScaler("cuda", enabled=self._half is torch.float16)
        self._optimizer = make_optimizer(self.network, settings, fused=device.type == "cuda")

    @property
    def learning_rate(self) -> float:
        """Return the learning rate of the last step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def learn(
        self, images: torch.Tensor, labels: torch.Tensor, rate_factor: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one step on a batch, in parts if the device has not enough memory for all of it.

        Args:
            images: float [n, 3, side, side], as of `Network.to_input`, on the device.
            labels: int64 [n], on the device.
            rate_factor: the learning rate, as a share of its peak.

        Returns:
            the mean loss before the step, and the logits (float32 [n, classes]), both on the device. With class weights,
            parts (and processes) are each normalised by their own weights, so that the loss is nearly the whole batch's.

        Raises:
            torch.OutOfMemoryError: the device has not even the memory for a part of two images.
        """
        while True:
            try:
                loss, logits = self._backward(images, labels)
                break
            except RuntimeError as error:
                if not _is_of_memory(error):
                    raise
                if self._group.size > 1 or self.images_at_once < 4:
                    raise torch.OutOfMemoryError(str(error)) from error
            # only here the memory of the failed pass is free again
            self._optimizer.zero_grad()
            torch.cuda.empty_cache()
            self.images_at_once //= 2
        self._step(rate_factor)
        return loss, logits

    def _backward(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        total = len(labels)
        parts = max(1, min(-(-total // self.images_at_once), total // 2))  # a single image has no variance
        losses, logits = [], []
        for some, their_labels in zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True):
            with self._arithmetic():
                found = self._shared(some)
            found = found.float()
            loss = self.loss(found, their_labels) * (len(some) / total)
            self._scaler.scale(loss).backward()
            losses.append(loss.detach())
            logits.append(found.detach())
        return torch.stack(losses).sum(), torch.cat(logits)

    def _arithmetic(self) -> AbstractContextManager[Any]:
        return torch.autocast(self._device.type, dtype=self._half or torch.bfloat16, enabled=self._half is not None)

    def _step(self, rate_factor: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = group["initial_lr"] * rate_factor
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad()
        self.average.update()

    def state(self) -> dict[str, Any]:
        """Return the state from which training can continue."""
        return {
            "model": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "updates": self.average.updates,
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "batch": self.images_at_once,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`. How many images fit into the device's memory is determined again."""
        self.network.load_state_dict(state["model"])
        self.average.network.load_state_dict(state["average"])
        self.average.updates = state["updates"]
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])


def _is_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in NO_MEMORY)

"""Processes that train one network together, one for each GPU: starting them, and what they exchange (DDP)."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from workflows import errors
from workflows.errors import FieldguideError, RunCancelled, TrainingError
from workflows.store.devices import gpu_numbers
from workflows.store.files import read_json, write_json
from workflows.store.store import Store
from workflows.training.job import TrainingJob

LONGEST_WAIT = timedelta(hours=3)
"""How long the others may wait while the first process evaluates."""


@dataclass(frozen=True)
class Group:
    """The processes that train together, and the place of this one among them. The default is one process alone."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Return whether this is the process that evaluates, records and saves."""
        return self.rank == 0

    def device(self, names: str) -> torch.device:
        """Return this process's device of `names`, which are "cpu" or GPU numbers such as "0,1"."""
        numbers = gpu_numbers(names)
        return torch.device("cuda", numbers[self.rank]) if numbers else torch.device("cpu")

    def shared(self, network: nn.Module) -> nn.Module:
        """Return `network` so that each backward pass averages the gradients of all processes."""
        return network if self.size == 1 else DistributedDataParallel(network)

    def gathered(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the tensors (on the CPU) with those of all processes behind each other; only in the first process."""
        if self.size == 1:
            return tensors
        parts: list[Any] | None = [None] * self.size if self.first else None
        distributed.gather_object(tensors, parts)
        return tensors if parts is None else tuple(torch.cat(each) for each in zip(*parts, strict=True))

    def agreed(self, decision: bool) -> bool:
        """Return what the first process decided."""
        decisions = [decision]
        if self.size > 1:
            distributed.broadcast_object_list(decisions)
        return decisions[0]


def join() -> Group:
    """Join the group that `torchrun` started this process for."""
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    distributed.init_process_group(timeout=LONGEST_WAIT)
    return Group(rank, size)


def train_together(job: TrainingJob, processes: int) -> None:
    """Train a published `job` in several processes, and wait for them.

    Raises what one of them raised; RunCancelled if they were ended after a request; else TrainingError.
    """
    failure = job.outputs.failure
    failure.unlink(missing_ok=True)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    code = subprocess.run([*torchrun, "-m", "workflows.training.worker"], check=False).returncode
    if failure.exists():
        raise _kept(read_json(failure))
    if code and Store(job.home).runs.cancel_requested(job.run_id):  # Ctrl-C reaches all of them
        raise RunCancelled(f"Run {job.run_id} was cancelled.")
    if code:
        raise TrainingError(
            f"One of the {processes} processes of the training ended with code {code}.", "Their output has the reason."
        )


def _kept(document: dict[str, Any]) -> FieldguideError:
    """Return the error of :func:`keep_failure`, of its own class where that is Fieldguide's."""
    kind = getattr(errors, document.pop("kind"), TrainingError)
    found = errors.error_of(document)
    error: FieldguideError = kind(found.message, hint=found.hint)
    error.problems, error.details = found.problems, found.details
    return error


def keep_failure(job: TrainingJob, error: FieldguideError) -> None:
    """Leave `error` to the process that started the group."""
    write_json(job.outputs.failure, {**error.document(), "kind": type(error).__name__})

"""Runs one training from its job to its best weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from workflows.errors import TrainingError
from workflows.progress import Progress, silent
from workflows.store.answers import TrainingAnswer
from workflows.store.devices import gpu_numbers
from workflows.store.files import atomic_path
from workflows.training.checkpoint import load_checkpoint
from workflows.training.devices import choose_device
from workflows.training.group import Group, train_together
from workflows.training.job import TrainingJob


def train(
    job: TrainingJob, progress: Progress = silent, cancelled: Callable[[], bool] | None = None
) -> tuple[TrainingAnswer, Path]:
    """Train `job`, going on from its checkpoint if it has one.

    Returns what came of it and the file of the best weights (safetensors).

    On several GPUs the processes that train ask the store whether to stop; `progress` and `cancelled` are not called.

    Raises:
        TrainingError: the loss is not finite, the device ran out of memory, or the batch is too small for all devices.
        DeviceError: the device is absent.
        RunCancelled: the run was cancelled; the last checkpoint remains.
        StorageError: the disk is full or read-only; the last checkpoint remains.
    """
    job.outputs.path.mkdir(parents=True, exist_ok=True)
    job.publish()
    state = load_checkpoint(job.outputs.checkpoint, job.run_id)
    if state is None or not state["finished"]:
        devices = gpu_numbers(choose_device(job.device))
        if len(devices) > 1:
            _check_shares(job.training.batch, len(devices))
            train_together(job, len(devices))
        else:
            train_here(job, progress, cancelled)
        state = load_checkpoint(job.outputs.checkpoint, job.run_id)
    if state is None or not state["best"]:
        raise TrainingError(f"Training of run {job.run_id} ended without a checkpoint.")
    best = job.outputs.best
    with atomic_path(best) as partial:
        save_file({name: tensor.contiguous() for name, tensor in state["best"]["state"].items()}, partial)
    return _outcome(job, state), best


def _check_shares(batch: int, devices: int) -> None:
    if batch < 2 * devices:  # a single image has no variance to normalise by
        raise TrainingError(
            f"A batch of {batch} is too small for {devices} GPUs.",
            f"Use a batch of {2 * devices} or more, or fewer GPUs.",
        )


def train_here(
    job: TrainingJob,
    progress: Progress = silent,
    cancelled: Callable[[], bool] | None = None,
    group: Group | None = None,
) -> None:
    """Train `job` in this process to its end; see :func:`train`. The result is in the checkpoint."""
    from workflows.training.trainer import Trainer

    try:
        with warnings.catch_warnings():
            # deterministic mode names every operation that has no deterministic version; runs on a GPU are then
            # repeatable only up to rounding, as documented
            warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
            Trainer(job, progress, cancelled, group).run()
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"The device ran out of memory with batch {job.training.batch} at {job.model.image_size} pixels ({error}).",
            "Use a smaller batch, a smaller image size or a smaller model.",
        ) from error


def _outcome(job: TrainingJob, state: dict[str, Any]) -> TrainingAnswer:
    on_gpu = job.device != "cpu"
    seconds, value = float(state["train_seconds"]), state["best"]["value"]
    return TrainingAnswer(
        epochs=int(state["epoch"]),
        best_step=int(state["best"]["step"]),
        monitor=None if value is None else job.training.monitor,
        best_value=None if value is None else float(value),
        batch=int(state["batch"]),
        images_per_second=float(state["seen_images"]) / max(seconds, 1e-9),
        train_seconds=seconds,
        device=torch.cuda.get_device_name(int(job.device.split(",")[0])) if on_gpu else "cpu",
        memory_bytes=int(torch.cuda.max_memory_allocated()) if on_gpu else None,
    )

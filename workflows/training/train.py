"""Runs one training from its job to its best weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from workflows.errors import TrainingError
from workflows.progress import Progress, silent
from workflows.store.files import atomic_path
from workflows.training.checkpoint import load_checkpoint
from workflows.training.devices import choose_device
from workflows.training.job import TrainingJob

INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "neptune", "raytune", "tensorboard", "wandb", "vscode_msg")
"""Ultralytics' switches for services and trackers; most are on by default."""


@dataclass(frozen=True)
class Outcome:
    """What came of a training."""

    epochs: int
    """Epochs trained; fewer than asked if it stopped early."""
    best_step: int
    monitor: str | None
    """The validation metric that chose the best step; None if all validation photos taught: then it is the last."""
    best_value: float | None
    """The monitored metric at the best step."""
    batch: int
    """Images per optimiser step that the device had room for."""
    images_per_second: float
    train_seconds: float
    """Seconds spent in training passes (not in validation), over all attempts."""
    device: str
    memory_bytes: int | None
    """Peak memory of the device; None on a CPU."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


def train(
    job: TrainingJob, progress: Progress = silent, cancelled: Callable[[], bool] | None = None
) -> tuple[Outcome, Path]:
    """Train `job`, going on from its checkpoint if it has one.

    Returns what came of it and the file of the best weights (safetensors).

    Raises:
        TrainingError: the loss is not finite, or the device ran out of memory.
        DeviceError: the device is absent.
        RunCancelled: somebody asked for the run to stop; the last checkpoint is kept.
        StorageError: the disk is full or read-only; the last checkpoint is kept.
    """
    job.outputs.mkdir(parents=True, exist_ok=True)
    job.publish()
    state = load_checkpoint(job.checkpoint, job.run_id)
    if state is None or not state["finished"]:
        _run(job, progress, cancelled)
        state = load_checkpoint(job.checkpoint, job.run_id)
    if state is None or not state["best"]:
        raise TrainingError(f"Training of run {job.run_id} ended without a checkpoint.")
    best = job.outputs / "best.safetensors"
    with atomic_path(best) as partial:
        save_file({name: tensor.contiguous() for name, tensor in state["best"]["state"].items()}, partial)
    return _outcome(job, state), best


def _run(job: TrainingJob, progress: Progress, cancelled: Callable[[], bool] | None) -> None:
    from workflows.training.trainer import FieldguideTrainer

    choose_device(job.device)
    silence_integrations()
    try:
        with warnings.catch_warnings():
            # deterministic mode names every operation that has no deterministic version; runs on a GPU are then
            # repeatable only up to rounding, which the documentation says
            warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
            trainer = FieldguideTrainer(overrides=_overrides(job), job=job, progress=progress, cancelled=cancelled)
            trainer.train()
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"The device ran out of memory with batch {job.training.batch} at {job.model.image_size} pixels ({error}).",
            "Use a smaller batch, a smaller image size or a smaller model.",
        ) from error


def silence_integrations() -> None:
    """Switch off every service that Ultralytics would report a training to, if its package happens to be installed.

    Its switches live in a settings file (ours is below our home), where the processes of several GPUs find them, too.
    """
    from ultralytics.utils import SETTINGS

    wanted = {name: False for name in INTEGRATIONS if name in SETTINGS} | {"api_key": "", "sync": False}
    if any(SETTINGS.get(name) != value for name, value in wanted.items()):
        SETTINGS.update(wanted)


def _overrides(job: TrainingJob) -> dict[str, Any]:
    """Translate our settings into Ultralytics' for what its own loop does."""
    settings = job.training
    return {
        "task": "classify",
        "model": f"yolov8{job.model.size}-cls.yaml",
        "data": "records",  # never opened: the trainer reads our records
        "imgsz": job.model.image_size,
        "epochs": settings.epochs,
        "batch": settings.batch,
        "nbs": settings.batch,  # no gradient is carried over the end of an epoch
        "patience": settings.patience,
        "seed": settings.seed,
        "deterministic": True,
        "device": job.device,
        "workers": 0,
        "weight_decay": settings.weight_decay,
        "warmup_epochs": 0.0,  # the trainer has a schedule, and an optimiser, of its own
        "close_mosaic": 0,  # else the loader is reset and draws another seed
        "amp": False,  # the network chooses its arithmetic itself, on a CPU too
        "plots": False,
        "verbose": False,
        "project": str(job.outputs),
        "name": "scratch",
        "exist_ok": True,
    }


def _outcome(job: TrainingJob, state: dict[str, Any]) -> Outcome:
    on_gpu = job.device != "cpu"
    seconds, value = float(state["train_seconds"]), state["best"]["value"]
    return Outcome(
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

"""Ultralytics' classification trainer, taught our data, loss, schedule, records and checkpoints.

Only its own hooks are used: methods made to be overridden, and callbacks. What is replaced, and why:

* data: our decoded photos instead of a folder tree (which may hold planted pickles and is decoded each epoch);
* loss: class weights and label smoothing that act;
* optimiser: the learning rate and momentum that were asked for (`optimizer=auto` overrides both), a separate
  rate for the new classifier layer, and a schedule per batch that is a pure function of progress;
* validation: on the moving average of the weights, keeping the prediction for every photo;
* checkpoints: the full state, written atomically (see `checkpoint.py`).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import distributed, nn
from ultralytics.models.yolo.classify import ClassificationTrainer
from ultralytics.utils import DEFAULT_CFG, RANK
from ultralytics.utils.torch_utils import unwrap_model

from workflows.data.pixels import Pixels, SquareTransform, open_pixels
from workflows.errors import RunCancelled, TrainingError
from workflows.evaluation.metrics import classification_metrics
from workflows.evaluation.predictions import dynamics_table, step_table
from workflows.graph.settings import TrainingSettings
from workflows.progress import Progress, silent
from workflows.store.store import Store
from workflows.training.augment import Augmenter
from workflows.training.checkpoint import (
    check_room,
    load_checkpoint,
    random_state,
    restore_random_state,
    save_checkpoint,
)
from workflows.training.job import TrainingJob
from workflows.training.loader import BatchLoader, EpochBatches, TrainingPhotos
from workflows.training.network import (
    Classifier,
    ClassifierLoss,
    choose_half,
    class_weights,
    logits_of,
    to_input,
)
from workflows.training.recorder import Recorder
from workflows.training.schedule import average_decay, learning_rate_factor, make_optimizer, step_fitness
from workflows.training.weights import load_weights

CHECKPOINT_SHARE = 0.02
"""Writing full states may take this share of the time: after tiny epochs some are left out (never the last)."""


class FieldguideTrainer(ClassificationTrainer):
    """Trains one `TrainingJob`. The processes that DDP starts find the job through the environment."""

    def __init__(
        self,
        cfg: Any = DEFAULT_CFG,
        overrides: dict[str, Any] | None = None,
        _callbacks: dict[str, Any] | None = None,
        *,
        job: TrainingJob | None = None,
        progress: Progress = silent,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self.job = job or TrainingJob.from_environment()
        self.settings: TrainingSettings = self.job.training
        self.progress = progress
        store = Store(self.job.home)
        self.cancelled = cancelled or (lambda: store.runs.cancel_requested(self.job.run_id))
        self.finish_early = lambda: store.runs.finish_requested(self.job.run_id)
        self._store = store
        self.recorder: Recorder | None = None
        if RANK in {-1, 0}:
            runs, run_id = store.runs, self.job.run_id
            self.recorder = Recorder(
                self.job.outputs,
                lambda step, values: runs.record_step(run_id, step, values),
                lambda step: runs.forget_steps(run_id, step),
            )
        self.kept: dict[str, Any] = {}
        self._saved_at = time.monotonic()
        self._save_seconds = 0.0
        self._iteration = 0
        self._positions: list[torch.Tensor] = []
        self._logits: list[torch.Tensor] = []
        self._seen_images = self._train_seconds = self._train_top1 = 0.0
        self.finished = False
        threads = torch.get_num_threads()
        super().__init__(cfg, overrides, _callbacks)
        # Ultralytics leaves one core idle; on two cores that is half of the speed
        torch.set_num_threads(threads)
        for event, callback in _CALLBACKS.items():
            if callback not in self.callbacks[event]:  # under DDP they arrive with the launcher's
                self.add_callback(event, callback)

    # ------------------------------------------------------------------ data

    def get_dataset(self) -> dict[str, Any]:
        """Return what Ultralytics wants to know of the data; the photos come from our records."""
        names = dict(enumerate(self.job.classes))
        return {"train": "train", "val": "val", "test": None, "names": names, "nc": len(names), "channels": 3}

    def _open_data(self) -> None:
        photos = self.job.photos()
        transform = SquareTransform(self.job.model.image_size, self.job.model.square)
        locate = self._store.blobs.path
        self.pixels: Pixels = open_pixels(photos, locate, transform, self._store.cache_folder)
        targets = photos.set_index("image_id")["target"]
        self.train_ids = self.pixels.training_rows()["image_id"].to_numpy()
        self.train_targets = targets.loc[self.train_ids].to_numpy(np.int64, copy=True)
        self.val_ids = photos.loc[photos["split"] == "val", "image_id"].tolist()
        self.val_targets = targets.loc[self.val_ids].to_numpy(np.int64, copy=True)

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Return the loader of augmented training photos; validation needs none (see `validate`)."""
        if mode != "train":
            return SimpleNamespace(dataset=self.val_ids)  # only ever counted
        processes = max(self.world_size, 1)
        batches = EpochBatches(len(self.train_ids), batch_size, self.settings.seed, max(rank, 0), processes)
        augmenter = Augmenter(self.job.augmentation, self.job.model.image_size)
        dataset = TrainingPhotos(self.pixels, self.train_targets, augmenter)
        return BatchLoader(dataset, batches, self._workers(), pin=self.device.type == "cuda")

    def _workers(self) -> int:
        if self.settings.workers is not None:
            return self.settings.workers
        if self.device.type != "cuda":
            return 0  # the network keeps every core busy
        return min(8, max(1, (os.cpu_count() or 2) // max(self.world_size, 1) - 1))

    def preprocess_batch(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Move 8-bit squares to the device, and only there make them floats (a quarter of the traffic)."""
        self._positions.append(batch["position"])
        moved = batch["img"].to(self.device, non_blocking=True)
        return {"img": to_input(moved), "cls": batch["cls"].to(self.device, non_blocking=True)}

    # ----------------------------------------------------------------- model

    def setup_model(self) -> None:
        """Build the network with its first weights, loss and arithmetic."""
        self._open_data()
        if RANK != -1:  # whatever Ultralytics' launcher handed over, each process builds the same network
            torch.manual_seed(self.settings.seed + 1)
        model = Classifier(self.job.model.size, len(self.job.classes), self.job.model.dropout)
        if self.job.weights is not None:
            load_weights(model, self.job.weights)
        counts = np.bincount(self.train_targets, minlength=len(self.job.classes)).tolist()
        weights = class_weights(counts, self.settings.class_weighting)
        model.criterion = ClassifierLoss(weights, self.settings.label_smoothing)
        model.half = choose_half(self.settings.precision, self.device)
        model.args = self.args
        self.model = model.to(memory_format=torch.channels_last)

    def build_optimizer(self, model: nn.Module, *_: Any, decay: float = 0.0, **__: Any) -> torch.optim.Optimizer:
        """Return the optimiser asked for; Ultralytics' `auto` would override its rate and momentum."""
        return make_optimizer(unwrap_model(model), self.settings, decay, fused=self.device.type == "cuda")

    def optimizer_step(self) -> None:
        """Set the learning rate for this very batch, then step."""
        factor = learning_rate_factor(self._progress(), self.epochs, self.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        super().optimizer_step()

    def _progress(self) -> float:
        """Return how much of the training is done, in epochs."""
        return self.epoch + self._iteration / len(self.train_loader)

    # ------------------------------------------------------------- callbacks

    def _start_epoch(self) -> None:
        self.train_loader.sampler.set_epoch(self.epoch)
        self._iteration = 0
        self._positions.clear()
        self._logits.clear()
        self._epoch_started = time.perf_counter()

    def _end_batch(self) -> None:
        self._iteration += 1
        self._logits.append(unwrap_model(self.model).criterion.seen)
        batches = len(self.train_loader)
        if self.recorder is not None and (self.recorder.batch_due() or self._iteration == batches):
            self._record_batch(self.recorder, batches)
        if self.cancelled():
            raise RunCancelled(f"Run {self.job.run_id} was cancelled in epoch {self.epoch + 1}.")

    def _record_batch(self, recorder: Recorder, batches: int) -> None:
        loss = float(self.loss.detach())
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss is not a number any more in epoch {self.epoch + 1}, batch {self._iteration}.",
                "Use a smaller learning_rate, or precision: float32. The last good checkpoint is kept.",
            )
        elapsed = time.perf_counter() - self._epoch_started
        speed = sum(map(len, self._positions)) * max(self.world_size, 1) / max(elapsed, 1e-9)
        values = {"epoch": self.epoch + 1, "batch": self._iteration, "batches": batches, "loss": loss}
        rate = self.optimizer.param_groups[0]["lr"]
        if self.device.type == "cuda":
            values["gpu_memory_bytes"] = torch.cuda.memory_reserved(self.device)
        recorder.batch(values | {"learning_rate": rate, "images_per_second": speed})
        done, total = self.epoch * batches + self._iteration, self.epochs * batches
        note = f"epoch {self.epoch + 1}/{self.epochs} · loss {loss:.3f} · {speed:.0f} images/s"
        self.progress("train", done, total, note + self._best_note())

    def _best_note(self) -> str:
        value = self.kept.get("value")
        return "" if value is None else f" · best val {self.settings.monitor} {value:.3f}"

    def _end_epoch(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self._epoch_seconds = time.perf_counter() - self._epoch_started
        positions, logits = torch.cat(self._positions), torch.cat(self._logits).float().cpu()
        if RANK != -1:
            positions, logits = _gather(positions, logits)
        if self.recorder is None:
            return
        self._epoch_images = len(positions)
        self._seen_images += len(positions)
        self._train_seconds += self._epoch_seconds
        chosen = positions.numpy()
        self._train_top1 = float((logits.argmax(1).numpy() == self.train_targets[chosen]).mean())
        self.recorder.dynamics(
            self.epoch + 1,
            dynamics_table(self.train_ids[chosen], self.train_targets[chosen], logits.numpy(), self.job.classes),
        )

    # ------------------------------------------------------------ validation

    def get_validator(self) -> Any:
        """Return what little of a validator Ultralytics' loop touches; `validate` does the work."""
        return SimpleNamespace(metrics=SimpleNamespace(keys=[]), dataloader=None, args=SimpleNamespace())

    def validate(self) -> tuple[dict[str, float] | None, float | None]:
        """Evaluate the averaged weights on the validation photos, if this epoch is one to evaluate."""
        if RANK != -1:
            for buffer in self.ema.ema.buffers():
                distributed.broadcast(buffer, src=0)
        if self.recorder is None:
            return None, None
        if self.finish_early():
            self.stop = True  # Ultralytics ends its loop behind this evaluation, as when early stopping does it
        last = self.epoch + 1 >= self.epochs or self.stop
        if (self.epoch + 1) % self.settings.evaluate_every and not last:
            return self.metrics, self.fitness
        if not self.val_ids:  # they teach, too: there is nothing to choose by, and the last weights are kept
            self.recorder.step(self.epoch + 1, self._training_values(), None)
            if last:
                self._keep_best(None, None)
            return {}, None
        logits = logits_of(self.ema.ema, self.pixels.squares(self.val_ids), self.device)
        targets = torch.from_numpy(self.val_targets)
        loss = float(unwrap_model(self.model).criterion.mean(logits, targets))
        probabilities = logits.softmax(1).numpy()
        bins = self.job.evaluation.calibration_bins
        found = classification_metrics(self.val_targets, probabilities, bins=bins)
        values = {f"val/{name}": float(found[name]) for name in _STEP_METRICS} | {"val/loss": loss}
        table = step_table(self.val_ids, self.val_targets, probabilities, self.job.classes)
        self.recorder.step(self.epoch + 1, values | self._training_values(), table)
        fitness = step_fitness(found, self.settings.monitor)
        if not self.kept or fitness > self.kept["fitness"]:
            self._keep_best(fitness, float(found[self.settings.monitor]))
        self.best_fitness = self.kept["fitness"]
        batches = len(self.train_loader)
        done, total = (self.epoch + 1) * batches, self.epochs * batches
        self.progress("train", done, total, f"epoch {self.epoch + 1}/{self.epochs}{self._best_note()}")
        return values, fitness

    def _training_values(self) -> dict[str, float]:
        speed = self._epoch_images / max(self._epoch_seconds, 1e-9)
        return {
            "train/loss": float(self.tloss["loss"]),
            "train/top1": self._train_top1,
            "learning_rate": float(self.optimizer.param_groups[0]["lr"]),
            "images_per_second": speed,
            "seconds": time.perf_counter() - self._epoch_started,
        }

    def _keep_best(self, fitness: float | None, value: float | None) -> None:
        state = {name: tensor.detach().cpu().clone() for name, tensor in self.ema.ema.state_dict().items()}
        self.kept = {"fitness": fitness, "value": value, "step": self.epoch + 1, "state": state}

    # ----------------------------------------------------------- checkpoints

    def save_metrics(self, metrics: dict[str, float]) -> None:
        """Do nothing: the recorder has them already."""

    def save_model(self) -> bool:
        """Write the full state, unless that would be too often (see `CHECKPOINT_SHARE`)."""
        self.finished = bool(self.stop)
        started = time.monotonic()
        due = (started - self._saved_at) * CHECKPOINT_SHARE >= self._save_seconds
        if not (due or self.finished):
            return False
        assert self.recorder is not None  # Ultralytics calls this in the first process only
        self.recorder.flush()
        save_checkpoint(self.job.checkpoint, self._state())
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - started
        return True

    def _state(self) -> dict[str, Any]:
        return {
            "run_id": self.job.run_id,
            "epoch": self.epoch + 1,
            "finished": self.finished,
            "model": unwrap_model(self.model).state_dict(),
            "average": self.ema.ema.state_dict(),
            "updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "stopper": {"best_fitness": self.stopper.best_fitness, "best_epoch": self.stopper.best_epoch},
            "fitness": self.fitness,
            "metrics": self.metrics,
            "best": self.kept,
            "batch": self.batch_size,
            "seen_images": self._seen_images,
            "train_seconds": self._train_seconds,
            "random": random_state(),
        }

    def _setup_train(self) -> None:
        super()._setup_train()
        if unwrap_model(self.model).half is torch.float16:
            self.scaler = torch.amp.GradScaler("cuda")
            if self._resumed:
                self.scaler.load_state_dict(self._resumed["scaler"])
        if self._resumed:
            restore_random_state(self._resumed["random"])

    def resume_training(self, ckpt: Any) -> None:
        """Go on from our own checkpoint if there is one; otherwise start afresh."""
        updates = max(1, len(self.train_loader) * self.epochs // self.accumulate)
        self.ema.decay = average_decay(self.settings.average_weights, updates)
        self._resumed = load_checkpoint(self.job.checkpoint, self.job.run_id)
        if self.recorder is not None:
            self.recorder.rewind(self._resumed["epoch"] if self._resumed else 0)
        if self._resumed:
            self._restore(self._resumed)
        if self.recorder is not None:
            check_room(self.job.outputs, sum(parameter.numel() for parameter in self.model.parameters()))

    def _restore(self, state: dict[str, Any]) -> None:
        unwrap_model(self.model).load_state_dict(state["model"])
        self.ema.ema.load_state_dict(state["average"])
        self.ema.updates = state["updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.stopper.__dict__.update(state["stopper"])
        self.stopper.possible_stop = False
        self.kept, self.fitness, self.metrics = state["best"], state["fitness"], state["metrics"]
        self.best_fitness = self.kept["fitness"] if self.kept else None
        self._seen_images, self._train_seconds = state["seen_images"], state["train_seconds"]
        self.start_epoch = state["epoch"]

    def _handle_nan_recovery(self, epoch: int) -> bool:
        """Never go back silently: a loss that is not a number ends the run with words (see `_record_batch`)."""
        return False

    def final_eval(self) -> None:
        """Do nothing: the best weights are in the checkpoint, and evaluation is a node of its own."""


_STEP_METRICS = (
    "top1",
    "top5",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "average_confidence",
    "ece",
    "log_loss",
)


def _gather(positions: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Bring all processes' photos of an epoch together in the first one."""
    parts: list[Any] | None = [None] * distributed.get_world_size() if RANK == 0 else None
    distributed.gather_object((positions, logits), parts, dst=0)
    if parts is None:
        return positions, logits
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


_CALLBACKS = {
    "on_train_epoch_start": FieldguideTrainer._start_epoch,
    "on_train_batch_end": FieldguideTrainer._end_batch,
    "on_train_epoch_end": FieldguideTrainer._end_epoch,
}

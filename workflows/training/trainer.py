"""The training loop: epochs of batches, an evaluation of the averaged weights after each, records, and checkpoints.

What happens in one batch is in `learner.py`; in what order photos come, in `loader.py`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from workflows.backbones.registry import backbone_named
from workflows.data.pixels import SquareTransform, open_pixels
from workflows.errors import RunCancelled, TrainingError
from workflows.progress import Progress, silent
from workflows.store.store import Store
from workflows.targets.metrics import metric_of
from workflows.targets.registry import metadata_of, target_named
from workflows.training.augment import Augmenter
from workflows.training.checkpoint import check_room, load_checkpoint, save_checkpoint
from workflows.training.group import Group
from workflows.training.job import TrainingJob
from workflows.training.learner import Learner
from workflows.training.loader import EpochBatches, TrainingPhotos, make_loader
from workflows.training.network import logits_of
from workflows.training.randomness import derived_seed, random_state, repeatable, restore_random_state
from workflows.training.recorder import Recorder
from workflows.training.schedule import learning_rate_factor
from workflows.training.weights import load_weights

CHECKPOINT_SHARE = 0.02
"""Writing full states may take this share of the time: after tiny epochs some are left out (never the last)."""


@dataclass
class EpochLog:
    """What one epoch has seen so far, in this process."""

    positions: list[torch.Tensor] = field(default_factory=list)
    logits: list[torch.Tensor] = field(default_factory=list)
    loss: torch.Tensor | None = None
    """The loss of the last batch."""
    mean_loss: torch.Tensor | None = None
    images: int = 0
    """Photos that all processes saw in the whole epoch."""
    right: float = 0.0
    """The share of them that the network got right as it learned from them."""
    train_seconds: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @property
    def batches(self) -> int:
        """Return how many batches there were."""
        return len(self.positions)

    @property
    def seconds(self) -> float:
        """Return the time since its start."""
        return time.perf_counter() - self.started

    def add(self, positions: torch.Tensor, logits: torch.Tensor, loss: torch.Tensor) -> None:
        """Note one batch: its photos' positions, their logits, its loss."""
        done = self.batches
        self.mean_loss = loss if self.mean_loss is None else (self.mean_loss * done + loss) / (done + 1)
        self.loss = loss
        self.positions.append(positions)
        self.logits.append(logits)


class Trainer:
    """Trains one job, alone or as one of a group of processes."""

    def __init__(
        self,
        job: TrainingJob,
        progress: Progress = silent,
        cancelled: Callable[[], bool] | None = None,
        group: Group | None = None,
    ) -> None:
        self.job, self.settings, self.progress = job, job.training, progress
        self.target = target_named(job.target)
        self.group = group or Group()
        self.device = self.group.device(job.device)
        self.epoch = 0
        self.finished = False
        self.best: dict[str, Any] = {}
        self._seen_images = self._train_seconds = 0.0
        self._saved_at, self._save_seconds = time.monotonic(), 0.0
        self._store = Store(job.home)
        runs, run_id = self._store.runs, job.run_id
        self.cancelled = cancelled or (lambda: runs.cancel_requested(run_id))
        self.finish_early = lambda: runs.finish_requested(run_id)
        self.recorder: Recorder | None = None
        if self.group.first:
            self.recorder = Recorder(
                job.outputs,
                lambda step, values: runs.record_step(run_id, step, values),
                lambda step: runs.forget_steps(run_id, step),
                metadata_of(self.target),
            )

    def run(self) -> None:
        """Train to the end, from the checkpoint if there is one.

        Raises TrainingError, RunCancelled, StorageError; see `train.train`.
        """
        with repeatable(self.settings.seed + self.group.rank):
            self._open_data()
            self.learner = self._make_learner()
            self._resume()
            while not self.finished:
                log = self._train_epoch()
                self._close_epoch(log)
                self.finished = self.group.agreed(self.finished)
                self.epoch += 1

    # ---------------------------------------------------------------- set-up

    def _open_data(self) -> None:
        model, photos = self.job.model, self.job.photos()
        transform = SquareTransform(model.image_size, model.square, self.job.rendering)
        self.pixels = open_pixels(photos, self._store.blobs.path, transform, self._store.cache_folder)
        encoded, judging = self.target.encode(photos, self.job.classes), photos["split"] == "val"
        self.train_ids = self.pixels.training_rows()["image_id"].to_numpy()
        self.train_labels = encoded[pd.Index(photos["image_id"]).get_indexer(self.train_ids)]
        self.val_ids, self.val_labels = photos.loc[judging, "image_id"].tolist(), encoded[judging]
        share, group = self.settings.batch // self.group.size, self.group
        self.batches = EpochBatches(len(self.train_ids), share, self.settings.seed, group.rank, group.size)
        dataset = TrainingPhotos(self.pixels, self.train_labels, Augmenter(self.job.augmentation, model.image_size))
        self.loader = make_loader(dataset, self.batches, self._workers(), pin=self.device.type == "cuda")

    def _workers(self) -> int:
        if self.settings.workers is not None:
            return self.settings.workers
        if self.device.type != "cuda":
            return 0  # the network keeps every core busy
        return min(8, max(1, (os.cpu_count() or 2) // self.group.size - 1))

    def _make_learner(self) -> Learner:
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        model = self.job.model
        network = backbone_named(model.family).build(model.size, len(self.job.classes), model.image_size, model.dropout)
        if self.job.weights is not None:
            load_weights(network, self.job.weights)
        classes, settings = len(self.job.classes), self.settings
        loss = self.target.loss(self.train_labels, classes, settings.class_weighting, settings.label_smoothing)
        updates = len(self.batches) * self.settings.epochs
        return Learner(network, loss, self.settings, self.device, self.group, updates)

    # ----------------------------------------------------------------- epoch

    def _train_epoch(self) -> EpochLog:
        if not self.group.first:  # a checkpoint has the first process's generators; the others draw new numbers
            torch.manual_seed(derived_seed(self.settings.seed, self.epoch, self.group.rank))
        self.batches.set_epoch(self.epoch)
        self.learner.network.train()
        log = EpochLog()
        for batch in self.loader:
            progress = self.epoch + log.batches / len(self.batches)
            factor = learning_rate_factor(progress, self.settings.epochs, self.settings)
            # 8-bit squares become floats only on the device: a quarter of the traffic
            images = self.learner.network.to_input(batch["img"].to(self.device, non_blocking=True))
            loss, logits = self.learner.learn(images, batch["cls"].to(self.device, non_blocking=True), factor)
            log.add(batch["position"], logits, loss)
            if self.recorder is not None and (self.recorder.batch_due() or log.batches == len(self.batches)):
                self._record_batch(self.recorder, log)
            if self.cancelled():
                raise RunCancelled(f"Run {self.job.run_id} was cancelled in epoch {self.epoch + 1}.")
        return log

    def _record_batch(self, recorder: Recorder, log: EpochLog) -> None:
        assert log.loss is not None
        loss = float(log.loss)
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss is not a number any more in epoch {self.epoch + 1}, batch {log.batches}.",
                "Use a smaller learning_rate, or precision: float32. The last good checkpoint remains.",
            )
        speed = sum(map(len, log.positions)) * self.group.size / max(log.seconds, 1e-9)
        batches, epochs = len(self.batches), self.settings.epochs
        values = {"epoch": self.epoch + 1, "batch": log.batches, "batches": batches, "loss": loss}
        if self.device.type == "cuda":
            values["gpu_memory_bytes"] = torch.cuda.memory_reserved(self.device)
        recorder.batch(values | {"learning_rate": self.learner.learning_rate, "images_per_second": speed})
        note = f"epoch {self.epoch + 1}/{epochs} · loss {loss:.3f} · {speed:.0f} images/s{self._best_note()}"
        self.progress("train", self.epoch * batches + log.batches, epochs * batches, note)

    def _best_note(self) -> str:
        value = self.best.get("value")
        known = metric_of(self.settings.monitor)
        title = known.title if known else self.settings.monitor
        return "" if value is None else f" · best validation {title} {value:.3f}"

    def _close_epoch(self, log: EpochLog) -> None:
        """Record the epoch, evaluate if it is one to evaluate, decide whether it was the last, and save."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        log.train_seconds = log.seconds
        positions, logits = self.group.gathered(torch.cat(log.positions), torch.cat(log.logits).cpu())
        if self.recorder is None:
            return
        self._record_dynamics(self.recorder, log, positions.numpy(), logits.numpy())
        last = self.epoch + 1 >= self.settings.epochs or self.finish_early()
        if last or (self.epoch + 1) % self.settings.evaluate_every == 0:
            self._evaluate(self.recorder, log, last)
        self.finished = last or self._out_of_patience()
        self._save(self.recorder)

    def _record_dynamics(self, recorder: Recorder, log: EpochLog, positions: np.ndarray, logits: np.ndarray) -> None:
        labels = self.train_labels[positions]
        log.images, log.right = len(positions), float(self.target.right(logits, labels).mean())
        self._seen_images += log.images
        self._train_seconds += log.train_seconds
        table = self.target.dynamics_table(self.train_ids[positions], labels, logits, self.job.classes)
        recorder.dynamics(self.epoch + 1, table)

    def _out_of_patience(self) -> bool:
        patience, best = self.settings.patience, self.best
        return bool(patience and best) and self.epoch + 1 - best["step"] >= patience

    # ------------------------------------------------------------ evaluation

    def _evaluate(self, recorder: Recorder, log: EpochLog, last: bool) -> None:
        """Evaluate the averaged weights on the validation photos, and keep them if they are the best so far."""
        if (
            not self.val_ids
        ):  # they are trained on, too: nothing is left to choose an epoch by, so the last weights are used
            recorder.step(self.epoch + 1, self._training_values(log), None)
            if last:
                self._keep_best(None, None)
            return
        logits = logits_of(self.learner.average.network, self.pixels.squares(self.val_ids), self.device)
        loss = float(self.learner.loss(logits, torch.from_numpy(self.val_labels)))
        probabilities, classes = self.target.probabilities(logits).numpy(), self.job.classes
        bins = self.job.evaluation.calibration_bins
        found = self.target.judge(self.val_labels, probabilities, classes, bins=bins)
        values = {
            f"val/{metric.name}": float(found[metric.name]) for metric in self.target.metrics if metric.name in found
        }
        values["val/loss"] = loss
        table = self.target.step_table(self.val_ids, self.val_labels, probabilities, classes)
        recorder.step(self.epoch + 1, values | self._training_values(log), table)
        fitness = self.target.fitness(found, self.settings.monitor)
        if not self.best or fitness > self.best["fitness"]:
            self._keep_best(fitness, float(found[self.settings.monitor]))
        done, total = (self.epoch + 1) * len(self.batches), self.settings.epochs * len(self.batches)
        self.progress("train", done, total, f"epoch {self.epoch + 1}/{self.settings.epochs}{self._best_note()}")

    def _training_values(self, log: EpochLog) -> dict[str, float]:
        assert log.mean_loss is not None
        return {
            "train/loss": float(log.mean_loss),
            f"train/{self.target.headline.name}": log.right,
            "learning_rate": self.learner.learning_rate,
            "images_per_second": log.images / max(log.train_seconds, 1e-9),
            "seconds": log.seconds,
        }

    def _keep_best(self, fitness: float | None, value: float | None) -> None:
        averaged = self.learner.average.network.state_dict()
        state = {name: tensor.detach().cpu().clone() for name, tensor in averaged.items()}
        self.best = {"fitness": fitness, "value": value, "step": self.epoch + 1, "state": state}

    # ----------------------------------------------------------- checkpoints

    def _save(self, recorder: Recorder) -> None:
        """Write the full state, unless that would be too often (see `CHECKPOINT_SHARE`)."""
        started = time.monotonic()
        due = (started - self._saved_at) * CHECKPOINT_SHARE >= self._save_seconds
        if not (due or self.finished):
            return
        recorder.flush()
        save_checkpoint(self.job.outputs.checkpoint, self._state())
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - started

    def _state(self) -> dict[str, Any]:
        return self.learner.state() | {
            "run_id": self.job.run_id,
            "epoch": self.epoch + 1,
            "finished": self.finished,
            "best": self.best,
            "seen_images": self._seen_images,
            "train_seconds": self._train_seconds,
            "random": random_state(),
        }

    def _resume(self) -> None:
        """Go on from the checkpoint if there is one."""
        state = load_checkpoint(self.job.outputs.checkpoint, self.job.run_id)
        if self.recorder is not None:
            self.recorder.rewind(state["epoch"] if state else 0)
        if state:
            self.learner.restore(state)
            self.epoch, self.best = state["epoch"], state["best"]
            self._seen_images, self._train_seconds = state["seen_images"], state["train_seconds"]
            restore_random_state(state["random"])
        if self.recorder is not None:
            check_room(self.job.outputs.path, sum(parameter.numel() for parameter in self.learner.network.parameters()))

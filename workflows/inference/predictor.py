"""Predicts classes of photos with the classifier of a run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workflows.backbones.network import Network
from workflows.errors import FieldguideError, UsageError
from workflows.inference.model import ModelCard, load_model
from workflows.progress import Progress, silent
from workflows.store.store import Store
from workflows.targets.registry import target_named
from workflows.training.devices import torch_device
from workflows.training.network import logits_of

BATCH = 64


class Predictor:
    """A loaded classifier. Keeps the model warm between calls."""

    def __init__(self, model: Network, card: ModelCard, device: torch.device) -> None:
        self.model, self.card, self.device = model, card, device
        self.target = target_named(card.target)

    @classmethod
    def load(cls, store: Store, run_id: str, device: str = "auto") -> Predictor:
        """Load the classifier of a run. Raises RunError if there is no such run or it has no model yet."""
        run = store.runs.get(run_id)
        chosen = torch_device(device)
        model, card = load_model(store.run_folder(run.run_id).model, chosen)
        return cls(model, card, chosen)

    def probabilities(self, squares: np.ndarray) -> np.ndarray:
        """Return float32 [n, classes] for the network's inputs (uint8 [n, side, side, 3]), calibrated.

        The one place where the card's temperature is applied: whatever shows a confidence got it from here.
        """
        logits = logits_of(self.model, squares, self.device, BATCH)
        return self.target.probabilities(logits, self.card.calibration.temperature).numpy()

    def predict(self, paths: Sequence[Path], top: int = 5, progress: Progress = silent) -> list[dict[str, Any]]:
        """Predict photos, in the order given.

        Returns one record per path: `path`, `label`, `confidence` and `top` (the `top` best, each with `label` and
        `confidence`), or `path` and `error` for what can't be read.
        """
        if top < 1:
            raise UsageError(f"--top must be at least 1, not {top}.")
        records: list[dict[str, Any]] = []
        for batch in _batches(paths, BATCH):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                decoded = list(pool.map(self._decode, batch))
            records += self._predict_batch(batch, decoded, top)
            progress("predict", len(records), len(paths))
        return records

    def _decode(self, path: Path) -> np.ndarray | str:
        try:
            return self.card.transform.read(path)
        except FieldguideError as error:
            return error.message
        except OSError as error:
            return error.strerror or str(error)

    def _predict_batch(self, paths: Sequence[Path], decoded: list[np.ndarray | str], top: int) -> list[dict[str, Any]]:
        squares = [item for item in decoded if not isinstance(item, str)]
        rows = iter(self.probabilities(np.stack(squares)) if squares else ())
        return [
            {"path": str(path), "error": item} if isinstance(item, str) else self._record(path, next(rows), top)
            for path, item in zip(paths, decoded, strict=True)
        ]

    def _record(self, path: Path, probabilities: np.ndarray, top: int) -> dict[str, Any]:
        answers = self.target.decode(probabilities, self.card.classes, top)
        best = [{"label": name, "confidence": confidence} for name, confidence in answers]
        return {"path": str(path), **best[0], "top": best}


def _batches(items: Iterable[Path], size: int) -> Iterator[list[Path]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch

"""Fits a trained network's temperature on its validation photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from workflows.data.pixels import Pixels
from workflows.inference.model import ModelCard, build_network
from workflows.targets.calibration import DEFAULT_BINS
from workflows.targets.registry import target_named
from workflows.training.devices import torch_device
from workflows.training.network import logits_of


def calibrated(
    card: ModelCard, weights: Path, records: pd.DataFrame, pixels: Pixels, device: str, bins: int = DEFAULT_BINS
) -> ModelCard:
    """Return `card` with the temperature that fits its weights.

    The same weights and photos give the same bits on a CPU, so a run that was cut off ends as one that was not.

    Args:
        card: of the network, not calibrated.
        weights: its file (safetensors).
        records: the run's photos: `image_id`, `split`, `label`; those of the split `val` are used.
        pixels: their decoded squares.
        device: as in training.
        bins: confidence bins of the calibration error.

    Raises:
        TrainingError: an answer of the network is not a number.
    """
    validation = records[records["split"] == "val"]
    logits = np.zeros((0, len(card.classes)), np.float32)
    if len(validation):
        chosen = torch_device(device)
        logits = logits_of(
            build_network(card, weights, chosen), pixels.squares(validation["image_id"].tolist()), chosen
        ).numpy()
    target = target_named(card.target)
    fitted = target.fit_temperature(logits, target.encode(validation, card.classes), bins=bins)
    return card.model_copy(update={"calibration": fitted})

"""Confidences that keep what they promise: temperature scaling.

A network's confidence is off in one direction nearly everywhere: label smoothing makes it too cautious, long training
too sure. Dividing all its logits by one number, the temperature, before the softmax corrects most of that and moves no
answer: the largest logit stays the largest (Guo et al. 2017, "On Calibration of Modern Neural Networks"). The number
is fitted once, after the training, on the validation images, and belongs to the model from then on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workflows.targets.calibration import DEFAULT_BINS, Calibration, expected_calibration_error
from workflows.targets.single_label.labels import IntArray, predicted_codes
from workflows.targets.single_label.metrics import checked_probabilities, log_losses

LEAST_IMAGES = 30
"""Fewer validation images say too little about a confidence."""
BOUNDS = (0.05, 20.0)
"""Temperatures beyond are no calibration but a network that has learnt nothing, or everything by heart."""


def fit_temperature(logits: ArrayLike, labels: ArrayLike, *, bins: int = DEFAULT_BINS) -> Calibration:
    """Find the temperature that makes the labels of some images most probable (smallest log loss).

    As in Platt's scaling (1999), no label counts as quite certain: n images all of which are right don't prove that
    the next one will be. So each label has the weight (n + 1) / (n + 2), the rest is shared by the other classes;
    without that, images that are all right would ask for a temperature of 0.

    Args:
        logits: float[n, c], the network's outputs before the softmax, for images that it was not taught.
        labels: int[n], their true classes as positions.
        bins: confidence bins of the calibration error that is reported.

    Returns:
        The fit; its temperature is 1, with a reason, if the images are too few or no other lowers their log loss.
        The same arguments give the same bits.

    Raises:
        TrainingError: a logit is not a number.
    """
    outputs, codes = checked_probabilities(logits).astype(np.float64), np.asarray(labels, dtype=np.int64)
    images = len(outputs)
    if images < LEAST_IMAGES:
        counted = f"{images} validation image(s)" if images else "no validation images"
        return Calibration(images=images, reason=f"{counted}: a temperature needs {LEAST_IMAGES}")
    before, temperature = with_temperature(outputs, 1.0), _best_temperature(outputs, codes)
    after = with_temperature(outputs, temperature)
    ece_before, loss_before = _errors(before, codes, bins)
    ece_after, loss_after = _errors(after, codes, bins)
    measured = {"images": images, "ece_before": ece_before, "log_loss_before": loss_before}
    if not loss_after < loss_before:
        words = "no temperature fits the validation images better than 1"
        return Calibration(**measured, ece_after=ece_before, log_loss_after=loss_before, reason=words)
    return Calibration(temperature=temperature, **measured, ece_after=ece_after, log_loss_after=loss_after)


def with_temperature(logits: ArrayLike, temperature: float) -> NDArray[np.float32]:
    """Return the softmax of logits divided by a temperature, float32[n, c].

    Also turns stored probabilities p of one temperature into those of another: give log p and the quotient of both.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    odds = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)


def without_temperature(probabilities: ArrayLike, temperature: float) -> NDArray[np.float32]:
    """Return what probabilities were before a temperature was applied, float32[n, c].

    Exact up to the precision of float32, and to probabilities below 1e-38, which are stored as 0.
    """
    stored = np.maximum(np.asarray(probabilities, dtype=np.float64), np.finfo(np.float32).tiny)
    return with_temperature(np.log(stored), 1.0 / temperature)


def _best_temperature(outputs: NDArray[np.float64], codes: IntArray) -> float:
    """Minimise the log loss over the logarithm of the temperature, where it has one valley."""
    # scipy's optimisers take a fifth of a second to import: only those who fit pay for it
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    images, classes = outputs.shape
    sure = (images + 1) / (images + 2)
    rest = (1 - sure) / max(classes - 1, 1)
    own = outputs[np.arange(images), codes]
    expected = (sure - rest) * own + rest * outputs.sum(axis=1)

    def loss(logarithm: float) -> float:
        scale = np.exp(-logarithm)
        return float(np.mean(logsumexp(outputs * scale, axis=1) - expected * scale))

    found = minimize_scalar(loss, bounds=tuple(np.log(BOUNDS)), method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))


def _errors(probabilities: NDArray[np.float32], codes: IntArray, bins: int) -> tuple[float, float]:
    """Return the calibration error and the mean log loss."""
    right = predicted_codes(probabilities) == codes
    losses = log_losses(codes, probabilities).astype(np.float64)
    return expected_calibration_error(probabilities.max(axis=1), right, bins), float(losses.mean())

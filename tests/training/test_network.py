"""The network's loss, arithmetic and inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from workflows.backbones.yolov8 import YOLOV8
from workflows.targets.single_label.loss import CrossEntropy, class_weights
from workflows.training.network import logits_of

COUNTS = [10, 30, 60]


def test_balanced_weights_are_scikit_learns_up_to_scale() -> None:
    labels = np.repeat([0, 1, 2], COUNTS)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    found = np.array(class_weights(COUNTS, "balanced"))
    np.testing.assert_allclose(found / found[0], expected / expected[0])


@pytest.mark.parametrize("weighting", ["sqrt", "balanced"])
def test_weights_leave_the_mean_over_images_at_one(weighting: str) -> None:
    found = np.array(class_weights(COUNTS, weighting))
    assert np.average(found, weights=COUNTS) == pytest.approx(1.0)
    assert (np.diff(found) < 0).all()


def test_no_weighting_is_none_and_an_empty_class_is_finite() -> None:
    assert class_weights(COUNTS, "none") is None
    assert np.isfinite(class_weights([0, 5], "balanced")).all()


def test_class_weights_act_on_the_loss() -> None:
    logits, labels = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    losses = -torch.log_softmax(logits, 1)[[0, 1], labels]
    found = CrossEntropy([1.0, 3.0])(logits, labels)
    assert found.item() == pytest.approx(float((losses[0] + 3 * losses[1]) / 4))


def test_label_smoothing_acts_on_the_loss() -> None:
    logits, labels = torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([0])
    log_p = torch.log_softmax(logits, 1)[0]
    expected = -(0.9 + 0.1 / 3) * log_p[0] - 0.1 / 3 * (log_p[1] + log_p[2])
    assert CrossEntropy(None, 0.1)(logits, labels).item() == pytest.approx(float(expected), rel=1e-6)


def test_logits_do_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    model = YOLOV8.build("n", 4, 32).eval()
    squares = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    whole = logits_of(model, squares, torch.device("cpu"), batch=7)
    parts = logits_of(model, squares, torch.device("cpu"), batch=2)
    np.testing.assert_allclose(whole.numpy(), parts.numpy(), atol=1e-5)

"""Temperature scaling: it finds what was planted, never hurts, moves no answer, and can be undone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from tests.evaluation.cases import class_names
from tests.properties import examples
from workflows.errors import TrainingError
from workflows.evaluation.predictions import read_predictions, temperature_of
from workflows.evaluation.tables import evaluate_predictions
from workflows.store.files import write_table
from workflows.targets.calibration import Calibration
from workflows.targets.single_label.metrics import log_losses
from workflows.targets.single_label.tables import predictions_table, probability_matrix
from workflows.targets.single_label.temperature import (
    LEAST_IMAGES,
    fit_temperature,
    with_temperature,
    without_temperature,
)

Case = tuple[NDArray[np.float64], NDArray[np.int64]]


def honest(images: int, classes: int, seed: int, spread: float = 3.0) -> Case:
    """Logits whose softmax is exactly how often each class is true, and labels drawn by it."""
    random = np.random.default_rng(seed)
    logits = random.normal(0.0, spread, (images, classes))
    labels = [random.choice(classes, p=chances) for chances in softmax(logits, axis=1)]
    return logits, np.array(labels)


@st.composite
def any_logits(draw: st.DrawFn) -> Case:
    """Draw logits and labels of anything: a good network, a blind one, one that is always right, or always wrong."""
    images, classes = draw(st.integers(1, 120)), draw(st.integers(2, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = random.normal(0.0, draw(st.sampled_from([0.0, 0.1, 1.0, 10.0, 300.0])), (images, classes))
    kind = draw(st.sampled_from(["blind", "right", "wrong", "mixed"]))
    labels = {"right": logits.argmax(axis=1), "wrong": logits.argmin(axis=1)}.get(
        kind, random.integers(0, classes, images)
    )
    if kind == "mixed":
        labels = np.where(random.random(images) < 0.8, logits.argmax(axis=1), labels)
    return logits, labels.astype(np.int64)


@settings(max_examples=examples(25), deadline=None)
@given(st.floats(0.25, 4.0), st.integers(2, 10), st.integers(0, 2**32 - 1))
def test_a_planted_temperature_is_found(planted: float, classes: int, seed: int) -> None:
    logits, labels = honest(3000, classes, seed)
    found = fit_temperature(logits * planted, labels)
    assert found.temperature == pytest.approx(planted, rel=0.2) or not found.fitted
    if not 0.8 < planted < 1.25:
        assert found.fitted
        assert found.ece_before is not None and found.ece_after is not None
        assert found.ece_after < found.ece_before


@settings(max_examples=examples(80), deadline=None)
@given(any_logits())
def test_it_never_raises_the_loss_it_was_fitted_on(case: Case) -> None:
    logits, labels = case
    found = fit_temperature(logits, labels)
    assert np.isfinite(found.temperature) and found.temperature > 0
    assert found.fitted == (not found.reason)
    if len(labels) < LEAST_IMAGES:
        assert not found.fitted
        return
    before, after = (
        log_losses(labels, with_temperature(logits, t)).mean(dtype=float) for t in (1.0, found.temperature)
    )
    assert after <= before + 1e-6  # what float32 can tell apart
    assert found.log_loss_before == pytest.approx(before, rel=1e-4, abs=1e-7)
    assert found.log_loss_after == pytest.approx(after, rel=1e-4, abs=1e-7)


@settings(max_examples=examples(60), deadline=None)
@given(any_logits(), st.floats(0.05, 20.0))
def test_no_answer_changes(case: Case, temperature: float) -> None:
    logits = np.asarray(case[0], dtype=np.float32)
    scaled = with_temperature(logits, temperature)
    rows = np.arange(len(logits))
    assert scaled.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    # where float32 can no longer tell two apart, the winner is still among the equally probable
    assert (scaled[rows, logits.argmax(axis=1)] == scaled.max(axis=1)).all()


@settings(max_examples=examples(40), deadline=None)
@given(st.floats(0.3, 5.0), st.integers(0, 2**32 - 1))
def test_what_was_before_can_be_told_from_what_is_stored(temperature: float, seed: int) -> None:
    logits, _ = honest(50, 6, seed)
    stored = with_temperature(logits, temperature)
    assert without_temperature(stored, temperature) == pytest.approx(softmax(logits, axis=1), abs=1e-5)


def test_the_loss_is_scikit_learns() -> None:
    logits, labels = honest(400, 5, seed=3)
    found = fit_temperature(2.5 * logits, labels)
    for temperature, told in ((1.0, found.log_loss_before), (found.temperature, found.log_loss_after)):
        chances = np.exp(log_softmax(2.5 * logits / temperature, axis=1))
        assert told == pytest.approx(log_loss(labels, chances, labels=range(5)), rel=1e-4)


def test_the_same_arguments_give_the_same_bits() -> None:
    logits, labels = honest(200, 5, seed=1)
    assert fit_temperature(3 * logits, labels) == fit_temperature(3 * logits, labels)


@pytest.mark.parametrize("images", [0, 1, LEAST_IMAGES - 1])
def test_too_few_images_leave_confidences_alone_and_say_why(images: int) -> None:
    found = fit_temperature(np.zeros((images, 3)), np.zeros(images, dtype=int))
    assert (found.temperature, found.images, found.fitted) == (1.0, images, False)
    assert found.reason


def test_images_that_are_all_right_raise_confidences_but_prove_no_certainty() -> None:
    logits = np.tile([1.5, 0.0, 0.0], (100, 1))
    found = fit_temperature(logits, np.zeros(100, dtype=int))
    confidence = float(with_temperature(logits, found.temperature)[0, 0])
    assert float(softmax(logits[0])[0]) < 0.9 < confidence < 1.0
    assert confidence == pytest.approx(101 / 102, abs=1e-3), "Laplace's rule of succession"


def test_logits_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(TrainingError, match="not a number"):
        fit_temperature(np.full((LEAST_IMAGES, 2), np.nan), np.zeros(LEAST_IMAGES, dtype=int))


def test_a_card_from_before_reads_as_a_temperature_of_one() -> None:
    assert Calibration.model_validate({}).temperature == 1.0


def test_an_evaluation_tells_what_was_before(tmp_path: Path) -> None:
    logits, labels = honest(300, 4, seed=5)
    names, ids = class_names(4), [str(index) for index in range(300)]
    frames = [
        predictions_table(ids, ids, ["test"] * 300, labels, with_temperature(3 * logits, t), names) for t in (1.0, 3.0)
    ]
    plain = evaluate_predictions(tmp_path / "plain", frames[0], names, ("test",))["test"]
    found = evaluate_predictions(tmp_path / "calibrated", frames[1], names, ("test",), temperature=3.0)["test"]
    assert plain is not None and found is not None
    assert "uncalibrated" not in plain
    for name, value in found["uncalibrated"].items():
        assert value == pytest.approx(plain[name], abs=1e-6), name
    same = ("top1", "precision_macro", "recall_macro", "f1_macro", "top1_ci95", "support", "absent")
    assert {name: found[name] for name in same} == {name: plain[name] for name in same}
    assert found["ece"] < plain["ece"]


def test_the_predictions_say_with_which_temperature_they_were_made(tmp_path: Path) -> None:
    logits, labels = honest(30, 3, seed=0)
    names, ids = class_names(3), [str(index) for index in range(30)]
    chances = with_temperature(logits, 0.7)
    frame = predictions_table(ids, ids, ["val"] * 30, labels, chances, names)
    evaluate_predictions(tmp_path, frame, names, ("val",), temperature=0.7)
    assert temperature_of(tmp_path / "predictions.parquet") == 0.7
    stored, _ = read_predictions(tmp_path / "predictions.parquet")
    assert (probability_matrix(stored) == chances).all()


def test_predictions_of_old_say_that_there_was_none(tmp_path: Path) -> None:
    write_table(tmp_path / "p.parquet", pd.DataFrame({"image_id": ["a"]}), {"classes": "[]"})
    assert temperature_of(tmp_path / "p.parquet") == 1.0

"""What the numbers mean, in sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.evaluation.cases import predictions
from workflows.evaluation.predictions import metrics_of
from workflows.report.findings import cautions, f1_interval, findings, headline, origin_of
from workflows.report.words import NBSP


def _spaced(text: str) -> str:
    return text.replace(NBSP, " ")


def _metrics(top1: float, support: int = 200, confidence: float = 0.9) -> dict[str, object]:
    return {
        "top1": top1,
        "support": support,
        "top1_ci95": [max(top1 - 0.05, 0.0), min(top1 + 0.05, 1.0)],
        "average_confidence": confidence,
    }


def test_headline_gives_the_interval_and_the_odds() -> None:
    text = _spaced(headline(_metrics(0.9), "test"))
    assert "between 85.0 % and 95.0 %" in text
    assert "about 1 mistake in 10 photos" in text


def test_headline_of_a_perfect_and_of_a_poor_model() -> None:
    assert "Not one of the 200 photos was mistaken" in _spaced(headline(_metrics(1.0), "test"))
    assert "more mistakes than right answers" in headline(_metrics(0.2), "test")


def test_a_missing_test_split_is_said_in_words() -> None:
    frame, _ = predictions(400, 2)
    part = frame[frame["split"] == "val"]
    said = cautions({"val": _metrics(0.9), "test": None}, "val", part)
    assert len(said) == 1
    assert said[0].startswith("This run has no test split")
    assert "slightly better than they will be" in origin_of("val")
    assert cautions({"val": _metrics(0.9), "test": _metrics(0.9)}, "val", part) == []


def test_small_splits_are_called_rough() -> None:
    frame, _ = predictions(30, 4)
    said = [_spaced(text) for text in cautions({"test": _metrics(0.9, support=30)}, "test", frame)]
    assert any(text.startswith("Only 30 photos in this split") for text in said)
    assert any("fewer than 10 photos" in text for text in said)


@pytest.mark.parametrize(
    ("confidence", "words"), [(0.9, "agrees with"), (0.99, "too sure of itself"), (0.7, "more cautious")]
)
def test_calibration_is_judged_with_its_uncertainty(confidence: float, words: str) -> None:
    frame, classes = predictions(300, 3)
    said = findings(_metrics(0.9, confidence=confidence), frame, classes, 0)
    assert any(words in text for text in said)


def test_findings_name_baseline_weakest_class_and_main_mistake() -> None:
    labels = ["a"] * 60 + ["b"] * 40
    predicted = ["a"] * 57 + ["b"] * 3 + ["b"] * 30 + ["a"] * 10
    frame = pd.DataFrame({"label": labels, "predicted": predicted, "confidence": 0.8})
    frame["correct"] = frame["label"] == frame["predicted"]
    said = [_spaced(text) for text in findings(_metrics(0.87, support=100, confidence=0.87), frame, ["a", "b"], 2)]
    assert (
        said[0]
        == "Always answering “a”, the most frequent class, would be right for 60.0 %. The model is right for 87.0 %."
    )
    assert said[1].startswith("Recognised worst: “b”, 75.0 % of its 40 photos.")
    assert said[2].startswith("The most frequent mistake: “b” taken for “a”, 10 times (25.0 %")
    assert said[-1] == "2 labels look wrong and should be checked by a person."


def test_a_model_no_better_than_the_baseline_is_told_so() -> None:
    frame = pd.DataFrame(
        {"label": ["a"] * 9 + ["b"], "predicted": "a", "confidence": 0.8, "correct": [True] * 9 + [False]}
    )
    assert "The model is not better" in findings(_metrics(0.9), frame, ["a", "b"], 0)[0]


def test_f1_interval_holds_the_value() -> None:
    frame, classes = predictions(200, 4)
    found = metrics_of(frame, classes)
    assert found is not None
    low, high = f1_interval(frame, classes)
    assert low < found["f1_macro"] < high
    assert np.isfinite([low, high]).all()

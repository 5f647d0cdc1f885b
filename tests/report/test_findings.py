"""What the numbers mean, in sentences."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from tests.evaluation.cases import predictions
from tests.texts import mentions, numbers, one_mentions
from workflows.report.findings import cautions, f1_interval, findings, headline, origin_of
from workflows.report.words import NBSP
from workflows.targets.single_label.tables import metrics_of


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
    assert re.search(r"85\.0 % \D* 95\.0 %", text) and re.search(r"\b1 \D* 10 photos", text)


def test_headline_of_a_perfect_and_of_a_poor_model() -> None:
    perfect, poor = _spaced(headline(_metrics(1.0), "test")), headline(_metrics(0.2), "test")
    assert mentions(perfect, 200) and mentions(poor, "mistakes") and not mentions(perfect, "mistakes")


def test_a_missing_test_split_is_said_in_words() -> None:
    frame, _ = predictions(400, 2)
    part = frame[frame["split"] == "val"]
    said = cautions({"val": _metrics(0.9), "test": None}, "val", part)
    assert len(said) == 1
    assert mentions(said[0], "test split") and origin_of("val") != origin_of("test")
    assert cautions({"val": _metrics(0.9), "test": _metrics(0.9)}, "val", part) == []


def test_small_splits_are_called_rough() -> None:
    frame, _ = predictions(30, 4)
    said = [_spaced(text) for text in cautions({"test": _metrics(0.9, support=30)}, "test", frame)]
    assert one_mentions(said, "30 photos") and one_mentions(said, "10 photos")


@pytest.mark.parametrize(
    ("confidence", "words"), [(0.9, "agrees with"), (0.99, "overconfident"), (0.7, "underconfident")]
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
    assert mentions(said[0], "“a”") and numbers(said[0]) == [60.0, 87.0]
    assert mentions(said[1], "“b”") and numbers(said[1])[:2] == [75.0, 40]
    assert re.search("“b” .*“a”", said[2]) and numbers(said[2])[:2] == [10, 25.0]
    assert mentions(said[-1], "labels") and numbers(said[-1]) == [2]


def test_a_model_no_better_than_the_baseline_is_told_so() -> None:
    frame = pd.DataFrame(
        {"label": ["a"] * 9 + ["b"], "predicted": "a", "confidence": 0.8, "correct": [True] * 9 + [False]}
    )
    assert "not better" in findings(_metrics(0.9), frame, ["a", "b"], 0)[0]


def test_f1_interval_holds_the_value() -> None:
    frame, classes = predictions(200, 4)
    found = metrics_of(frame, classes)
    assert found is not None
    low, high = f1_interval(frame, classes)
    assert low < found["f1_macro"] < high
    assert np.isfinite([low, high]).all()

"""Two models on the same images: differences, their intervals, and what the verdict says."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score, precision_score, recall_score

from tests.evaluation.cases import answers, class_names, predictions
from tests.texts import mentions
from workflows.errors import RunError
from workflows.evaluation.comparison import compare, left_out_causes
from workflows.store.files import to_plain
from workflows.targets.single_label.tables import metrics_of, predictions_table

NAMES = class_names(8)


def _pair(images: int = 400, skill_b: float = 3.5) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables over the same images and labels; B has more `skill` than A's 2.0."""
    frames = []
    labels, _ = answers(images, 8, seed=0)
    random = np.random.default_rng(1)
    noise = random.normal(0, 1.5, (images, 8))
    for skill in (2.0, skill_b):
        logits = noise + random.normal(0, 0.8, (images, 8))
        logits[np.arange(images), labels] += skill
        odds = np.exp(logits)
        ids = [str(index) for index in range(images)]
        frames.append(
            predictions_table(ids, ids, ["test"] * images, labels, odds / odds.sum(axis=1, keepdims=True), NAMES)
        )
    return frames[0], frames[1]


def test_metrics_and_differences_are_those_of_the_tables() -> None:
    a, b = _pair()
    table = compare(a, b, resamples=50).metrics.set_index("metric")
    alone_a, alone_b = metrics_of(a, NAMES), metrics_of(b, NAMES)
    assert alone_a is not None and alone_b is not None
    for metric, row in table.iterrows():
        assert row["a"] == pytest.approx(alone_a[str(metric)], abs=1e-12)
        assert row["b"] == pytest.approx(alone_b[str(metric)], abs=1e-12)
        assert row["difference"] == pytest.approx(row["b"] - row["a"])
        assert row["low"] <= row["difference"] <= row["high"]


def test_a_clearly_better_model_is_called_better() -> None:
    a, b = _pair()
    result = compare(a, b, names=("champion", "challenger"), resamples=400)
    right_a, right_b = a["correct"], b["correct"]
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    assert result.p_value == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
    assert re.search("challenger .*better.* champion", result.verdict) and mentions(result.verdict, only_a, only_b)
    table = result.metrics.set_index("metric")
    assert table.loc[["top1", "f1_macro", "log_loss"], "better"].tolist() == ["b", "b", "b"]
    assert table.loc["average_confidence", "better"] == ""
    assert (result.changed["change"] == "mended").sum() == only_b
    assert (result.changed["change"] == "broken").sum() == only_a


def test_swapping_the_models_turns_everything_round() -> None:
    a, b = _pair()
    there, back = compare(a, b, resamples=100), compare(b, a, resamples=100)
    assert there.p_value == back.p_value
    assert (there.metrics["difference"] == -back.metrics["difference"]).all()
    assert re.match("B .*better.* A ", there.verdict) and re.match("A .*better.* B ", back.verdict)


def test_equal_models_are_not_told_apart() -> None:
    a, _ = _pair()
    same = compare(a, a, resamples=50)
    assert same.p_value == 1.0
    assert same.changed.empty
    assert "better" not in same.verdict and mentions(same.verdict, "difference", "A", "B")
    assert (same.metrics[["difference", "low", "high"]] == 0).all().all()
    assert set(same.metrics["better"]) == set(same.classes["better"]) == {""}


def test_equally_good_models_are_rarely_called_different() -> None:
    alarms = 0
    for seed in range(60):
        a, names = predictions(120, 5, seed=seed)
        other, _ = predictions(120, 5, seed=seed + 1000)
        # the same labels, answered by an equally good model
        b = other.assign(label=a["label"], predicted=np.where(other["correct"], a["label"], "none of these"))
        result = compare(a, b, resamples=2)
        alarms += result.p_value < 0.05
        assert set(result.classes["class"]) <= set(names)
    assert alarms <= 8


def test_classes_by_hand() -> None:
    a, b = _pair()
    table = compare(a, b, resamples=2).classes.set_index("class")
    for name in NAMES:
        own = (a["label"] == name).to_numpy()
        assert table.loc[name, "support"] == own.sum()
        assert table.loc[name, "recall_a"] == pytest.approx(a["correct"][own].mean())
        assert table.loc[name, "recall_b"] == pytest.approx(b["correct"][own].mean())
        assert table.loc[name, "p_adjusted"] >= table.loc[name, "p_value"]


def test_images_not_in_common_and_relabelled_ones_are_left_out_and_counted() -> None:
    a, b = _pair(100)
    b = b.iloc[10:].copy()
    b.loc[b.index[0], "label"] = NAMES[(NAMES.index(str(b.iloc[0]["label"])) + 1) % 8]
    result = compare(a, b, resamples=2)
    assert result.images == 89
    assert result.left_out == {"only_a": 10, "only_b": 0, "relabelled": 1}


def test_runs_without_common_images_are_refused() -> None:
    a, b = _pair(10)
    with pytest.raises(RunError, match=r"\bval\b"):
        compare(a, b, "val")
    with pytest.raises(RunError, match="common"):
        compare(a, b.assign(image_id=b["image_id"] + "x"))


def test_document_is_json_and_seeded() -> None:
    a, b = _pair(60)
    first, second = (json.dumps(to_plain(compare(a, b, resamples=30).document())) for _ in range(2))
    assert first == second
    assert json.loads(first)["left_out"] == {"only_a": 0, "only_b": 0, "relabelled": 0}


def test_a_class_without_images_is_named_and_compared_by_nothing() -> None:
    a, b = _pair()
    a, b = (frame[frame["label"] != NAMES[2]] for frame in (a, b))
    found = compare(a, b, resamples=50, known=[*NAMES, "unheard of"])
    assert found.absent == (NAMES[2], "unheard of")
    assert NAMES[2] not in set(found.classes["class"])
    table = found.metrics.set_index("metric")
    for frame, side in ((a, "a"), (b, "b")):
        present = sorted(set(frame["label"]))
        for name, oracle in (
            ("recall_macro", recall_score),
            ("precision_macro", precision_score),
            ("f1_macro", f1_score),
        ):
            expected = oracle(frame["label"], frame["predicted"], labels=present, average="macro", zero_division=0)
            assert table.loc[name, side] == pytest.approx(expected), name
    assert json.loads(json.dumps(to_plain(found.document())))["absent"] == [NAMES[2], "unheard of"]


def records(splits: str, labels: str = "aaaaaa") -> pd.DataFrame:
    """A run's images 0, 1, …: their splits by first letters (a dash: not in its data) and labels."""
    words = {"t": "train", "v": "val", "e": "test"}
    kept = [
        (str(number), words[split], label)
        for number, (split, label) in enumerate(zip(splits, labels, strict=False))
        if split != "-"
    ]
    return pd.DataFrame(kept, columns=["image_id", "split", "label"])


def test_every_image_that_is_left_out_has_its_cause() -> None:
    causes = left_out_causes(records("eeee-e", "aaaaab"), records("ettv-e", "aaaaaa"), "test", ("A", "B"))
    assert dict(causes) == {"were trained on by B": 2, "are validation images of B": 1, "have another label in each": 1}
    assert causes[0] == ("were trained on by B", 2)
    alone = left_out_causes(records("-e"), records("ee"), "test", ("A", "B"))
    assert alone == [("are not in the data of A", 1)]
    assert left_out_causes(records("ev"), records("et"), "test", ("A", "B")) == []


def test_the_verdict_has_the_interval_and_the_images() -> None:
    a, b = _pair()
    for first, second, better in ((a, b, "B"), (b, a, "A")):
        found = compare(first, second, names=("A", "B"), resamples=200)
        row = found.metrics.set_index("metric").loc["top1"]
        low, high = sorted(abs(100 * row[end]) for end in ("low", "high"))
        assert "of 400 test images" in found.verdict and found.verdict.startswith(f"{better} is better")
        assert f"(95 % interval +{low:.1f} to +{high:.1f})" in found.verdict

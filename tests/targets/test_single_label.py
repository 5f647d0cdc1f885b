"""The first target against scikit-learn, SciPy and PyTorch, and its ways there and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score, recall_score
from sklearn.utils.class_weight import compute_class_weight

from tests.evaluation.cases import class_names
from tests.properties import examples
from workflows.errors import DatasetError
from workflows.targets.single_label.target import SINGLE_LABEL
from workflows.targets.single_label.temperature import with_temperature

Case = tuple[NDArray[np.int64], NDArray[np.float32]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Labels int[n] of all classes, and logits float32[n, c]."""
    classes, seed = draw(st.integers(2, 12)), draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, draw(st.integers(0, 60)))])
    return labels, random.normal(0.0, draw(st.floats(0.1, 6.0)), (len(labels), classes)).astype(np.float32)


def records(labels: NDArray[np.int64], classes: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame({"label": [classes[code] for code in labels]})


@settings(max_examples=examples(40), deadline=None)
@given(cases())
def test_labels_survive_the_way_to_numbers_and_back(case: Case) -> None:
    labels, logits = case
    classes = class_names(logits.shape[1])
    table = records(labels, classes)
    encoded = SINGLE_LABEL.encode(table, classes)
    assert encoded.tolist() == labels.tolist()
    certain = np.eye(len(classes))[encoded]
    assert [SINGLE_LABEL.decode(row, classes, 1)[0] for row in certain] == [(name, 1.0) for name in table["label"]]
    assert SINGLE_LABEL.named(table) == table["label"].tolist()


def test_an_unknown_label_is_refused_and_a_category_is_as_good_as_a_name() -> None:
    with pytest.raises(DatasetError):
        SINGLE_LABEL.encode(pd.DataFrame({"label": ["cat"]}), ("dog",))
    table = pd.DataFrame({"label": pd.Categorical(["b", "a"], categories=["b", "a"])})
    assert SINGLE_LABEL.encode(table, ("a", "b")).tolist() == [1, 0]


@settings(max_examples=examples(40), deadline=None)
@given(cases(), st.floats(0.2, 5.0))
def test_probabilities_are_scipys_softmax(case: Case, temperature: float) -> None:
    _, logits = case
    expected = softmax(logits.astype(np.float64) / temperature, axis=1)
    found = SINGLE_LABEL.probabilities(torch.from_numpy(logits), temperature)
    assert found.dtype == torch.float32
    assert found.numpy() == pytest.approx(expected, abs=1e-6)
    assert with_temperature(logits, temperature) == pytest.approx(expected, abs=1e-6)


def test_a_temperature_of_one_changes_no_bit() -> None:
    logits = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(SINGLE_LABEL.probabilities(logits), logits.softmax(1))
    assert SINGLE_LABEL.activation_words(1.0) == "softmax"


@settings(max_examples=examples(40), deadline=None)
@given(cases(), st.sampled_from(["none", "sqrt", "balanced"]))
def test_the_loss_is_scikit_learns_weighted_log_loss(case: Case, weighting: str) -> None:
    labels, logits = case
    classes = np.arange(logits.shape[1])
    balanced = compute_class_weight("balanced", classes=classes, y=labels)
    weights = {"none": np.ones(len(classes)), "sqrt": np.sqrt(balanced), "balanced": balanced}[weighting]
    chances = softmax(logits.astype(np.float64), axis=1)
    expected = log_loss(labels, chances, sample_weight=weights[labels], labels=classes)
    loss = SINGLE_LABEL.loss(labels, len(classes), weighting, 0.0)  # type: ignore[arg-type]
    assert loss(torch.from_numpy(logits), torch.from_numpy(labels)).item() == pytest.approx(expected, rel=1e-4)


@settings(max_examples=examples(30), deadline=None)
@given(cases(), st.floats(0.0, 0.5))
def test_smoothing_is_pytorchs(case: Case, smoothing: float) -> None:
    labels, logits = torch.from_numpy(case[0]), torch.from_numpy(case[1])
    expected = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)(logits, labels)
    assert torch.equal(SINGLE_LABEL.loss(case[0], logits.shape[1], "none", smoothing)(logits, labels), expected)


@settings(max_examples=examples(30), deadline=None)
@given(cases())
def test_what_is_measured_is_scikit_learns(case: Case) -> None:
    labels, logits = case
    classes = class_names(logits.shape[1])
    chances = SINGLE_LABEL.probabilities(torch.from_numpy(logits)).numpy()
    found = SINGLE_LABEL.judge(labels, chances, classes, bins=15)
    assert {each.name for each in SINGLE_LABEL.metrics if len(classes) >= each.least_classes} <= found.keys()
    answers = SINGLE_LABEL.first_codes(logits)
    assert found["top1"] == accuracy_score(labels, answers) == SINGLE_LABEL.right(logits, labels).mean()
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        expected = score(labels, answers, average="macro", zero_division=0)
        assert found[f"{name}_macro"] == pytest.approx(expected, abs=1e-12)
    assert found["log_loss"] == pytest.approx(log_loss(labels, chances, labels=np.arange(len(classes))), rel=1e-4)


@settings(max_examples=examples(20), deadline=None)
@given(cases())
def test_stored_answers_are_judged_as_live_ones(case: Case) -> None:
    labels, logits = case
    classes, ids = class_names(logits.shape[1]), [f"{place:016x}" for place in range(len(labels))]
    chances = SINGLE_LABEL.probabilities(torch.from_numpy(logits)).numpy()
    live = SINGLE_LABEL.judge(labels, chances, classes, bins=15)
    table = SINGLE_LABEL.predictions_table(ids, ids, ["test"] * len(ids), labels, chances, classes)
    assert set(SINGLE_LABEL.answer_columns) | {"probabilities"} <= set(table)
    stored = SINGLE_LABEL.metrics_of(table, classes, "test", bins=15)
    paired = dict(
        zip((m.name for m in SINGLE_LABEL.compared), SINGLE_LABEL.paired_answers(table, classes).metrics(), strict=True)
    )
    assert stored is not None
    for name, value in paired.items():
        assert stored[name] == pytest.approx(live[name], abs=1e-12)
        assert value == pytest.approx(live[name], abs=1e-6)

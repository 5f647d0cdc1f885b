"""Champion or challenger: the statistics against independent oracles, and every way a decision can fall."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar

from tests.texts import mentions
from workflows.errors import RunError
from workflows.requests import PromotionRules
from workflows.retraining.decision import decide
from workflows.targets.single_label.tables import predictions_table

CLASSES = ("ant", "bee", "wasp")


def answers(correct: NDArray[np.bool_], labels: NDArray[np.int64], seed: int = 0) -> pd.DataFrame:
    """A predictions table in which exactly the images `correct` are right."""
    rng = np.random.default_rng(seed)
    predicted = np.where(correct, labels, (labels + 1 + rng.integers(0, 2, len(labels))) % 3)
    probabilities = np.full((len(labels), 3), 0.1)
    probabilities[np.arange(len(labels)), predicted] = 0.8
    ids = [f"{number:016x}" for number in range(len(labels))]
    return predictions_table(
        ids, ids, ["test"] * len(ids), [CLASSES[label] for label in labels], probabilities, CLASSES
    )


def labels_of(count: int) -> NDArray[np.int64]:
    return np.arange(count) % 3


def test_the_paired_test_agrees_with_scipy_and_statsmodels() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        labels = labels_of(200)
        a, b = rng.random(200) < 0.8, rng.random(200) < 0.9
        found = decide(answers(a, labels), answers(b, labels), resamples=50).comparison.p_value
        table = [[int((a & b).sum()), int((a & ~b).sum())], [int((~a & b).sum()), int((~a & ~b).sum())]]
        assert found == pytest.approx(mcnemar(table, exact=True).pvalue, abs=1e-12)
        assert found == pytest.approx(binomtest(table[0][1], table[0][1] + table[1][0]).pvalue, abs=1e-12)


def test_a_clearly_better_challenger_is_promoted() -> None:
    labels = labels_of(300)
    a, b = labels_of(300) < 2, np.arange(300) % 10 > 0
    decision = decide(answers(a, labels), answers(b, labels))
    assert decision.promote
    assert mentions(decision.reason, "better") and "90.0%" in decision.reason


@pytest.mark.parametrize("require", ["better", "not-worse"])
def test_a_worse_challenger_is_not(require: str) -> None:
    labels = labels_of(300)
    a, b = np.arange(300) % 10 > 0, np.arange(300) % 4 > 0
    decision = decide(answers(a, labels), answers(b, labels), PromotionRules(require=require))
    assert not decision.promote
    words = {"better": "significantly worse. And recall falls", "not-worse": "not certain"}
    assert words[require] in decision.reason


@pytest.mark.parametrize("require", ["better", "not-worse"])
def test_the_same_answers_gain_nothing(require: str) -> None:
    labels, right = labels_of(90), np.arange(90) % 5 > 0
    decision = decide(answers(right, labels), answers(right, labels, seed=3), PromotionRules(require=require))
    assert not decision.promote
    assert "no improvement" in decision.reason


def test_a_class_that_falls_forbids_it_and_a_tiny_one_is_only_named() -> None:
    labels = np.array([0] * 200 + [1] * 200 + [2] * 20)
    champion = np.concatenate([np.arange(200) % 2 > 0, np.arange(200) % 2 > 0, np.ones(20, bool)])
    challenger = np.concatenate([np.ones(400, bool), np.arange(20) % 2 > 0])
    strict = decide(answers(champion, labels), answers(challenger, labels))
    assert not strict.promote
    assert "wasp (100% to 50%)" in strict.reason
    lenient = decide(answers(champion, labels), answers(challenger, labels), PromotionRules(class_support=21))
    assert lenient.promote
    assert [(drop.name, drop.counts) for drop in lenient.drops] == [("wasp", False)]


def test_not_worse_admits_an_equal_one_and_the_margin_is_kept() -> None:
    labels = labels_of(900)
    a, b = np.arange(900) % 30 > 0, np.arange(900) % 30 != 1
    equal = decide(answers(a, labels), answers(b, labels), PromotionRules(require="not-worse", margin=0.03))
    assert equal.promote and not decide(answers(a, labels), answers(b, labels)).promote
    low = equal.comparison.metrics.set_index("metric").loc["top1", "low"]
    narrow = PromotionRules(require="not-worse", margin=float(-low) * 0.99)
    assert not decide(answers(a, labels), answers(b, labels), narrow).promote


def test_two_equally_good_models_change_places_in_at_most_one_of_twenty_repeats() -> None:
    """200 pairs of models that are right equally often, with errors of their own: what is left is luck."""
    rng = np.random.default_rng(0)
    labels = labels_of(240)
    rules = PromotionRules(class_drop=1.0)  # the test alone, without the help of the classes' veto
    promoted = 0
    for _ in range(200):
        hard = rng.random(240)  # images differ, so errors of the two are alike, as those of real models
        a, b = rng.random(240) < 0.6 + 0.4 * hard, rng.random(240) < 0.6 + 0.4 * hard
        promoted += decide(answers(a, labels), answers(b, labels), rules, resamples=50).promote
    assert promoted <= 10


def test_nothing_in_common_is_said() -> None:
    a = answers(np.ones(9, bool), labels_of(9))
    b = a.assign(image_id=[f"other{number}" for number in range(9)])
    with pytest.raises(RunError, match="no image"):
        decide(a, b)


def test_a_class_without_test_images_neither_forbids_nor_falls() -> None:
    labels = labels_of(300)
    a, b = labels_of(300) < 2, np.arange(300) % 10 > 0
    plain = decide(answers(a, labels), answers(b, labels))
    found = decide(answers(a, labels), answers(b, labels), known=(*CLASSES, "hornet"))
    assert found.promote and not found.drops
    assert found.comparison.absent == ("hornet",)
    assert found.comparison.metrics.equals(plain.comparison.metrics)
    assert {drop["name"] for drop in found.document()["drops"]} == set()

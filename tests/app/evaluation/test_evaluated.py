"""What the client reads out of a run's evaluations, against scikit-learn and what was written."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

import app.client as clients
from app.client.evaluation import csv_of
from app.components.address import parse_cell
from workflows.errors import RunError
from workflows.store.files import read_json
from workflows.store.store import Store


def test_a_step_is_judged_as_scikit_learn_does(store: Store, runs: list[str]) -> None:
    evaluated = clients.client().evaluation.evaluated(runs[0], 3)
    labels, predicted = (evaluated.frame[name].astype(str) for name in ("label", "predicted"))
    assert evaluated.metrics["top1"] == pytest.approx(accuracy_score(labels, predicted))
    assert evaluated.metrics["f1_macro"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    names = list(evaluated.classes)
    assert (evaluated.matrix == confusion_matrix(labels, predicted, labels=names)).all()
    oracle = precision_recall_fscore_support(labels, predicted, labels=names, zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "support"), oracle, strict=True):
        assert np.allclose(evaluated.per_class[name], values)


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_final_evaluation_is_what_was_written(store: Store, runs: list[str], split: str) -> None:
    evaluated = clients.client().evaluation.evaluated(runs[0], split)  # type: ignore[arg-type]
    written = read_json(store.run_folder(runs[0]).evaluation.metrics)[split]
    assert evaluated.metrics.pop("top1_ci95") == pytest.approx(written["top1_ci95"])
    assert evaluated.metrics.pop("absent") == written["absent"]
    assert evaluated.metrics == pytest.approx({name: written[name] for name in evaluated.metrics})
    image = str(evaluated.frame["image_id"][0])
    best = clients.client().evaluation.best_answers(runs[0], image)
    assert best[0] == (evaluated.frame["predicted"][0], pytest.approx(evaluated.frame["confidence"][0]))
    assert [share for _, share in best] == sorted((share for _, share in best), reverse=True)


def test_what_can_be_looked_at(store: Store, runs: list[str]) -> None:
    subject = clients.client().evaluation.subject(runs[0])
    assert subject.steps == (1, 2, 3, 4)
    assert subject.finals == ("val", "test")
    assert subject.best_step == 4
    assert len(subject.preview) == 48
    with pytest.raises(RunError, match=r"\b9\b"):
        clients.client().evaluation.evaluated(runs[0], 9)


def test_classes_keep_their_place_while_steps_go_by(store: Store, runs: list[str]) -> None:
    evaluation = clients.client().evaluation
    orders = [evaluation.order(runs[0], step, "confusion").tolist() for step in (1, 4)]
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(range(12))


def test_a_step_done_again_is_read_again(store: Store, runs: list[str]) -> None:
    evaluation, folder = clients.client().evaluation, store.run_folder(runs[1]).training.steps
    before = evaluation.evaluated(runs[1], 2)
    assert evaluation.evaluated(runs[1], 2) is before
    folder.table(2).write_bytes(folder.table(2).read_bytes())
    again = evaluation.evaluated(runs[1], 2)
    assert again is not before
    assert again.metrics == before.metrics


def test_names_in_downloads_are_no_formulas() -> None:
    assert csv_of(pd.DataFrame({"class": ["=1+1", "rose"], "images": [-1, 2]})) == b"class,images\n'=1+1,-1\nrose,2\n"


def test_a_cell_in_the_address() -> None:
    names = ["a", "b", "a→b", "<b>x</b>"]
    assert parse_cell("a→b", names) == ("a", "b")
    assert parse_cell("a→b→a", names) == ("a→b", "a")
    assert parse_cell("<b>x</b>→b", names) == ("<b>x</b>", "b")
    assert parse_cell("a→c", names) is None
    assert parse_cell("a", names) is None

"""Wrong labels that were planted must come up first, by training dynamics and by held-out answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from tests.texts import mentions
from workflows.errors import RunError
from workflows.evaluation.dynamics import load_dynamics
from workflows.store.files import write_table
from workflows.store.run_folder import StepFolder
from workflows.targets.single_label.label_errors import COLUMNS, suspected_labels
from workflows.targets.single_label.tables import dynamics_table, predictions_table

DIGITS = tuple("0123456789")
EPOCHS = 10


@dataclass(frozen=True)
class Trained:
    """A small network, really trained on digits of which 5 % carry a wrong label."""

    dynamics: pd.DataFrame
    predictions: pd.DataFrame
    truth: dict[str, str]  # of the planted ones alone


@pytest.fixture(scope="module")
def trained() -> Trained:
    pixels, labels = load_digits(return_X_y=True)
    random = np.random.default_rng(0)
    planted = random.random(len(labels)) < 0.05
    given = np.where(planted, (labels + random.integers(1, 10, len(labels))) % 10, labels)
    teach = random.random(len(labels)) < 0.7
    ids = np.array([f"{index:016x}" for index in range(len(labels))])
    return Trained(
        *_train(pixels / 16, given, teach, ids),
        {str(image): str(label) for image, label in zip(ids[planted], labels[planted], strict=True)},
    )


def _train(
    pixels: NDArray[np.float64], given: NDArray[np.int64], teach: NDArray[np.bool_], ids: NDArray[np.str_]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    network = MLPClassifier((64,), alpha=1e-3, learning_rate_init=3e-3, batch_size=64, random_state=0)
    tables = []
    for step in range(1, EPOCHS + 1):
        network.partial_fit(pixels[teach], given[teach], classes=np.arange(10))
        logits = network.predict_log_proba(pixels[teach])
        tables.append(dynamics_table(ids[teach], given[teach], logits, DIGITS).assign(step=step))
    held = ~teach
    splits = ["val" if index % 2 else "test" for index in range(int(held.sum()))]
    answers = network.predict_proba(pixels[held])
    return pd.concat(tables), predictions_table(ids[held], ids[held], splits, given[held], answers, DIGITS)


def _share_planted(found: pd.DataFrame, trained: Trained) -> float:
    return float(found["image_id"].isin(list(trained.truth)).mean())


def test_planted_training_labels_rank_on_top(trained: Trained) -> None:
    found = suspected_labels(trained.dynamics, None)
    planted = sum(image in trained.truth for image in trained.dynamics["image_id"].unique())
    assert planted > 40
    assert _share_planted(found.head(planted), trained) > 0.9
    assert _share_planted(found.head(planted // 2), trained) == 1.0


def test_planted_held_out_labels_rank_on_top(trained: Trained) -> None:
    found = suspected_labels(None, trained.predictions)
    planted = sum(image in trained.truth for image in trained.predictions["image_id"])
    assert planted > 15
    assert _share_planted(found.head(planted), trained) > 0.85
    assert set(found["split"]) == {"val", "test"}


def test_judgement_finds_most_and_accuses_few(trained: Trained) -> None:
    found = suspected_labels(trained.dynamics, trained.predictions)
    accused = found[found["is_suspected"]]
    assert _share_planted(accused, trained) > 0.8
    assert len(accused) > 0.7 * len(trained.truth)
    assert found["is_suspected"].is_monotonic_decreasing
    assert found["score"].between(0.5, 1).all()


def test_suggestions_are_the_true_labels(trained: Trained) -> None:
    found = suspected_labels(trained.dynamics, trained.predictions)
    accused = found[found["is_suspected"] & found["image_id"].isin(list(trained.truth))]
    right = [row.suggested == trained.truth[str(row.image_id)] for row in accused.itertuples()]
    assert np.mean(right) > 0.9
    assert (found["suggested"] != found["label"]).all()


def test_without_planted_errors_hardly_any_label_is_accused() -> None:
    pixels, labels = load_digits(return_X_y=True)
    ids = np.array([str(index) for index in range(len(labels))])
    dynamics, predictions = _train(pixels / 16, labels, np.arange(len(labels)) % 3 > 0, ids)
    accused = suspected_labels(dynamics, predictions)["is_suspected"].sum()
    assert accused < 0.01 * len(labels)


def test_reasons_are_in_words(trained: Trained) -> None:
    found = suspected_labels(trained.dynamics, trained.predictions).set_index("split")
    row = found.loc["train"].iloc[0]
    assert mentions(row["why"], row["suggested"], row["label"], "epochs")
    assert "epochs" not in found.loc["test", "why"].iloc[0]  # it was in none


def test_dynamics_without_rivals_give_no_suggestion(trained: Trained) -> None:
    found = suspected_labels(trained.dynamics.drop(columns="other"), None)
    assert set(found["suggested"]) == {""}
    assert "another class" in found["why"].iloc[0]


def test_training_images_among_the_answers_are_ignored(trained: Trained) -> None:
    learnt = trained.predictions.assign(split="train")
    assert suspected_labels(None, learnt).empty


def test_nothing_to_judge_gives_an_empty_table_of_the_same_shape() -> None:
    assert suspected_labels(None, None).columns.tolist() == COLUMNS
    assert suspected_labels(pd.DataFrame(), pd.DataFrame()).columns.tolist() == COLUMNS


def test_a_tiny_set_is_judged_without_complaint() -> None:
    dynamics = dynamics_table(["a", "b", "c"], [0, 0, 1], [[2.0, 0.0], [-9.0, 5.0], [0.0, 3.0]], ["x", "y"])
    found = suspected_labels(dynamics.assign(step=1), None)
    assert found["image_id"].tolist() == ["b"]
    assert found["suggested"].tolist() == ["y"]


def test_dynamics_are_read_in_the_order_of_the_epochs(tmp_path: Path, trained: Trained) -> None:
    for step, table in trained.dynamics.groupby("step"):
        write_table(tmp_path / f"{step:04d}.parquet", table.drop(columns="step"))
    read = load_dynamics(StepFolder(tmp_path))
    assert read["step"].unique().tolist() == list(range(1, EPOCHS + 1))
    again = suspected_labels(read, None)
    assert again["image_id"].tolist() == suspected_labels(trained.dynamics, None)["image_id"].tolist()
    assert load_dynamics(StepFolder(tmp_path / "none")).empty
    (tmp_path / "0002.parquet").write_bytes(b"cut")
    with pytest.raises(RunError, match=r"0002\.parquet"):
        load_dynamics(StepFolder(tmp_path))

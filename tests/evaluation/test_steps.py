from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.cases import answers, class_names, predictions
from workflows.errors import RunError
from workflows.evaluation.predictions import write_predictions
from workflows.evaluation.steps import best_answers, history_of, read_final, read_step, with_changes
from workflows.store.files import write_table
from workflows.store.run_folder import StepFolder
from workflows.targets.single_label.tables import step_table

NAMES = class_names(7)


def _write_step(folder: Path, step: int, seed: int, images: int = 50) -> None:
    labels, _ = answers(images, len(NAMES), seed=1)
    _, probabilities = answers(images, len(NAMES), seed=seed)
    ids = [f"{index:016x}" for index in range(images)]
    write_table(folder / f"{step:04d}.parquet", step_table(ids, labels, probabilities, NAMES))


def test_steps_come_back_in_order_with_all_classes(tmp_path: Path) -> None:
    for step in (10, 2, 1):
        _write_step(tmp_path, step, seed=step)
    (tmp_path / ".0003.abc.tmp.parquet").touch()
    assert StepFolder(tmp_path).steps() == [1, 2, 10]
    frame, classes = read_step(StepFolder(tmp_path), 2)
    assert classes == NAMES
    assert (frame["correct"] == (frame["label"].astype(str) == frame["predicted"].astype(str))).all()


def test_a_step_that_is_not_there_is_said(tmp_path: Path) -> None:
    _write_step(tmp_path, 3, seed=0)
    with pytest.raises(RunError, match=r"\b9\b"):
        read_step(StepFolder(tmp_path), 9)
    (tmp_path / "0004.parquet").write_bytes(b"half")
    with pytest.raises(RunError, match=r"0004\.parquet"):
        read_step(StepFolder(tmp_path), 4)


def test_final_answers_of_a_split_agree_with_the_whole_table(tmp_path: Path) -> None:
    whole, classes = predictions(60, 7, seed=4)
    write_predictions(tmp_path / "p.parquet", whole, classes)
    frame, found = read_final(tmp_path / "p.parquet", "test")
    part = whole[whole["split"] == "test"].reset_index(drop=True)
    assert found == classes
    assert frame["image_id"].tolist() == part["image_id"].tolist()
    assert frame["correct"].tolist() == part["correct"].tolist()
    own = [row[classes.index(label)] for row, label in zip(part["probabilities"], part["label"], strict=True)]
    assert np.allclose(frame["label_confidence"], own, atol=1e-5)
    best = best_answers(tmp_path / "p.parquet", part["image_id"][0])
    assert [name for name, _ in best] == list(part["top"][0])
    assert best[0][1] == pytest.approx(part["confidence"][0])
    assert best_answers(tmp_path / "p.parquet", "nobody") == []


@pytest.mark.parametrize("shuffled", [False, True])
def test_changes_since_the_step_before(tmp_path: Path, shuffled: bool) -> None:
    _write_step(tmp_path, 1, seed=5)
    _write_step(tmp_path, 2, seed=1)
    before, now = read_step(StepFolder(tmp_path), 1)[0], read_step(StepFolder(tmp_path), 2)[0]
    if shuffled:
        before = before.sample(frac=1.0, random_state=0).iloc[:-5].reset_index(drop=True)
    earlier = before.set_index("image_id")
    for row in with_changes(now, before).itertuples():
        if row.image_id not in earlier.index:
            assert row.change == ""
            continue
        old = earlier.loc[row.image_id]
        assert row.confidence_before == pytest.approx(old["confidence"])
        expected = ""
        if row.correct != old["correct"]:
            expected = "newly right" if row.correct else "newly wrong"
        elif not row.correct and row.predicted != old["predicted"]:
            expected = "other mistake"
        assert row.change == expected


def test_nothing_changed_at_the_first_step(tmp_path: Path) -> None:
    _write_step(tmp_path, 1, seed=5)
    assert set(with_changes(read_step(StepFolder(tmp_path), 1)[0], None)["change"]) == {""}


def test_one_image_through_the_steps(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        _write_step(tmp_path, step, seed=step)
    image = f"{7:016x}"
    history = history_of(StepFolder(tmp_path), image, [1, 2, 3, 4])
    assert history["step"].tolist() == [1, 2, 3]
    for row in history.itertuples():
        frame = read_step(StepFolder(tmp_path), row.step)[0].set_index("image_id").loc[image]
        assert (row.predicted, row.confidence) == (frame["predicted"], pytest.approx(frame["confidence"]))

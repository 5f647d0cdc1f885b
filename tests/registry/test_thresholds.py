"""Review thresholds: chosen on held-out images, saved with who and why, one for all names of a classifier."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tiny import TrainedRun
from workflows.errors import RunError, UsageError
from workflows.evaluation.predictions import read_predictions, write_predictions
from workflows.registry import models as registry
from workflows.registry.deletion import delete_run
from workflows.registry.thresholds import choose_threshold, judged_on, threshold_of
from workflows.report.review import set_threshold


@pytest.fixture
def run(trained: TrainedRun, tmp_path: Path) -> TrainedRun:
    """The run on tiny digits, in a store that may be changed."""
    return trained.copied(tmp_path / "trained")


def test_what_is_saved_holds_until_something_else_is(run: TrainedRun) -> None:
    assert threshold_of(run.store, run.run_id).is_default
    first = set_threshold(
        run.store, run.run_id, 0.8, reason=" few mistakes ", author="ada", wanted=0.9, chosen_on="val"
    )
    assert (first.value, first.is_default, first.reason, first.author) == (0.8, False, "few mistakes", "ada")
    assert (first.wanted, first.chosen_on) == (0.9, "val")
    assert first.created_at is not None and first.created_at.tzinfo is not None
    assert first.judged == judged_on(run.store, run.run_id, 0.8)
    set_threshold(run.store, run.run_id, 0.7, reason="too much to review", author="bob")
    assert threshold_of(run.store, run.run_id).value == 0.7
    assert set_threshold(run.store, run.run_id, None, reason="try again").is_default
    assert [line.value for line in run.store.thresholds.log(run.run_id)] == [None, 0.7, 0.8]


def test_a_threshold_is_judged_on_each_held_out_split(run: TrainedRun) -> None:
    frame, _ = read_predictions(run.folder.evaluation.predictions)
    middle = float(frame["confidence"].median())
    found = judged_on(run.store, run.run_id, middle)
    assert [judged.split for judged in found] == ["val", "test"]
    for judged in found:
        part = frame[frame["split"] == judged.split]
        accepted = part[part["confidence"] >= middle]
        assert (judged.images, judged.accepted, judged.right) == (len(part), len(accepted), accepted["correct"].sum())
    assert 0 < sum(judged.accepted for judged in found) < sum(judged.images for judged in found)


def test_a_threshold_is_chosen_for_an_accuracy(run: TrainedRun) -> None:
    frame, classes = read_predictions(run.folder.evaluation.predictions)
    least = frame.loc[frame["split"] == "val", "confidence"].idxmin()  # gets it wrong, so that a threshold helps
    frame["predicted"] = frame["predicted"].astype(str)
    frame.loc[least, ["predicted", "correct"]] = [
        next(name for name in classes if name != frame["label"][least]),
        False,
    ]
    write_predictions(run.folder.evaluation.predictions, frame, classes)
    part = frame[frame["split"] == "val"]
    accuracies = [
        (step / 1000, float(part["correct"][part["confidence"] >= step / 1000].mean()))
        for step in range(1001)
        if (part["confidence"] >= step / 1000).any()
    ]
    wanted = (accuracies[0][1] + max(accuracy for _, accuracy in accuracies)) / 2
    chosen = choose_threshold(run.store, run.run_id, wanted, "val")
    assert chosen == next(threshold for threshold, accuracy in accuracies if accuracy >= wanted) > 0
    with pytest.raises(UsageError):
        choose_threshold(run.store, run.run_id, 1.1, "val")
    with pytest.raises(UsageError):
        choose_threshold(run.store, run.run_id, 0.5, "train")


@pytest.mark.parametrize(("value", "reason"), [(1.1, "why"), (-0.1, "why"), (0.5, " ")])
def test_nonsense_is_refused(run: TrainedRun, value: float, reason: str) -> None:
    with pytest.raises(UsageError):
        set_threshold(run.store, run.run_id, value, reason=reason)
    assert run.store.thresholds.log(run.run_id) == []


def test_a_run_that_has_not_finished_has_none(run: TrainedRun) -> None:
    with pytest.raises(RunError):
        set_threshold(run.store, run.store.runs.create("waiting", {}).run_id, 0.5, reason="why")


def test_it_goes_with_an_export_and_with_its_run(run: TrainedRun, tmp_path: Path) -> None:
    set_threshold(run.store, run.run_id, 0.8, reason="few mistakes")
    other = run.copied(tmp_path / "other").store
    assert len(other.thresholds.log(run.run_id)) == 1
    delete_run(other, run.run_id)
    assert other.thresholds.log(run.run_id) == []
    registry.register(run.store, "digits", run.run_id)
    registry.export_model(run.store, "digits", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "model.json").read_text())["review_threshold"] == 0.8


def test_the_report_is_written_anew(run: TrainedRun) -> None:
    before = run.folder.report.read_text()
    set_threshold(run.store, run.run_id, 0.87, reason="few mistakes", author="ada")
    after = run.folder.report.read_text()
    assert "87.0" in after and "few mistakes" in after
    assert "few mistakes" not in before

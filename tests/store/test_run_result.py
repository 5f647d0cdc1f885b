"""What a run came to: older and newer results are read, and written as they were."""

from __future__ import annotations

from workflows.store.run_result import RunResult
from workflows.store.store import Store

OLDER = {"run_id": "a", "metrics": {"test": {"top1": 0.5}, "val": None}, "training": {"best_step": 3}, "mood": "good"}


def test_what_is_missing_has_defaults_and_what_is_unknown_stays() -> None:
    result = RunResult.model_validate(OLDER)
    assert result.metrics_of("test") == {"top1": 0.5} and result.metrics_of("val") == result.metrics_of("train") == {}
    assert result.dataset.classes == [] and result.estimate is None
    assert result.document() == OLDER


def test_top5_of_two_classes_that_earlier_releases_stored_is_left_out() -> None:
    stored = {"metrics": {"test": {"top1": 0.5, "top5": 1.0}, "val": None}, "dataset": {"classes": ["a", "b"]}}
    assert RunResult.model_validate(stored).metrics == {"test": {"top1": 0.5}, "val": None}
    many = {**stored, "dataset": {"classes": list("abcdef")}}
    assert RunResult.model_validate(many).metrics_of("test")["top5"] == 1.0


def test_nothing_where_a_table_should_be_is_an_empty_one() -> None:
    result = RunResult.model_validate({"metrics": None, "calibration": None, "workflow": None})
    assert (result.metrics, result.calibration, result.workflow) == ({}, {}, {})


def test_a_record_gives_back_what_was_recorded(store: Store) -> None:
    run = store.runs.create("a", {})
    assert run.result is None
    recorded = store.runs.update(run.run_id, result=RunResult.model_validate(OLDER)).result
    assert recorded is not None and recorded.document() == OLDER


def test_null_where_something_must_be_is_read_as_absent() -> None:
    fields = ("training", "splits", "dataset", "seconds", "suspected_labels", "findings", "versions", "artifacts")
    assert RunResult.model_validate(dict.fromkeys(fields) | {"run_id": "a"}) == RunResult(run_id="a")
    kept = {"run_id": "a", "device": None, "unknown": None}
    assert RunResult.model_validate(kept).document() == kept

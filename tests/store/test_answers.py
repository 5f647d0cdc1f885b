"""What steps answer: older and newer answers are read, and written as they were."""

from __future__ import annotations

import pytest

from workflows.store.answers import DatasetAnswer, SplitAnswer, StageAnswer, TrainingAnswer, WorkflowAnswer


def test_an_answer_is_written_as_it_was_read() -> None:
    document = {"name": "a", "version": 1, "images": 3, "classes": ["x"], "import": {"accepted": 3}, "mood": "good"}
    answer = DatasetAnswer.model_validate(document)
    assert answer.imported == {"accepted": 3} and answer.fingerprint == ""
    assert answer.document() == document


def test_a_step_needs_no_class_of_its_own() -> None:
    answer = StageAnswer(numbers=7).model_copy(update={"seconds": 0.5})
    assert answer.document() == {"numbers": 7, "seconds": 0.5}


def test_a_split_without_validation_counts_none() -> None:
    assert SplitAnswer.model_validate({"train": 5, "test": 2}).counts() == {"train": 5, "val": 0, "test": 2}


def test_each_answer_names_its_step() -> None:
    assert (WorkflowAnswer.key, TrainingAnswer.key, StageAnswer.key) == ("workflow", "training", "")
    assert "key" not in WorkflowAnswer(device="cpu").document()


@pytest.mark.parametrize(
    ("training", "chosen"), [({}, True), ({"best_value": 0.5}, True), ({"best_value": None}, False)]
)
def test_whether_validation_chose_the_weights(training: dict[str, float | None], chosen: bool) -> None:
    assert TrainingAnswer.model_validate(training).chosen is chosen

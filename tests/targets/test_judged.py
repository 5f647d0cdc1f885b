"""Which images judged a classifier: test images if there are any, and what it means where there are none."""

from __future__ import annotations

from typing import Any

import pytest

from workflows.targets.judged import Judged, counted_images, judged_by, judged_on


def measured(top1: float, images: int) -> dict[str, Any]:
    return {"top1": top1, "top1_ci95": [top1 - 0.1, top1 + 0.1], "support": images}


def test_test_images_judge_wherever_they_were_evaluated() -> None:
    found = judged_by({"val": measured(0.9, 150), "test": measured(0.8, 153)})
    assert found == Judged("test", 153, 0.8, (pytest.approx(0.7), pytest.approx(0.9)))
    assert not found.optimistic and not found.caution
    assert found.document()["chose_checkpoint"] is False


@pytest.mark.parametrize("test", [None, {}])
def test_else_validation_images_do_and_they_chose_the_checkpoint(test: dict[str, Any] | None) -> None:
    found = judged_by({"val": measured(0.9, 153), "test": test})
    assert found is not None and found.split == "val"
    assert found.optimistic and "chose the checkpoint" in found.caution
    assert found.counted == "153 validation images"
    assert found.document() == {
        "split": "val",
        "images": 153,
        "top1": 0.9,
        "top1_ci95": [pytest.approx(0.8), pytest.approx(1.0)],
        "chose_checkpoint": True,
    }


def test_what_was_not_evaluated_has_no_figure_rather_than_0() -> None:
    assert judged_by({}) is None
    assert judged_by({"val": None, "test": None}) is None
    found = judged_on({"top1": 0.0, "support": 7}, "test")
    assert found is not None and (found.top1, found.interval) == (0.0, None)


def test_images_are_named_by_their_split() -> None:
    assert counted_images(1, "test") == "1 test image"
    assert counted_images(1234, "val") == "1,234 validation images"
    assert counted_images(2, "all") == "2 all images"

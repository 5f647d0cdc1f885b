"""The best training that fits into the minutes given."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.recommend.builders import BIRDS, DIGITS, QUIET_CPU, make_cpu, make_facts, make_gpu
from tests.texts import mentions
from workflows.graph.workflow import Workflow
from workflows.recommend import recipe
from workflows.recommend.rules import recommend

PHOTOS = make_facts(short=300)


def within(minutes: float, **wishes: object) -> Workflow:
    """The most accurate training of the photos on a small processor in some minutes."""
    return recommend(PHOTOS, "accurate", make_cpu(), minutes=minutes, speed=QUIET_CPU, **wishes)  # type: ignore[arg-type]


def seconds(workflow: Workflow) -> float:
    """What the workflow is estimated to take."""
    assert workflow.estimate is not None
    return workflow.estimate.seconds


@pytest.mark.parametrize("minutes", [2, 3, 5, 8, 13, 30, 60])
def test_the_estimate_fits_and_uses_the_time(minutes: float) -> None:
    workflow = within(minutes)
    assert seconds(workflow) <= minutes * 60
    assert workflow.training.epochs >= recipe.BUDGET_EPOCHS_PRETRAINED
    full = recommend(PHOTOS, "accurate", make_cpu(), speed=QUIET_CPU)
    if workflow.training.epochs < full.training.epochs:
        longer = within(minutes, epochs=workflow.training.epochs + 1, image_size=workflow.model.image_size)
        assert seconds(longer) > minutes * 60 * recipe.BUDGET_SHARE


def test_enough_time_changes_nothing() -> None:
    assert within(10_000) == recommend(PHOTOS, "accurate", make_cpu(), speed=QUIET_CPU)


def test_more_minutes_never_mean_less() -> None:
    ladder = [within(minutes) for minutes in (1, 2, 3, 5, 8, 13, 21, 34)]
    pixels = [workflow.model.image_size for workflow in ladder]
    assert pixels == sorted(pixels)
    assert len(set(pixels)) > 3
    for shorter, longer in pairwise(ladder):
        if shorter.model.image_size == longer.model.image_size:
            assert shorter.training.epochs <= longer.training.epochs


def test_epochs_go_before_pixels() -> None:
    full = recommend(PHOTOS, "accurate", make_cpu(), speed=QUIET_CPU)
    a_little_less = within(seconds(full) / 60 * 0.8)
    assert a_little_less.model == full.model
    assert a_little_less.training.epochs < full.training.epochs


def test_a_large_model_gives_way_before_pixels_get_few() -> None:
    gpu = make_gpu(80 * 10**9)
    asked = recommend(BIRDS, "accurate", gpu)
    ladder = [recommend(BIRDS, "accurate", gpu, minutes=minutes) for minutes in (3, 5, 8, 13, 21, 34, 55, 89)]
    sizes = [workflow.model.size for workflow in ladder]
    assert sizes == sorted(sizes, key="nsmx".index), "more minutes, no smaller model"
    assert {"s", "m", "x"} <= set(sizes)
    for workflow in ladder:
        if workflow.model.size != "n":
            lowest = asked.model.image_size * recipe.BUDGET_LARGE_MODEL_SHARE
            assert workflow.model.image_size >= lowest


@pytest.mark.parametrize(
    ("wishes", "kind", "field"),
    [({"epochs": 40}, "training", "epochs"), ({"image_size": 256}, "model", "image_size")],
)
def test_what_the_person_asked_for_stays(wishes: dict[str, int], kind: str, field: str) -> None:
    workflow = within(3, **wishes)
    assert getattr(workflow.node(kind).settings, field) == wishes[field]
    reason = workflow.reason(kind, field)
    assert reason is not None and reason.source == "you"


def test_the_size_of_a_weights_file_stays() -> None:
    assert within(2, weights="yolov8s-cls.pt").model.size == "s"


def test_reasons_say_that_time_decided() -> None:
    workflow = within(3)
    reason = workflow.reason("model", "image_size")
    assert reason is not None
    assert mentions(reason.because, "3 minutes")
    assert QUIET_CPU.basis in reason.source


def test_what_cannot_fit_is_as_short_as_can_be_and_the_estimate_is_honest() -> None:
    workflow = recommend(BIRDS, "accurate", make_cpu(), minutes=0.5, speed=QUIET_CPU)
    assert workflow.training.epochs == 1
    assert seconds(workflow) > 30
    reason = workflow.reason("training", "epochs")
    assert reason is not None
    assert mentions(reason.because, "0.5 minutes", "shortest")


def test_later_rules_see_the_revised_training() -> None:
    workflow = within(3)
    assert workflow.training.epochs < recipe.ERASE_FROM_EPOCHS
    assert workflow.augmentation.erase == 0
    assert workflow.training.patience == 0


def test_training_from_random_weights_keeps_more_epochs() -> None:
    workflow = recommend(DIGITS, "balanced", make_cpu(), minutes=2, speed=QUIET_CPU)
    assert workflow.training.epochs >= recipe.BUDGET_EPOCHS_SCRATCH

"""The search space: around the start, only what acts, every point a workflow that can be used."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.graph.templates import list_templates, template_text
from workflows.graph.workflow import Workflow, loads
from workflows.nodes.augmentation import AugmentationSettings
from workflows.tuning.space import search_space, start_of, strengthened, workflow_at
from workflows.tuning.study import pareto, trials_table
from workflows.tuning.trials import suggest

BASES = [loads(template_text(name)) for name in list_templates()]


def test_balanced_square_photos_leave_out_what_cannot_matter() -> None:
    names = {each.name for each in search_space(BASES[0], imbalance=1.0, square_matters=False)}
    assert names == {
        "optimizer",
        "learning_rate",
        "image_size",
        "epochs",
        "augmentation",
        "dropout",
        "label_smoothing",
    }
    full = {each.name for each in search_space(BASES[0], imbalance=3.0, square_matters=True, sizes=("n", "s"))}
    assert full - names == {"model_size", "class_weighting", "square"}


@pytest.mark.parametrize("base", BASES, ids=lambda base: str(base.name))
def test_the_start_is_the_workflow_itself(base: Workflow) -> None:
    space = search_space(base, imbalance=3.0, square_matters=True, sizes=("n", "s"))
    start = workflow_at(base, start_of(space))
    assert start.model == base.model
    assert start.augmentation == base.augmentation
    same = {"optimizer", "epochs", "label_smoothing", "class_weighting", "learning_rate"}
    for field in same:
        assert getattr(start.training, field) == pytest.approx(getattr(base.training, field))


@given(st.integers(0, 2**32 - 1), st.sampled_from(BASES))
def test_every_point_is_a_workflow(seed: int, base: Workflow) -> None:
    space = search_space(base, imbalance=3.0, square_matters=True, sizes=("n", "s"))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    point = suggest(study.ask(), space)
    workflow = workflow_at(base, point)  # raises if a value is out of range
    assert workflow.model.image_size % 32 == 0
    assert workflow.training.epochs == point["epochs"]


@given(st.floats(0.0, 2.0))
def test_strength_scales_augmentations_within_their_ranges(strength: float) -> None:
    settings = AugmentationSettings(rotate=150.0, crop_min=0.4, hue=0.4, brightness=0.7, erase=0.3)
    changed = AugmentationSettings(**{**settings.model_dump(), **strengthened(settings, strength)})
    assert changed.rotate == pytest.approx(min(150.0 * strength, 180.0), abs=1e-3)
    assert changed.crop_min <= 1.0
    assert changed.blur == 0.0  # what was off stays off


def test_the_front_holds_what_nobody_beats_in_both() -> None:
    study = optuna.create_study(direction="maximize")
    for value, milliseconds in ((0.90, 5.0), (0.80, 2.0), (0.85, 6.0), (0.95, 9.0), (0.79, 1.5), (0.80, 3.0)):
        trial = study.ask()
        trial.set_user_attr("milliseconds", milliseconds)
        study.tell(trial, value)
    front = pareto(trials_table(study))
    assert front[["value", "milliseconds"]].values.tolist() == [[0.79, 1.5], [0.80, 2.0], [0.90, 5.0], [0.95, 9.0]]

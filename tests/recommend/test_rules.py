"""Each rule: what it reacts to and what it then chooses. Numbers that are tuned are taken from the recipe."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import examples
from tests.recommend.builders import BIRDS, DIGITS, GB, QUIET_CPU, make_cpu, make_facts, make_gpu, value_of
from workflows.errors import UsageError, WorkflowError
from workflows.graph.kinds import NODE_KINDS
from workflows.graph.workflow import Workflow, dumps, loads
from workflows.recommend import recipe
from workflows.recommend.facts import Facts
from workflows.recommend.hardware import Hardware
from workflows.recommend.rules import RULES, recommend

CPU, GPU, PHOTOS = make_cpu(), make_gpu(), make_facts()
FAST, BALANCED, ACCURATE = (recipe.RECIPES[goal] for goal in ("fast", "balanced", "accurate"))
TINY_SET = make_facts({"ants": 12, "bees": 10})
SCRATCH = {"weights": "none"}


def imbalanced(ratio: float) -> Facts:
    """Five classes, one of which has `ratio` times the images of the others."""
    return make_facts({"common": round(100 * ratio)} | {f"rare {index}": 100 for index in range(4)})


# what rule is shown; facts, goal, hardware, wishes; what must come out
CASES: list[tuple[str, Facts, str, Hardware, dict[str, Any], dict[str, Any]]] = [
    ("weights: photos start from ImageNet", PHOTOS, "fast", CPU, {}, {"model.weights": "auto"}),
    ("weights: tiny grey images do not", DIGITS, "fast", CPU, {}, {"model.weights": "none"}),
    (
        "weights: too few tiny grey images do after all",
        make_facts({str(d): 20 for d in range(10)}, short=32, colour=False),
        "fast",
        CPU,
        {},
        {"model.weights": "auto"},
    ),
    ("weights: a wish is kept", DIGITS, "fast", CPU, {"weights": "auto.pt"}, {"model.weights": "auto.pt"}),
    ("size: fast is n anywhere", PHOTOS, "fast", GPU, {}, {"model.size": "n"}),
    ("size: a processor takes n", PHOTOS, "balanced", CPU, {}, {"model.size": "n"}),
    ("size: two cores take n even for accuracy", PHOTOS, "accurate", CPU, {}, {"model.size": "n"}),
    ("size: many cores take s", PHOTOS, "accurate", make_cpu(cores=16), {}, {"model.size": "s"}),
    ("size: a GPU takes s", PHOTOS, "balanced", GPU, {}, {"model.size": "s"}),
    ("size: a GPU takes m for accuracy", PHOTOS, "accurate", GPU, {}, {"model.size": "m"}),
    ("size: a small GPU has no room for m", PHOTOS, "accurate", make_gpu(4 * GB), {}, {"model.size": "s"}),
    ("size: a big GPU takes x for many images", BIRDS, "accurate", make_gpu(80 * GB), {}, {"model.size": "x"}),
    ("size: few images do not fill x", PHOTOS, "accurate", make_gpu(80 * GB), {}, {"model.size": "m"}),
    ("size: few images from random weights take n", PHOTOS, "accurate", GPU, SCRATCH, {"model.size": "n"}),
    ("size: that of the weights file", PHOTOS, "fast", CPU, {"weights": "yolov8m-cls.pt"}, {"model.size": "m"}),
    ("pixels: fast on a processor", PHOTOS, "fast", CPU, {}, {"model.image_size": FAST.cpu_image_size}),
    ("pixels: fast on a GPU", PHOTOS, "fast", GPU, {}, {"model.image_size": FAST.gpu_image_size}),
    ("pixels: accurate on a GPU", PHOTOS, "accurate", GPU, {}, {"model.image_size": ACCURATE.gpu_image_size}),
    ("pixels: tiny images stay small", DIGITS, "accurate", GPU, {}, {"model.image_size": 64}),
    ("pixels: small images are hardly enlarged", make_facts(short=90), "accurate", GPU, {}, {"model.image_size": 128}),
    ("pixels: a wish is kept", DIGITS, "fast", CPU, {"image_size": 320}, {"model.image_size": 320}),
    ("square: ordinary photos are cropped", make_facts(aspect=3 / 2), "fast", CPU, {}, {"model.square": "crop"}),
    ("square: upright photos too", make_facts(aspect=2 / 3), "fast", CPU, {}, {"model.square": "crop"}),
    (
        "square: long ones of one shape are stretched",
        make_facts(aspect=16 / 9),
        "fast",
        CPU,
        {},
        {"model.square": "stretch"},
    ),
    ("square: very tall ones of one shape too", make_facts(aspect=0.4), "fast", CPU, {}, {"model.square": "stretch"}),
    (
        "square: long ones of many shapes are padded",
        make_facts(aspect=2.0, aspect_spread=1.5),
        "fast",
        CPU,
        {},
        {"model.square": "pad", "augmentation.crop_min": recipe.WHOLE_CROP_MIN},
    ),
    (
        "square: a tenth of very long ones is enough",
        make_facts(aspect=1.3, elongation_p90=3.0, aspect_p90=3.0),
        "fast",
        CPU,
        {},
        {"model.square": "pad"},
    ),
    ("batch: many images", PHOTOS, "fast", CPU, {}, {"training.batch": 64}),
    ("batch: hundreds", make_facts(train_images=500), "fast", CPU, {}, {"training.batch": 32}),
    ("batch: a tiny set", TINY_SET, "fast", CPU, {}, {"training.batch": 16}),
    ("batch: a GPU takes more of very many", BIRDS, "fast", GPU, {}, {"training.batch": 128}),
    ("batch: a processor does not", BIRDS, "fast", CPU, {}, {"training.batch": 64}),
    (
        "memory: a small GPU halves the batch",
        BIRDS,
        "accurate",
        make_gpu(8 * GB),
        {"image_size": 640},
        {"training.batch": 8},
    ),
    ("memory: it never goes below 2", BIRDS, "accurate", make_gpu(0.5 * GB), {}, {"training.batch": 2}),
    ("epochs: a wish is kept", PHOTOS, "fast", CPU, {"epochs": 3}, {"training.epochs": 3, "training.patience": 0}),
    ("epochs: tiny sets get the most", TINY_SET, "balanced", CPU, {}, {"training.epochs": BALANCED.most_epochs}),
    ("epochs: huge sets get the fewest", BIRDS, "balanced", GPU, {}, {"training.epochs": BALANCED.fewest_epochs}),
    (
        "epochs: random weights need more",
        TINY_SET,
        "balanced",
        CPU,
        SCRATCH,
        {"training.epochs": BALANCED.most_epochs * recipe.SCRATCH_EPOCHS_FACTOR},
    ),
    ("dropout: a tiny set", TINY_SET, "fast", CPU, {}, {"model.dropout": recipe.FEW_DROPOUT}),
    ("dropout: none with enough images", PHOTOS, "fast", CPU, {}, {"model.dropout": 0.0}),
    ("flips: photos are mirrored", PHOTOS, "fast", CPU, {}, {"augmentation.horizontal_flip": 0.5}),
    (
        "flips: photos are not turned",
        PHOTOS,
        "fast",
        CPU,
        {},
        {"augmentation.vertical_flip": 0.0, "augmentation.quarter_turns": 0.0},
    ),
    (
        "flips: digits are not mirrored",
        DIGITS,
        "fast",
        CPU,
        {},
        {"augmentation.horizontal_flip": 0.0, "augmentation.vertical_flip": 0.0, "augmentation.quarter_turns": 0.0},
    ),
    (
        "flips: nor are left and right",
        make_facts({"arrow left": 500, "arrow right": 500}),
        "fast",
        CPU,
        {},
        {"augmentation.horizontal_flip": 0.0},
    ),
    (
        "flips: what is seen from above is turned",
        make_facts(name="satellite-fields"),
        "fast",
        CPU,
        {},
        {"augmentation.horizontal_flip": 0.5, "augmentation.vertical_flip": 0.5, "augmentation.quarter_turns": 0.5},
    ),
    (
        "geometry: signs are cut and turned a little only",
        DIGITS,
        "accurate",
        CPU,
        {},
        {"augmentation.crop_min": recipe.SIGN_CROP_MIN, "augmentation.rotate": recipe.SIGN_ROTATE},
    ),
    (
        "geometry: long training, strong crops",
        PHOTOS,
        "accurate",
        CPU,
        {},
        {"augmentation.crop_min": ACCURATE.crop_min},
    ),
    (
        "colour: grey images have none to change",
        make_facts(colour=False),
        "fast",
        CPU,
        {},
        {"augmentation.saturation": 0.0, "augmentation.hue": 0.0},
    ),
    (
        "colour: colour images have",
        PHOTOS,
        "fast",
        CPU,
        {},
        {"augmentation.saturation": 0.2, "augmentation.hue": 0.015},
    ),
    ("erasing: in long trainings", PHOTOS, "fast", CPU, {"epochs": 50}, {"augmentation.erase": recipe.ERASE}),
    ("erasing: not in short ones", PHOTOS, "fast", CPU, {"epochs": 5}, {"augmentation.erase": 0.0}),
    ("erasing: never of signs", DIGITS, "fast", CPU, {"epochs": 50}, {"augmentation.erase": 0.0}),
    (
        "optimiser: pretrained",
        PHOTOS,
        "fast",
        CPU,
        {},
        {
            "training.learning_rate": pytest.approx(recipe.LEARNING_RATES["n"], rel=0.05),
            "training.head_learning_rate": recipe.HEAD_FACTOR,
        },
    ),
    (
        "optimiser: random weights",
        PHOTOS,
        "fast",
        CPU,
        SCRATCH,
        {
            "training.learning_rate": pytest.approx(recipe.LEARNING_RATES["n"] * recipe.SCRATCH_RATE_FACTOR, rel=0.05),
            "training.head_learning_rate": 1.0,
        },
    ),
    (
        "optimiser: a quarter of the batch, half the rate",
        TINY_SET,
        "fast",
        CPU,
        {},
        {"training.learning_rate": pytest.approx(recipe.LEARNING_RATES["n"] / 2, rel=0.05)},
    ),
    ("schedule: one epoch has a short warm-up", PHOTOS, "fast", CPU, {"epochs": 1}, {"training.warmup_epochs": 0.2}),
    ("schedule: patience grows with the epochs", PHOTOS, "fast", CPU, {"epochs": 90}, {"training.patience": 30}),
    (
        "imbalance: nearly even classes",
        imbalanced(1.4),
        "fast",
        CPU,
        {},
        {"training.class_weighting": "none", "training.monitor": "top1"},
    ),
    (
        "imbalance: twice",
        imbalanced(2),
        "fast",
        CPU,
        {},
        {"training.class_weighting": "sqrt", "training.monitor": "top1"},
    ),
    (
        "imbalance: five times",
        imbalanced(5),
        "fast",
        CPU,
        {},
        {"training.class_weighting": "sqrt", "training.monitor": "f1_macro"},
    ),
    (
        "imbalance: twenty times",
        imbalanced(20),
        "fast",
        CPU,
        {},
        {"training.class_weighting": "balanced", "training.monitor": "f1_macro"},
    ),
    ("smoothing: 325 classes", BIRDS, "fast", CPU, {}, {"training.label_smoothing": recipe.LABEL_SMOOTHING}),
    ("smoothing: 2 classes", TINY_SET, "fast", CPU, {}, {"training.label_smoothing": 0.0}),
    ("device: the processor", PHOTOS, "fast", CPU, {}, {"training.device": "cpu"}),
    ("device: two GPUs", PHOTOS, "fast", make_gpu(devices=(0, 1)), {}, {"training.device": "0,1"}),
    ("seed: a wish is kept", PHOTOS, "fast", CPU, {"seed": 3}, {"training.seed": 3}),
    ("evaluation: both splits", PHOTOS, "fast", CPU, {}, {"evaluation.splits": ("val", "test")}),
    ("evaluation: no test", make_facts(test_images=0), "fast", CPU, {}, {"evaluation.splits": ("val",)}),
]


@pytest.mark.parametrize(
    ("facts", "goal", "hardware", "wishes", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_rule(facts: Facts, goal: Any, hardware: Hardware, wishes: dict[str, Any], expected: dict[str, Any]) -> None:
    workflow = recommend(facts, goal, hardware, **wishes)
    assert {key: value_of(workflow, key) for key in expected} == expected
    check(workflow)


def check(workflow: Workflow) -> None:
    """What every recommendation must be: sound, fully reasoned, true to its reasons, readable again."""
    assert workflow.problems() == []
    assert workflow.estimate is not None
    reasons = {(reason.node, reason.field): reason for reason in workflow.reasons}
    assert len(reasons) == len(workflow.reasons)
    for node in workflow.nodes:
        values = node.settings.model_dump(mode="json")
        for field, info in type(node.settings).model_fields.items():
            reason = reasons.get((node.id, field))
            if reason:
                assert reason.value == values[field]
            elif not info.is_required():
                assert getattr(node.settings, field) == info.default, f"{node.kind}.{field} differs without a reason"
    for reason in workflow.reasons:
        assert len(reason.because) > 10 and len(reason.source) > 2
    assert loads(dumps(workflow)) == workflow


SIZES = st.integers(2, 60_000)


@settings(max_examples=examples(80), deadline=None)
@given(st.data())
def test_any_situation_gets_a_sound_and_reasoned_workflow(data: st.DataObject) -> None:
    classes = data.draw(st.integers(2, 400))
    counts = data.draw(st.lists(st.integers(0, 2000), min_size=classes, max_size=classes).filter(any))
    facts = make_facts(
        {f"class {index}": count for index, count in enumerate(counts)},
        name=data.draw(st.sampled_from(["photos", "aerial", "digits"])),
        short=data.draw(st.integers(10, 10_000)),
        aspect=data.draw(st.floats(0.01, 100)),
        aspect_spread=data.draw(st.floats(1.0, 5.0)),
        colour=data.draw(st.booleans()),
        test_images=data.draw(st.sampled_from([0, 50])),
    )
    hardware = data.draw(
        st.builds(make_cpu, st.integers(1, 256), st.floats(1e8, 1e12), st.booleans())
        | st.builds(make_gpu, st.floats(1e9, 2e11), st.sampled_from([(0,), (1, 3)]))
    )
    workflow = recommend(
        facts,
        data.draw(st.sampled_from(["fast", "balanced", "accurate"])),
        hardware,
        image_size=data.draw(st.none() | st.sampled_from([32, 224, 1280])),
        epochs=data.draw(st.none() | st.integers(1, 500)),
        minutes=data.draw(st.none() | st.floats(0.01, 1000)),
        weights=data.draw(st.sampled_from(["auto", "none", "yolov8l-cls.safetensors"])),
        seed=data.draw(st.integers(0, 5)),
    )
    check(workflow)


@pytest.mark.parametrize("facts", [PHOTOS, DIGITS, BIRDS, TINY_SET], ids=["photos", "digits", "birds", "tiny"])
@pytest.mark.parametrize("hardware", [CPU, GPU, make_gpu(80 * GB)], ids=["cpu", "gpu", "big gpu"])
def test_goals_are_ordered_by_their_cost(facts: Facts, hardware: Hardware) -> None:
    seconds = [recommend(facts, goal, hardware).estimate.seconds for goal in ("fast", "balanced", "accurate")]  # type: ignore[union-attr]
    assert seconds[0] < seconds[1] < seconds[2]


def test_where_the_split_leaks_another_one_is_proposed() -> None:
    for given_split in (False, True):
        sound, leaking = (
            recommend(make_facts(given_split=given_split, leaking=leaking), "balanced", make_cpu(), speed=QUIET_CPU)
            for leaking in (0, 83)
        )
        reasons = [
            next(each for each in workflow.reasons if (each.node, each.field) == ("split", "source"))
            for workflow in (sound, leaking)
        ]
        assert [reason.value for reason in reasons] == ["version", "version"]
        assert "resplit" not in reasons[0].because
        assert "83 of" in reasons[1].because and "fieldguide dataset resplit photos" in reasons[1].because


def test_size_l_is_never_recommended() -> None:
    for hardware in (CPU, GPU, make_gpu(80 * GB), make_cpu(cores=64)):
        for facts in (PHOTOS, BIRDS, DIGITS, TINY_SET):
            for goal in recipe.RECIPES:
                assert recommend(facts, goal, hardware).model.size != "l"  # type: ignore[arg-type]


def test_the_same_situation_gets_the_same_workflow() -> None:
    assert recommend(BIRDS, "accurate", GPU, minutes=30) == recommend(BIRDS, "accurate", GPU, minutes=30)


def test_the_workflow_says_for_what_it_is() -> None:
    workflow = recommend(BIRDS, "fast", CPU, speed=QUIET_CPU)
    assert (workflow.name, workflow.goal, workflow.dataset.name) == ("birds-fast", "fast", "birds")
    assert "325 classes" in workflow.description


def test_every_rule_is_in_the_table_of_the_docstring() -> None:
    from workflows.recommend import rules

    table = rules.__doc__ or ""
    for rule in RULES:
        assert f"    {rule.__name__.removesuffix('_rule')} " in table, f"{rule.__name__} is not in the table"
        assert (rule.__doc__ or "").strip().endswith(".")


def test_recipe_covers_every_size_and_goal() -> None:
    assert set(recipe.LEARNING_RATES) == {"n", "s", "m", "l", "x"}
    assert list(recipe.RECIPES) == ["fast", "balanced", "accurate"]
    assert set(NODE_KINDS) >= {"model", "training"}


@pytest.mark.parametrize(
    ("wishes", "error", "message"),
    [
        ({"goal": "cheap"}, UsageError, "Unknown goal 'cheap'"),
        ({"minutes": 0}, UsageError, "A run can't take 0 minutes"),
        ({"minutes": float("nan")}, UsageError, "A run can't take nan minutes"),
        ({"image_size": 100}, WorkflowError, "field 'image_size': expected a whole number from 32 to 1,280"),
        ({"epochs": 0}, WorkflowError, "field 'epochs': expected a whole number from 1 to 10,000, got 0"),
        ({"seed": -1}, WorkflowError, "field 'seed': expected a whole number of at least 0, got -1"),
        ({"image_size": 0, "minutes": 5}, WorkflowError, "field 'image_size'"),
        ({"epochs": -3, "minutes": 5}, WorkflowError, "field 'epochs'"),
    ],
)
def test_wishes_that_cannot_be(wishes: dict[str, Any], error: type[Exception], message: str) -> None:
    goal = wishes.pop("goal", "fast")
    with pytest.raises(error, match=message):
        recommend(PHOTOS, goal, CPU, **wishes)

"""From the facts of a data set, a goal and a device to a workflow with a reason for each choice.

The rules run in the order of `RULES`; each is one small function that gets the situation and the earlier
choices, and returns its own choices as reasons (node, field, value, why in plain words, on what evidence).
Nothing else decides. An overview::

    rule               depends on                                          sets
    weights            requested weights; tiny grey images                 model.weights
    model_size         weights file; goal, device, number of images       model.size
    image_size         requested size; goal, device, native size           model.image_size
    square             aspect ratios                                      model.square
    batch              number of images, device and its memory            training.batch
    epochs             requested epochs; goal, steps per epoch, weights    training.epochs
    time_budget        minutes, speed of the device                       (revises size, image_size, epochs)
    memory             memory of the device                               (revises batch)
    dropout            images per class                                   model.dropout
    flips              what the labels mean                               augmentation.*flip, quarter_turns
    geometry           what the labels mean, square, goal                 augmentation.crop_*, rotate, ...
    colour             grey or colour                                     augmentation.saturation, hue
    erasing            epochs, what the labels mean                       augmentation.erase
    optimiser          weights, model size, batch                         training.optimizer, learning rates, decay
    schedule           epochs                                             training.warmup_epochs, patience
    imbalance          largest and smallest class                         training.class_weighting, monitor
    smoothing          number of classes                                  training.label_smoothing
    device             the device                                         training.device
    seed               requested seed                                      training.seed
    split              whether the split was given                     split.source
    evaluation         which splits have images                           evaluation.splits

A later rule may revise an earlier one's choice; the last reason counts. Fields that no rule sets keep their
defaults. The numbers are in `recipe.py`, the citations in `evidence.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workflows.errors import UsageError
from workflows.goals import GOALS, Goal
from workflows.graph.nodes import Reason
from workflows.graph.workflow import Workflow
from workflows.nodes.dataset import DatasetSettings
from workflows.recommend.augmentation_rules import colour, erasing, flips, geometry
from workflows.recommend.budget import time_budget
from workflows.recommend.estimate import Speed, default_speed, estimate
from workflows.recommend.facts import Facts
from workflows.recommend.hardware import Hardware
from workflows.recommend.model_rules import dropout, image_size_rule, model_size, square, weights_rule
from workflows.recommend.situation import Chosen, Situation
from workflows.recommend.training_rules import (
    batch,
    device,
    epochs_rule,
    evaluation,
    imbalance,
    memory,
    optimiser,
    schedule,
    seed_rule,
    smoothing,
    split,
)

Rule = Callable[[Situation, Chosen], list[Reason]]

RULES: tuple[Rule, ...] = (
    weights_rule,
    model_size,
    image_size_rule,
    square,
    batch,
    epochs_rule,
    time_budget,
    memory,
    dropout,
    flips,
    geometry,
    colour,
    erasing,
    optimiser,
    schedule,
    imbalance,
    smoothing,
    device,
    seed_rule,
    split,
    evaluation,
)


def recommend(
    facts: Facts,
    goal: Goal,
    hardware: Hardware,
    *,
    image_size: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    weights: str = "auto",
    minutes: float | None = None,
    speed: Speed | None = None,
) -> Workflow:
    """Recommend a workflow, with a reason for each choice and an estimate of its cost.

    Args:
        facts: of the data set.
        goal: "fast", "balanced" or "accurate".
        hardware: the device to train on.
        image_size: side of the network's input in pixels, a multiple of 32; None lets the rules choose.
        epochs: passes over the training images; None lets the rules choose.
        seed: of everything random in training.
        weights: "auto", "none" or a file.
        minutes: how long the whole run may take; None for no limit.
        speed: of the device, if known from earlier runs.

    Raises:
        UsageError: no such goal, or not a positive time.
        WorkflowError: a requested value is out of range.
    """
    if goal not in GOALS:
        raise UsageError(f"Unknown goal {goal!r}.", f"Choose one of {', '.join(GOALS)}.")
    if minutes is not None and not minutes > 0:
        raise UsageError(f"A run can't take {minutes:g} minutes.", "Give more than 0 minutes.")
    situation = Situation(
        facts, goal, hardware, speed or default_speed(hardware), image_size, epochs, seed, weights, minutes
    )
    chosen = Chosen()
    for rule in RULES:
        chosen.take(rule(situation, chosen))
    return _assemble(situation, chosen)


def _assemble(situation: Situation, chosen: Chosen) -> Workflow:
    """Build the validated standard chain from all choices, with reasons and estimate."""
    facts, goal = situation.facts, situation.goal
    workflow = Workflow.linear(
        f"{facts.dataset}-{goal}",
        DatasetSettings(name=facts.dataset),
        goal=goal,
        description=f"Recommended for {facts.images:,} images in {facts.classes} classes: {GOALS[goal].meaning}.",
    )
    for node, values in _by_node(chosen.reasons()).items():
        workflow = workflow.with_settings(node, **values)
    workflow = workflow.model_copy(update={"reasons": chosen.reasons()})
    cost = estimate(facts, workflow, situation.hardware, situation.speed)
    return workflow.model_copy(update={"estimate": cost})


def _by_node(reasons: list[Reason]) -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {}
    for reason in reasons:
        values.setdefault(reason.node, {})[reason.field] = reason.value
    return values

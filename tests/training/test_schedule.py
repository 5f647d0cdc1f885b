"""Learning rate, averaging and the choice of the best epoch."""

from __future__ import annotations

import pytest

from workflows.nodes.training import TrainingSettings
from workflows.targets.single_label.target import SINGLE_LABEL
from workflows.training.average import average_decay
from workflows.training.schedule import learning_rate_factor

SETTINGS = TrainingSettings(warmup_epochs=2.0, final_learning_rate=0.1)


def test_rate_warms_up_then_falls_to_its_end() -> None:
    assert learning_rate_factor(1.0, 10, SETTINGS) == pytest.approx(0.5)
    assert learning_rate_factor(2.0, 10, SETTINGS) == pytest.approx(1.0)
    assert learning_rate_factor(6.0, 10, SETTINGS) == pytest.approx(0.55)  # half-way down the cosine
    assert learning_rate_factor(10.0, 10, SETTINGS) == pytest.approx(0.1)


def test_rate_is_never_zero_and_warm_up_never_eats_a_short_training() -> None:
    assert learning_rate_factor(0.0, 10, SETTINGS) > 0
    assert learning_rate_factor(0.5, 1, SETTINGS) == pytest.approx(1.0)


def test_average_follows_at_once_when_off_and_slowly_when_on() -> None:
    assert average_decay(0.0, 1000)(500) == 0.0
    decay = average_decay(0.1, 1000)
    assert decay(1) < 0.2
    assert decay(10_000) == pytest.approx(1 - 1 / 101)


def test_higher_accuracy_wins_and_ties_go_to_the_smaller_loss() -> None:
    better = {"top1": 0.90001, "log_loss": 9.0}
    worse = {"top1": 0.9, "log_loss": 0.1}
    tied = {"top1": 0.9, "log_loss": 0.2}
    assert (
        SINGLE_LABEL.fitness(better, "top1") > SINGLE_LABEL.fitness(worse, "top1") > SINGLE_LABEL.fitness(tied, "top1")
    )
    assert SINGLE_LABEL.fitness(worse, "log_loss") > SINGLE_LABEL.fitness(better, "log_loss")

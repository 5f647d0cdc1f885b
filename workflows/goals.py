"""The goals of recommended workflows: the single list, with their names and descriptions."""

from __future__ import annotations

from typing import Literal, NamedTuple

Goal = Literal["fast", "balanced", "accurate"]


class GoalWords(NamedTuple):
    """A goal's name and description."""

    title: str
    meaning: str


GOALS: dict[Goal, GoalWords] = {
    "fast": GoalWords("Small and fast", "a small network that trains and predicts quickly"),
    "balanced": GoalWords("Balanced", "good accuracy in reasonable time"),
    "accurate": GoalWords("Most accurate", "the best accuracy, however long it takes"),
}
DEFAULT_GOAL: Goal = "balanced"

"""The input of the rules: the situation, and the earlier choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workflows.goals import Goal
from workflows.graph.nodes import Reason
from workflows.graph.workflow import YOUR_CHOICE
from workflows.recommend import evidence
from workflows.recommend.estimate import Speed
from workflows.recommend.facts import Facts
from workflows.recommend.hardware import Hardware
from workflows.recommend.recipe import RECIPES, GoalRecipe


@dataclass(frozen=True)
class Situation:
    """Everything given: the data, the goal, the device and the user's own settings (None: not set)."""

    facts: Facts
    goal: Goal
    hardware: Hardware
    speed: Speed
    image_size: int | None = None
    epochs: int | None = None
    seed: int = 0
    weights: str = "auto"
    minutes: float | None = None

    @property
    def recipe(self) -> GoalRecipe:
        """The numbers of the goal."""
        return RECIPES[self.goal]

    @property
    def on_gpu(self) -> bool:
        """Whether training runs on a GPU."""
        return self.hardware.kind == "cuda"


class Chosen:
    """The choices so far, in the order in which they were first made."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[str, str], Reason] = {}

    def take(self, reasons: list[Reason]) -> None:
        """Add choices; a choice for the same field replaces the earlier one."""
        for reason in reasons:
            self._reasons[reason.node, reason.field] = reason

    def reasons(self) -> list[Reason]:
        """Return all choices."""
        return list(self._reasons.values())

    def __getitem__(self, key: str) -> Any:
        """Return the value chosen for a field, such as chosen["model.size"]."""
        node, _, field = key.partition(".")
        return self._reasons[node, field].value

    def because(self, key: str) -> str:
        """Return the reason given for a field."""
        node, _, field = key.partition(".")
        return self._reasons[node, field].because

    @property
    def pretrained(self) -> bool:
        """Whether training starts from pretrained weights."""
        return bool(self["model.weights"] != "none")


def choose(key: str, value: Any, because: str, source: str) -> Reason:
    """Make a choice for a field, such as "model.size"."""
    node, _, field = key.partition(".")
    return Reason(node=node, field=field, value=value, because=because, source=source)


def your_choice(key: str, value: Any) -> Reason:
    """Make the choice requested by the user."""
    return choose(key, value, YOUR_CHOICE, evidence.YOU)

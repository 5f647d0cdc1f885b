"""Options that several verbs share, and how their texts are read."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from workflows.errors import UsageError


class Goal(StrEnum):
    """What a recommendation aims at."""

    fast = "fast"
    balanced = "balanced"
    accurate = "accurate"


class Split(StrEnum):
    """Images that were not trained on."""

    val = "val"
    test = "test"


class ExportFormat(StrEnum):
    """How a data set leaves."""

    folders = "folders"
    csv = "csv"


AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document on stdout.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random; the same seed gives the same result.")]
Device = Annotated[str, typer.Option(help="Where to compute: auto, cpu, a GPU number, or several: 0,1.")]
Size = Annotated[
    int | None, typer.Option(min=32, max=1280, help="Side of the network's square input in pixels, a multiple of 32.")
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the training images.")]
Weights = Annotated[
    str, typer.Option(help="Where to start from: auto (official ImageNet weights), none (random), or a file.")
]
GoalOption = Annotated[Goal, typer.Option(help="What the recommended workflow aims at.")]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run: its id, an unambiguous beginning, or `latest`.")
]
ClassifierArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL|RUN",
        help="A model (its champion), a version of it as in `birds:2`, or a run: its id, its beginning, or `latest`.",
    ),
]


def example(*lines: str) -> str:
    """The epilog of a verb's `--help`: commands to copy."""
    return "\n\n".join(["Example:", *lines])


def parse_shares(text: str) -> tuple[float, float, float]:
    """Read `70/15/15` as the shares of train, val and test (summing to 1). Raises UsageError."""
    parts = text.replace(",", "/").replace(":", "/").split("/")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    total = sum(numbers)
    if (
        len(numbers) != 3
        or min(numbers) < 0
        or numbers[0] == 0
        or not (abs(total - 100) < 1e-6 or abs(total - 1) < 1e-6)
    ):
        raise UsageError(
            f"--split is {text!r}, but must be three shares that add up to 100.",
            "For example: --split 70/15/15 (train/val/test).",
        )
    train, val, test = (number / total for number in numbers)
    return train, val, test


def check_size(size: int | None) -> None:
    """Refuse a resolution that the network can't take. Raises UsageError."""
    if size is not None and size % 32:
        below, above = size // 32 * 32, (size // 32 + 1) * 32
        near = f"{below} or {above}" if below else str(above)
        raise UsageError(
            f"--size is {size}, but must be a multiple of 32: the network halves its input five times.",
            f"The nearest are {near}.",
        )

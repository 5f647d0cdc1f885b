"""The time budget: the best training that fits into the given minutes.

Epochs are reduced first, down to a minimum; then, unless fixed by the user, resolution and model size. The
first training in this order that fits is used, with as many epochs as fit.
"""

from __future__ import annotations

from collections.abc import Iterator

from workflows.graph.nodes import Reason
from workflows.recommend import recipe
from workflows.recommend.estimate import run_seconds
from workflows.recommend.situation import Chosen, Situation, choose
from workflows.recommend.weights_file import size_in_weights

# Size l is never chosen: as accurate as m, and slower.
SMALLER: dict[str, str] = {"x": "m", "l": "m", "m": "s", "s": "n"}


def time_budget(situation: Situation, chosen: Chosen) -> list[Reason]:
    """Reduce epochs, then resolution, then model size, until the estimate fits into the given minutes."""
    if situation.minutes is None:
        return []
    epochs: int = chosen["training.epochs"]
    fewest = recipe.BUDGET_EPOCHS_PRETRAINED if chosen.pretrained else recipe.BUDGET_EPOCHS_SCRATCH
    fits = f"as much as fits into {situation.minutes:g} minutes on this device"
    size, pixels, fitting = str(chosen["model.size"]), int(chosen["model.image_size"]), 0
    for size, pixels in _ladder(situation, chosen):
        fitting = _epochs_that_fit(situation, size, pixels, epochs)
        if fitting >= min(epochs, fewest):
            return _revise(situation, chosen, size, pixels, fitting, fits)
    if fitting:
        return _revise(situation, chosen, size, pixels, fitting, fits)
    # Nothing fits: the cheapest training, as short as allowed; the estimate shows that it takes longer.
    least = epochs if situation.epochs is not None else 1
    because = f"even the shortest training takes longer than {situation.minutes:g} minutes on this device"
    return _revise(situation, chosen, size, pixels, least, because)


def _ladder(situation: Situation, chosen: Chosen) -> Iterator[tuple[str, int]]:
    """Yield (model size, resolution) from the chosen ones down to the cheapest allowed."""
    size: str | None = chosen["model.size"]
    start = chosen["model.image_size"]
    fixed_size = size_in_weights(situation.weights) is not None
    smaller = [pixels for pixels in recipe.RESOLUTIONS if pixels < start]
    resolutions = [start] if situation.image_size else [start, *smaller]
    while size is not None:
        below = None if fixed_size else SMALLER.get(size)
        lowest = start * recipe.BUDGET_LARGE_MODEL_SHARE if below else 0
        yield from ((size, pixels) for pixels in resolutions if pixels >= lowest)
        size = below


def _epochs_that_fit(situation: Situation, size: str, pixels: int, most: int) -> int:
    """Return how many epochs, `most` at most, fit; all or none if the user requested that many."""
    room = (situation.minutes or 0) * 60 * recipe.BUDGET_SHARE

    def seconds(epochs: int) -> float:
        return run_seconds(
            situation.facts, situation.hardware, situation.speed, size=size, image_size=pixels, epochs=epochs
        )

    per_epoch = seconds(2) - seconds(1)
    fitting = min(most, int((room - seconds(1)) // per_epoch) + 1) if seconds(1) <= room else 0
    if situation.epochs is not None:
        return most if fitting >= most else 0
    return fitting


def _revise(situation: Situation, chosen: Chosen, size: str, pixels: int, epochs: int, because: str) -> list[Reason]:
    values = {"model.size": size, "model.image_size": pixels, "training.epochs": epochs}
    source = f"the estimate of time: {situation.speed.basis}"
    return [choose(key, value, because, source) for key, value in values.items() if value != chosen[key]]

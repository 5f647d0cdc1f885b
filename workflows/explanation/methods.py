"""The methods of heat-maps, by name; what they do is in :mod:`workflows.explanation.heatmaps`, which needs PyTorch."""

from __future__ import annotations

from typing import Literal

Method = Literal["eigen-cam", "grad-cam", "grad-cam++", "layer-cam"]

CLASSLESS: Method = "eigen-cam"
"""The method that shows what dominates the features, whatever the class; quick, since it needs no gradients."""
FLAT = "The map is flat: at this layer nothing in the photo speaks for it more than the rest."
"""What there is to say of a map without contrast, which shows nothing."""
DEFAULT_METHODS: tuple[Method, ...] = (CLASSLESS, "grad-cam++")


def shows(target: str | None) -> str:
    """Return what a map shows, in a sentence; None stands for one that is not class-specific."""
    if target is None:
        return "What dominates the network's features, whatever the class."
    return f"What raised the score of {target}."

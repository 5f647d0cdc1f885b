"""How many examples the properties are tried on: in the profile `thorough` twice as many as usual."""

from __future__ import annotations

from hypothesis import settings

USUAL, THOROUGH = 25, 50
"""Examples of a property that names no number itself, by profile."""


def examples(usual: int) -> int:
    """Return the examples of a property that is usually tried on so many. A bare number would hold in every profile."""
    return usual * settings.default.max_examples // USUAL

"""Whether an image's orientation matters, inferred from names, since it depends on the meaning of the labels.

Wrongly forbidding flips costs a little accuracy; with wrongly allowed ones, the network learns that a mirrored 2 is a 2.
So doubtful names forbid flips. The user sees the reason and can change the setting.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

DIGIT_WORDS = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
PAIRED_WORDS = {"left": "right", "up": "down", "clockwise": "counterclockwise", "forward": "backward"}
WRITING_WORDS = {
    "digit",
    "digits",
    "letter",
    "letters",
    "character",
    "characters",
    "alphabet",
    "handwriting",
    "handwritten",
    "glyph",
    "glyphs",
    "font",
    "fonts",
    "mnist",
    "emnist",
    "kanji",
    "hiragana",
    "katakana",
    "numerals",
    "signs",
    "signlanguage",
    "text",
    "texts",
    "documents",
}
FROM_ABOVE_WORDS = {
    "satellite",
    "aerial",
    "drone",
    "orthophoto",
    "eurosat",
    "microscopy",
    "microscope",
    "histology",
    "pathology",
    "petri",
    "pollen",
    "plankton",
}
FEWEST_SIGNS = 3
"""Two classes called 0 and 1 (or a and b) are more likely yes and no than signs."""


@dataclass(frozen=True)
class Orientation:
    """Which rotations and flips preserve an image's meaning."""

    meaningful: bool
    """A left-right flip would change the meaning."""
    free: bool
    """There is no up or down: any quarter turn preserves the meaning."""
    because: str


def infer_orientation(dataset: str, classes: Sequence[str]) -> Orientation:
    """Infer the orientation from the names of a data set and its classes."""
    names = [name.strip() for name in classes]
    for rule in (_single_signs, _number_words, _mirrored_pair):
        because = rule(names)
        if because:
            return Orientation(meaningful=True, free=False, because=because)
    words = set(_words(dataset))
    if words & WRITING_WORDS:
        word = min(words & WRITING_WORDS)
        return Orientation(True, False, f"the data set's name contains {word!r}, and mirrored writing is wrong")
    if words & FROM_ABOVE_WORDS:
        word = min(words & FROM_ABOVE_WORDS)
        return Orientation(False, True, f"the data set's name contains {word!r}: seen from above, no side is up")
    return Orientation(False, False, "nothing in the names of the classes depends on left and right")


def _single_signs(names: list[str]) -> str | None:
    """Classes called by one digit or letter each are images of signs."""
    if len(names) >= FEWEST_SIGNS and all(len(name) == 1 and name.isalnum() for name in names):
        what = "digits" if all(name.isdigit() for name in names) else "letters"
        return f"the classes are single {what}, and a mirrored sign is another sign or none"
    return None


def _number_words(names: list[str]) -> str | None:
    if len(names) >= FEWEST_SIGNS and all(name.lower() in DIGIT_WORDS for name in names):
        return "the classes are numbers, and a mirrored numeral is another sign or none"
    return None


def _mirrored_pair(names: list[str]) -> str | None:
    """Two classes that differ only in left and right, up and down, ..."""
    known = {tuple(_words(name)) for name in names}
    for name in names:
        words = _words(name)
        for one, other in PAIRED_WORDS.items():
            swapped = tuple(other if word == one else word for word in words)
            if one in words and swapped in known:
                return f"the classes {' '.join(words)!r} and {' '.join(swapped)!r} differ only by direction"
    return None


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.findall(r"[^\W\d_]+", spaced)]

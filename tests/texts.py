"""What a message for a person must name, whatever its wording: files, classes, fields, options, numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?![\w])")


def mentions(text: str, *things: object) -> bool:
    """Return whether a text names all of these, each as whole words: `1` is not in `12`."""
    return all(re.search(rf"(?<!\w){re.escape(str(thing))}(?!\w)", text) for thing in things)


def one_mentions(texts: Iterable[str], *things: object) -> bool:
    """Return whether exactly one of some texts names all of these."""
    return sum(mentions(text, *things) for text in texts) == 1


def numbers(text: str) -> list[float]:
    """Return the numbers in a text, in their order: `1,200 of 3.5` are 1200 and 3.5."""
    return [float(found.replace(",", "")) for found in NUMBER.findall(text)]

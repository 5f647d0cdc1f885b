"""Lists in sentences: the single place where a list is shortened, always with a pointer to the whole list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SHOWN = 10
"""The most names in a sentence, and the most lines in a list of problems, before it is shortened."""


def listed(names: Iterable[object], *, full: str, most: int = SHOWN) -> str:
    """Return names as a part of a sentence: all of them, or the first `most`, the number of the others, and where to find them.

    Args:
        full: where a reader finds all of them, e.g. `--json`.
        most: the largest number of names.

    >>> listed(["a", "b"], full="--json")
    'a, b'
    >>> listed(["a", "b", "c"], full="--json", most=2)
    'a, b and 1 more (all: --json)'
    """
    texts = [str(name) for name in names]
    if len(texts) <= most:
        return ", ".join(texts)
    return f"{', '.join(texts[:most])} and {len(texts) - most:,} more (all: {full})"


def signed(number: float, digits: int = 1) -> str:
    """Return a difference with its sign; one that rounds to nothing has none.

    >>> signed(4.23), signed(-0.5, 0), signed(-0.01)
    ('+4.2', '0', '0.0')
    """
    text = f"{number:+.{digits}f}"
    return text if float(text) else text[1:]


def first_lines(problems: Sequence[str]) -> list[str]:
    """Return problems as the lines below a message: all of them, or the first ones and how many more there are.

    For errors only, which carry the whole list.
    """
    lines = [f"  - {problem}" for problem in problems[:SHOWN]]
    return [*lines, f"  … and {len(problems) - SHOWN:,} more"] if len(problems) > SHOWN else lines

"""Which images must be in the same split: those that share a group or their content, and near duplicates.

Groups and exact copies always bind. Near duplicates bind only where that does no harm: not where
their images are in two splits already, not where they would bind a large part of a class into one unit, and
not where a class would be left with few units to divide.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from workflows.data.version import Split

LARGEST_SHARE = 1 / 3
"""Of a class's images, in one unit that near duplicates make."""
LEAST_UNITS = 6
"""Of a class, that near duplicates leave: two for each split."""


@dataclass
class Unit:
    """Images that must stay together.

    Attributes:
        key: the same for the same images, whatever their order.
        rows: positions of the images.
        fresh: how many images of each label have no split yet.
        previous: splits of the others.
    """

    key: str
    rows: list[int] = field(default_factory=list)
    fresh: Counter[str] = field(default_factory=Counter)
    previous: set[Split] = field(default_factory=set)


def bind(
    contents: Iterable[str],
    groups: Iterable[object],
    labels: Sequence[str],
    splits: Sequence[Split | None],
    near: Iterable[object] | None = None,
) -> list[Unit]:
    """Return the units: the connected components of images that share content, a group or (if harmless) likeness.

    Args:
        contents: SHA-256 of each image.
        groups: its group; anything but a string means none.
        labels: its class.
        splits: its current split.
        near: its group of near duplicates; anything but a string means none.
    """
    tokens = _Tokens()
    own = []
    for content, group in zip(contents, groups, strict=True):
        own.append(f"content {content}")
        if isinstance(group, str):
            tokens.join(own[-1], f"group {group}")
    if near is not None:
        _join_near(tokens, own, near, labels, splits)
    units: dict[str, Unit] = {}
    for row, token in enumerate(own):
        key = tokens.root(token)
        unit = units.setdefault(key, Unit(key))
        unit.rows.append(row)
        split = splits[row]
        if split is None:
            unit.fresh[labels[row]] += 1
        else:
            unit.previous.add(split)
    return list(units.values())


class _Tokens:
    """Sets that are joined (union-find); each is named by its smallest member, whatever the order of joining."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, token: str) -> str:
        path = []
        while (parent := self._parent.get(token, token)) != token:
            path.append(token)
            token = parent
        for passed in path:
            self._parent[passed] = token
        return token

    def join(self, one: str, other: str) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low


@dataclass
class _Part:
    """What a set of tokens holds so far: images of each label, and the splits that some have."""

    images: Counter[str] = field(default_factory=Counter)
    sides: set[Split] = field(default_factory=set)


def _join_near(
    tokens: _Tokens,
    own: Sequence[str],
    near: Iterable[object],
    labels: Sequence[str],
    splits: Sequence[Split | None],
) -> None:
    parts: dict[str, _Part] = defaultdict(_Part)
    alike: dict[str, set[str]] = defaultdict(set)
    for token, name, label, split in zip(own, near, labels, splits, strict=True):
        root = tokens.root(token)
        parts[root].images[label] += 1
        if split is not None:
            parts[root].sides.add(split)
        if isinstance(name, str):
            alike[name].add(token)
    largest = {label: LARGEST_SHARE * number for label, number in Counter(labels).items()}
    units = Counter(label for part in parts.values() for label in part.images)
    for name in sorted(alike):
        roots = sorted({tokens.root(token) for token in alike[name]})
        if len(roots) > 1 and _is_harmless([parts[root] for root in roots], largest, units):
            units -= Counter(label for root in roots for label in parts[root].images)
            whole = _Part()
            for root in roots:
                part = parts.pop(root)
                whole.images += part.images
                whole.sides |= part.sides
                tokens.join(roots[0], root)
            units += Counter(whole.images.keys())
            parts[tokens.root(roots[0])] = whole


def _is_harmless(parts: Sequence[_Part], largest: dict[str, float], units: Counter[str]) -> bool:
    if len(set().union(*(part.sides for part in parts))) > 1:
        return False
    images: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for part in parts:
        images += part.images
        lost.update(part.images.keys())
    return all(number <= largest[label] for label, number in images.items()) and all(
        units[label] - (number - 1) >= LEAST_UNITS for label, number in lost.items() if number > 1
    )

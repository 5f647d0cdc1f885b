"""Splitting images into training, validation and test.

Four guarantees: each class is divided in the requested ratios; images of one group, and exact duplicates, are
never in two splits, and near duplicates not if it can be avoided; the outcome depends on the images and the seed,
not on their order; and an image that has a split keeps it when others are added.

The rule: images bound together by group, by content or by likeness are one unit (:mod:`workflows.data.binding`). A class's quota for each split is its
number of images times the ratio, rounded by largest remainder, at least 1. New units, the largest first and
then in the order of a seeded hash, go where the quotas are missed most.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import pandas as pd

from workflows.data.binding import Unit, bind
from workflows.data.version import SPLITS, Split
from workflows.errors import DatasetError, UsageError

Shares = dict[Split, float]
Counts = dict[str, Counter[Split]]  # label -> images in each split

_ATTEMPTS = 30

DEFAULT_RATIOS = (0.7, 0.15, 0.15)
"""Shares of training, validation and test images where nobody says otherwise."""


def assign_splits(
    images: pd.DataFrame, ratios: Sequence[float] = DEFAULT_RATIOS, seed: int = 0, *, allow_unassigned: bool = False
) -> list[Split | None]:
    """Return the split of each image.

    Args:
        images: columns `sha256`, `label`, `group` (null = none), `split` (null = not assigned yet; others
            stay), and possibly `near`: the group of near duplicates (null = none). Those stay together
            where that leaves every class enough units to divide.
        ratios: shares of train, val and test; scaled to add up to 1.
        seed: decides which units go where.
        allow_unassigned: images of a class with too few units get no split yet, instead of raising an error (while
            images are being labelled, every class is small at first).

    Returns:
        One split per row. None means an image that can't be placed: it is bound
        to images that are in different splits already.

    Raises:
        DatasetError: a class has too few units for the requested splits, and `allow_unassigned` is False.
        UsageError: invalid ratios.
    """
    shares = check_ratios(ratios)
    if "near" in images:
        try:
            return _divide(images, images["near"], shares, seed, allow_unassigned)
        except DatasetError:  # keeping look-alikes together is a preference: no set is refused for it
            pass
    return _divide(images, None, shares, seed, allow_unassigned)


def _divide(
    images: pd.DataFrame, near: pd.Series | None, shares: Shares, seed: int, allow_unassigned: bool
) -> list[Split | None]:
    labels = [str(label) for label in images["label"]]
    splits: list[Split | None] = [split if split in SPLITS else None for split in images["split"]]
    units = bind(images["sha256"], images["group"], labels, splits, near)
    small = _too_small(units, labels, shares)
    if allow_unassigned:
        units = [unit for unit in units if unit.previous or not small.keys() & unit.fresh.keys()]
    elif small:
        raise _too_few(small, Counter(labels), shares)
    counts: Counts = defaultdict(Counter)
    for label, split in zip(labels, splits, strict=True):
        if split is not None:
            counts[label][split] += 1
    _follow(units, splits, counts)
    for unit, split in _place([unit for unit in units if not unit.previous], counts, shares, seed, allow_unassigned):
        for row in unit.rows:
            splits[row] = split
    return splits


def check_ratios(ratios: Sequence[float]) -> Shares:
    """Return the shares of the splits, scaled to add up to 1; a split without a share is left out.

    Raises:
        UsageError: not three numbers of at least 0, with nonzero shares for training and validation.
    """
    total = sum(ratios)
    if len(ratios) != 3 or min(ratios) < 0 or not 0 < total < float("inf") or ratios[0] == 0 or ratios[1] == 0:
        raise UsageError(
            f"A split into {'/'.join(f'{ratio:g}' for ratio in ratios)} is not possible.",
            "Give the shares of training, validation and test, e.g. 70/15/15; only the test share may be 0.",
        )
    return {split: ratio / total for split, ratio in zip(SPLITS, ratios, strict=True) if ratio > 0}


def quotas(number: int, shares: Mapping[Split, float]) -> Counter[Split]:
    """Return how many of `number` images each split gets: largest remainder (Hamilton's method), at least 1 each."""
    exact = {split: number * share for split, share in shares.items()}
    whole = Counter({split: max(1, int(value)) for split, value in exact.items()})
    by_remainder = sorted(exact, key=lambda split: exact[split] - whole[split], reverse=True)
    for split in by_remainder[: max(0, number - whole.total())]:
        whole[split] += 1
    while whole.total() > number and max(whole.values()) > 1:
        whole[max(whole, key=lambda split: whole[split])] -= 1
    return whole


def _too_small(units: Sequence[Unit], labels: Sequence[str], shares: Shares) -> Counter[str]:
    """Return the classes with fewer units than there are splits, with their number of units."""
    units_of: Counter[str] = Counter()
    for unit in units:
        units_of.update({labels[row] for row in unit.rows})
    return Counter({label: number for label, number in units_of.items() if number < len(shares)})


def _too_few(small: Counter[str], images: Counter[str], shares: Shares) -> DatasetError:
    label = min(small, key=lambda each: (images[each], each))
    apart = "" if small[label] == images[label] else f" in {small[label]} groups (or sets of duplicates)"
    return DatasetError(
        f"Class {label!r} has too few images for a split into {', '.join(shares)}: {images[label]}{apart}.",
        f"Each class needs at least {len(shares)} images that can be separated, better 10 or more: add images, "
        "remove the class, or leave out the test split (80/20/0).",
        problems=[f"{name}: {images[name]}" for name in sorted(small)] if len(small) > 1 else (),
    )


def _follow(units: Sequence[Unit], splits: list[Split | None], counts: Counts) -> None:
    """Put new images into the split of the older ones that they are bound to."""
    for unit in units:
        if len(unit.previous) != 1:
            continue
        split = next(iter(unit.previous))
        for label, number in unit.fresh.items():
            counts[label][split] += number
        for row in unit.rows:
            splits[row] = split


def _place(
    units: Sequence[Unit], counts: Counts, shares: Shares, seed: int, allow_unassigned: bool
) -> list[tuple[Unit, Split]]:
    """Return a split for each unit that has none: the one whose quotas of the unit's classes are missed most.

    Where few groups join many classes, the best order can leave a class without a split that another order
    reaches; so the first of several orders that works for every class is used.
    """
    missing: list[tuple[str, Split]] = []
    for attempt in range(_ATTEMPTS):
        placed, reached = _place_in_order(_ordered(units, seed, attempt), counts, shares)
        fresh = sorted(label for label in reached if not counts.get(label))
        missing = [(label, split) for label in fresh for split in shares if not reached[label][split]]
        if allow_unassigned or not missing:
            return placed
    label, split = missing[0]
    raise DatasetError(
        f"Class {label!r} can't be in {split}: it shares too few groups with other classes.",
        "Use smaller groups, more images, or no test split (80/20/0).",
    )


def _ordered(units: Sequence[Unit], seed: int, attempt: int) -> list[Unit]:
    if attempt == 0:
        return sorted(units, key=lambda unit: (-len(unit.rows), _hash(f"{seed}", unit.key)))
    return sorted(units, key=lambda unit: _hash(f"{seed} {attempt}", unit.key))


def _place_in_order(units: Sequence[Unit], counts: Counts, shares: Shares) -> tuple[list[tuple[Unit, Split]], Counts]:
    reached: Counts = defaultdict(Counter, {label: Counter(count) for label, count in counts.items()})
    waiting: Counter[str] = Counter(label for unit in units for label in unit.fresh)
    fresh: Counter[str] = Counter()
    for unit in units:
        fresh.update(unit.fresh)
    quota = {label: quotas(reached[label].total() + number, shares) for label, number in fresh.items()}
    placed = []
    for unit in units:
        split = _best_split(unit, reached, quota, waiting, shares)
        placed.append((unit, split))
        for label, number in unit.fresh.items():
            reached[label][split] += number
            waiting[label] -= 1
    return placed, reached


def _best_split(
    unit: Unit, counts: Counts, quota: Mapping[str, Counter[Split]], waiting: Counter[str], shares: Shares
) -> Split:
    choices: list[Split] = list(shares)
    urgent: Counter[Split] = Counter()
    for label in unit.fresh:
        empty = [split for split in choices if counts[label][split] == 0]
        if waiting[label] <= len(empty):  # the last units of a class go to splits that would otherwise lack it
            urgent.update(empty)
    if urgent:
        choices = [split for split in choices if urgent[split] == max(urgent.values())]
    # maximising this product minimises the squared distance from all quotas after the step
    return max(
        choices,
        key=lambda split: sum(
            number * (quota[label][split] - counts[label][split]) for label, number in unit.fresh.items()
        ),
    )


def _hash(salt: str, key: str) -> bytes:
    return hashlib.blake2b(f"{salt}\0{key}".encode(), digest_size=16).digest()

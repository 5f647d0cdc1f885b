"""Which images of a data set look alike: copies, bursts, other exposures of one object; in cohesive groups.

Where hashes distinguish images, they and the thumbnails decide (:mod:`workflows.data.near`). Where many others
have a hash close to an image's own, because all share one layout, or where an image is so faint that noise flips bits of its
hash, such images are found and compared by their details (:mod:`workflows.data.details`): a pair counts only if it is
close by comparison with what is usual there.

Groups grow from the closest pair on. What joins a group must be close to at least half of it, so that no chain of
images forms whose ends have nothing in common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflows.data.details import Details
from workflows.data.near import (
    MAX_DISTANCE,
    close_hashes,
    compare_thumbnails,
    confirmed,
    connected,
    copies,
    hash_values,
    thumbnail_values,
)

FLAT_CONTRAST = 0.01
"""Below this contrast an image shows nothing, and its hash means nothing: it is never a near duplicate."""
LOW_CONTRAST = 0.06
"""Below this contrast, differences between images are so faint that noise flips bits of the hash."""
ALIKE_DISTANCE, CROWD_SHARE, CROWD_LEAST = 20, 0.05, 8
"""Bits, a share of the set, a number of images: with this many others within this many bits, a hash doesn't distinguish its image from
the rest. Unrelated images are this near in 0.6 % of all cases; the commonest composition of flowers and insects had 3.8 %."""
SEARCHED_AT_MOST = 20_000
"""Images whose hashes don't distinguish them are all compared with all, up to this number; above it, only those whose hashes
differ in at most `MAX_DISTANCE` bits."""
MOSTLY = 0.5
"""From this share of such images on, the details decide for the whole set."""
HOLDING = 0.5
"""Of the pairs between two groups, that must be close for them to become one."""

_SAMPLE = 2_000
_BLOCK = 1024
_COMPARED_MEMBERS = 6  # members of each group that are compared before two groups become one

Positions = np.ndarray
"""Of images in the sorted table, int64."""


@dataclass(frozen=True)
class LookAlikes:
    """Which contents look alike.

    Attributes:
        pairs: columns `first` and `second` (SHA-256, `first` < `second`), `distance` (bits between the hashes),
            `colour` (0-255) and `correlation` of the thumbnails, `detail` (correlation of the details, null where
            the hashes decided) and `apart` (0 is the same, 1 hardly alike); each pair once, sorted.
        groups: the group of each content that is in one, named by its smallest member.
        copies: the same for those that are one photo, saved again.
    """

    pairs: pd.DataFrame
    groups: Mapping[str, str]
    copies: Mapping[str, str]


def look_alikes(measures: pd.DataFrame) -> LookAlikes:
    """Return which contents look nearly the same.

    Args:
        measures: one row for each content: `sha256`, `phash`, `thumbnail`, `detail` and `contrast`, as
            :func:`~workflows.data.measures.measures_table` makes them. Nothing depends on the order of the rows.
    """
    table = measures[measures["contrast"] >= FLAT_CONTRAST].sort_values("sha256", ignore_index=True)
    judge = _Closeness(table)
    first, second = judge.candidates()
    pairs = judge.compare(first, second)
    found = pairs.pop("close").to_numpy(bool)
    first, second, pairs = first[found], second[found], pairs[found].reset_index(drop=True)
    members = cohesive_groups(first, second, pairs["apart"].to_numpy(), judge.close)
    names = table["sha256"].to_numpy(object)
    pairs.insert(0, "first", names[first])
    pairs.insert(1, "second", names[second])
    groups = {str(names[member]): str(names[group]) for member, group in members.items()}
    return LookAlikes(pairs, groups, connected(copies(pairs)))


class _Closeness:
    """Decides which pairs of a table's images are close."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._hashes = hash_values(table["phash"])
        self._thumbnails = thumbnail_values(table["thumbnail"])
        unsure = crowded_hashes(self._hashes) | (table["contrast"].to_numpy() < LOW_CONTRAST)
        if unsure.sum() > MOSTLY * len(unsure):  # then the others are exposures of the same kind of object
            unsure[:] = True
        self._unsure = np.flatnonzero(unsure)
        self._place = np.full(len(table), -1)
        self._place[self._unsure] = np.arange(len(self._unsure))
        self._details = Details(table["detail"].to_numpy(object)[self._unsure].tolist())
        self._limits = self._details.limits(self._hashes[self._unsure], ALIKE_DISTANCE)

    def candidates(self) -> tuple[Positions, Positions]:
        """Return the pairs that may be close, sorted, `first` < `second`."""
        first, second = close_hashes(self._hashes)
        if 0 < len(self._unsure) <= SEARCHED_AT_MOST:
            one, other = self._details.search(self._limits)
            count = len(self._hashes)
            both = np.concatenate([first * count + second, self._unsure[one] * count + self._unsure[other]])
            first, second = np.divmod(np.unique(both), count)
        return first, second

    def compare(self, first: Positions, second: Positions) -> pd.DataFrame:
        """Return the columns of `LookAlikes.pairs` without the names, and `close`: whether each pair is close."""
        colour, correlation = compare_thumbnails(self._thumbnails, first, second)
        distance = np.bitwise_count(self._hashes[first] ^ self._hashes[second])
        one, other = self._place[first], self._place[second]
        unsure = (one >= 0) & (other >= 0)
        detail = np.full(len(first), np.nan, np.float32)
        detail[unsure] = self._details.correlations(one[unsure], other[unsure])
        pairs = pd.DataFrame({"distance": distance, "colour": colour, "correlation": correlation, "detail": detail})
        pairs["apart"] = np.where(unsure, (1 - detail).clip(0, 1), np.minimum(1, distance / (MAX_DISTANCE + 1)))
        close = (distance <= MAX_DISTANCE) & confirmed(pairs).to_numpy(bool)
        close[unsure] = detail[unsure] >= np.maximum(self._limits[one[unsure]], self._limits[other[unsure]])
        return pairs.assign(close=close)

    def close(self, first: Positions, second: Positions) -> np.ndarray:
        """Return which pairs are close."""
        return self.compare(first, second)["close"].to_numpy(bool)


def crowded_hashes(hashes: np.ndarray) -> np.ndarray:
    """Return which hashes (uint64) are so close to many others that they hardly distinguish images."""
    count = len(hashes)
    sample = np.unique(np.linspace(0, max(0, count - 1), min(count, _SAMPLE)).astype(np.int64))
    near = np.zeros(count, np.int64)
    for start in range(0, count, _BLOCK):
        part = hashes[start : start + _BLOCK]
        near[start : start + _BLOCK] = (np.bitwise_count(part[:, None] ^ hashes[sample]) <= ALIKE_DISTANCE).sum(axis=1)
    near[sample] -= 1  # itself
    return np.asarray(near >= max(CROWD_LEAST, CROWD_SHARE * len(sample)))


def cohesive_groups(
    first: Positions,
    second: Positions,
    apart: np.ndarray,
    close: Callable[[Positions, Positions], np.ndarray],
) -> dict[int, int]:
    """Return the group of each position that has one, named by its smallest member.

    Args:
        first: one position of each close pair.
        second: the other.
        apart: their distance; the closest are joined first.
        close: returns which pairs are close, also of those not given.
    """
    members: dict[int, list[int]] = {int(each): [int(each)] for each in np.unique(np.concatenate([first, second]))}
    group = {each: each for each in members}
    refused: set[tuple[int, int, int, int]] = set()
    for pair in np.lexsort((second, first, apart)):
        low, high = sorted((group[int(first[pair])], group[int(second[pair])]))
        one, other = members[low], members[high]
        attempt = (low, high, len(one), len(other))
        if low == high or attempt in refused:
            continue
        if len(one) + len(other) > 2 and not _belong_together(one, other, close):
            refused.add(attempt)
            continue
        members[low] = sorted(one + members.pop(high))
        group.update(dict.fromkeys(other, low))
    return {each: low for each, low in sorted(group.items()) if len(members[low]) > 1}


def _belong_together(one: list[int], other: list[int], close: Callable[[Positions, Positions], np.ndarray]) -> bool:
    some, others = _some(one), _some(other)
    share = close(np.repeat(some, len(others)), np.tile(others, len(some))).mean()
    return bool(share >= HOLDING)


def _some(members: list[int]) -> Positions:
    """Return a few members, evenly spaced."""
    return np.array(members)[np.unique(np.linspace(0, len(members) - 1, _COMPARED_MEMBERS).astype(np.int64))]

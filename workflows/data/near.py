"""Near duplicates by perceptual hashes and thumbnails.

Two photos are near duplicates if their perceptual hashes (:func:`imagehash.phash`, 64 bits) differ in a few
bits, and their thumbnails confirm it. The hashes are found by multi-index hashing (Norouzi, Punjani and Fleet,
"Fast exact search in Hamming space with multi-index hashing", 2014): cut into 4 bands of 16 bits, two hashes
that differ in at most 11 bits have a band that differs in at most 2, so only photos with such a band are
compared, and not all pairs.

The limits come from 3,670 photos of flowers and 397 of insects (`python -m tests.benchmarks.near_duplicates`). Where
hashes don't distinguish images, :mod:`workflows.data.look_alikes` requires more.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workflows.data.measures import THUMBNAIL

MAX_DISTANCE = 10
"""Bits. Unrelated photos differ in 32 on average; among 7 million pairs of flowers the closest had 8."""
SURE_DISTANCE = 6
"""Bits. Up to here all 20 pairs of flowers were of one scene, whatever their colours, and so are 99 % of copies that were
saved again at any quality or size, or whose brightness, contrast or colours were changed."""
MAX_COLOUR = 12.0
"""Mean difference of the thumbnails' values (0-255) that is allowed beyond `SURE_DISTANCE`, where unrelated photos of
one thing in the middle begin. 98 % of copies cut by 5 % stay below it."""
MIN_CORRELATION = 0.8
"""Of the thumbnails' grey values. Copies cut by 5 % have 0.87 and more."""
COPY_DISTANCE, COPY_COLOUR = 4, 12.0
"""Bits, and mean difference of the thumbnails' values (0-255). A near duplicate this close is a copy: 99 % of photos
saved again (any format and quality, half or twice the size) are in this range, 92 % of those cut by 2 %, and hardly ever two shots."""
_BANDS = 4
_BAND_BITS = 64 // _BANDS
_CHANGED_BITS = MAX_DISTANCE // _BANDS
# Where more hashes than this share a band (frames of a film, pages of a form), each is compared only with the few that
# follow it in its band's order; neighbours of neighbours still join into one group.
_CROWD = 16
_FOLLOWING = 8
_PAIRS_AT_ONCE = 200_000
_PAIRS_WAITING = 4_000_000
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def confirmed(pairs: pd.DataFrame) -> pd.Series:
    """Return which pairs of close hashes are near duplicates: the larger their distance, the more the thumbnails must agree."""
    sure = pairs["distance"] <= SURE_DISTANCE
    return (pairs["correlation"] >= MIN_CORRELATION) & (sure | (pairs["colour"] <= MAX_COLOUR))


def copies(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs that look alike and are one photo, stored twice."""
    return pairs[(pairs["distance"] <= COPY_DISTANCE) & (pairs["colour"] <= COPY_COLOUR)]


def connected(pairs: pd.DataFrame) -> dict[str, str]:
    """Return the connected component of each content in `first` and `second`; it is named by its smallest member."""
    names, numbers = np.unique(pairs[["first", "second"]].to_numpy(str), return_inverse=True)
    links = numbers.reshape(-1, 2)
    graph = coo_array((np.ones(len(links), bool), (links[:, 0], links[:, 1])), shape=(len(names), len(names)))
    _, components = connected_components(graph, directed=False)
    smallest: dict[int, str] = {}
    for name, component in zip(names, components, strict=True):  # names are sorted
        smallest.setdefault(int(component), str(name))
    return {str(name): smallest[int(component)] for name, component in zip(names, components, strict=True)}


def hash_values(phashes: pd.Series) -> np.ndarray:
    """Return hashes of 16 hex digits as uint64."""
    return np.fromiter((int(phash, 16) for phash in phashes), np.uint64, len(phashes))


def thumbnail_values(thumbnails: pd.Series) -> np.ndarray:
    """Return thumbnails in hex as uint8, [n, pixels, 3]."""
    values = np.frombuffer(bytes.fromhex("".join(thumbnails)), np.uint8)
    return values.reshape(len(thumbnails), THUMBNAIL * THUMBNAIL, 3)


def close_hashes(hashes: np.ndarray, distance: int = MAX_DISTANCE) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of hashes that differ in at most `distance` bits, as two arrays of positions.

    Complete, except where more than a few dozen share a band; there, each is compared with those next in order.

    Args:
        hashes: uint64.
        distance: at most `MAX_DISTANCE`.
    """
    count = len(hashes)
    found, waiting = [np.zeros(0, np.int64)], 0
    for one, other in _candidates(hashes):
        close = np.bitwise_count(hashes[one] ^ hashes[other]) <= distance
        low, high = np.minimum(one[close], other[close]), np.maximum(one[close], other[close])
        found.append(low * count + high)
        waiting += len(low)
        if waiting > max(_PAIRS_WAITING, len(found[0])):  # each pair may be found in several bands
            found, waiting = [np.unique(np.concatenate(found))], 0
    pairs = np.unique(np.concatenate(found))
    return pairs // max(1, count), pairs % max(1, count)


def compare_thumbnails(thumbnails: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each pair of positions, the mean difference of the values, and the correlation of the greys."""
    colour, correlation = np.zeros(len(first), np.float32), np.zeros(len(first), np.float32)
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        one, other = thumbnails[first[part]].astype(np.float32), thumbnails[second[part]].astype(np.float32)
        colour[part] = np.abs(one - other).mean(axis=(1, 2))
        correlation[part] = (_standardised(one @ _LUMA) * _standardised(other @ _LUMA)).sum(axis=1)
    return colour, correlation


def _standardised(greys: np.ndarray) -> np.ndarray:
    centred = greys - greys.mean(axis=1, keepdims=True)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)


def _candidates(hashes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions of hashes that have a band which differs in at most `_CHANGED_BITS` bits."""
    rest = np.uint64(64 - _BAND_BITS)
    for band in range(_BANDS):
        turn = np.uint64(band * _BAND_BITS)
        # the band comes first, so that sorting puts equal bands side by side, the most alike next to each other
        keys = hashes << turn | hashes >> (np.uint64(64) - turn) if band else hashes
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        bands = (keys >> rest).astype(np.int64)
        starts = np.searchsorted(bands, np.arange(2**_BAND_BITS + 1))
        for mask in _masks():
            for one, other in _bucket_pairs(bands, starts, mask):
                yield order[one], order[other]


def _masks() -> list[int]:
    """Return the numbers of `_BAND_BITS` bits with at most `_CHANGED_BITS` bits set, 0 first."""
    return [
        sum(1 << bit for bit in bits)
        for changed in range(_CHANGED_BITS + 1)
        for bits in combinations(range(_BAND_BITS), changed)
    ]


def _bucket_pairs(bands: np.ndarray, starts: np.ndarray, mask: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions in the sorted `bands` that differ exactly in `mask`, each pair once."""
    sizes = np.diff(starts)
    if mask:
        values = np.arange(len(sizes))
        # of each two bands, only one looks up the other
        open_bands = (values & (mask & -mask) == 0) & (sizes <= _CROWD) & (sizes[values ^ mask] <= _CROWD)
        asking = np.flatnonzero(open_bands[bands])
        low, high = starts[bands[asking] ^ mask], starts[(bands[asking] ^ mask) + 1]
    else:
        asking = np.arange(len(bands))
        low = asking + 1
        crowded = sizes[bands] > _CROWD
        high = np.where(crowded, np.minimum(starts[bands + 1], low + _FOLLOWING), starts[bands + 1])
    step = max(1, _PAIRS_AT_ONCE // _CROWD)
    for start in range(0, len(asking), step):
        part = slice(start, start + step)
        numbers = high[part] - low[part]
        ends = numbers.cumsum()
        within = np.arange(ends[-1]) - np.repeat(ends - numbers, numbers)
        yield np.repeat(asking[part], numbers), np.repeat(low[part], numbers) + within

"""The fine structure of images, compared with what is usual in their data set.

A perceptual hash distinguishes photos of different scenes. It fails where all images share one layout (parts under a
fixed camera, X-rays, digits), or show little but texture: there, unrelated images have close
hashes, too. What still distinguishes them is structure finer than a hash captures.

The detail of an image (`DETAIL_SIDE` x `DETAIL_SIDE` bits) says where it is brighter than its surroundings. Gain, offset, gamma and
shading move a pixel and its surroundings alike, so other exposures of one object have nearly the same bits; and as each
pixel has one vote, a strong outline that all images share decides little. Two details are compared by their
correlation after subtracting the mean of all, the best of some small shifts. The threshold is estimated
from the set: see :meth:`Details.limits`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

DETAIL_SIDE = 64
"""Pixels of each side of the detail; a row of it is a 64-bit word."""
_SURROUNDINGS = 8  # cells of each side that the surroundings' brightness is averaged over
_EVEN = 0.05  # grey values: a smaller difference from the surroundings is rounding

LEAST_CORRELATION, ENOUGH_CORRELATION = 0.25, 0.75
"""Below the first, details never count as one object's; from the second on always, whatever is usual."""
_TAIL, _TAIL_SHARE = 2.5, 1e-4
_SPREADS = 8.0
_SAMPLE = 512  # images that each is compared with, to estimate what is usual
_LEAST_SAMPLE = 16
_SHIFTS = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
_BLOCK = 1024
_PAIRS_AT_ONCE = 50_000
_MOST_PARTNERS = 40
_QUARTILE = 0.6745  # of a normal distribution, in standard deviations


def detail_of(grey: Image.Image) -> str:
    """Return the detail of a picture (mode L), as base64 of `DETAIL_SIDE` squared bits, row by row."""
    fine = grey.convert("F").resize((DETAIL_SIDE, DETAIL_SIDE), Image.Resampling.BILINEAR)
    coarse = fine.resize((_SURROUNDINGS, _SURROUNDINGS), Image.Resampling.BOX)
    around = coarse.resize((DETAIL_SIDE, DETAIL_SIDE), Image.Resampling.BICUBIC)
    bits = np.asarray(fine) - np.asarray(around) > _EVEN
    return base64.b64encode(np.packbits(bits).tobytes()).decode()


class Details:
    """The details of images that are compared with each other; images are given by their positions."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Take what :func:`detail_of` made of each picture."""
        packed = np.frombuffer(b"".join(base64.b64decode(text) for text in texts), np.uint8)
        self._packed = packed.reshape(len(texts), DETAIL_SIDE * DETAIL_SIDE // 8)
        # big-endian words: the leftmost pixel is the highest bit
        self._words = self._packed.view(">u8").astype(np.uint64)
        self._mean = self._usual()
        shifted = np.stack([_shifted(self._mean, *shift) for shift in _SHIFTS], axis=1)
        self._products = np.zeros((len(texts), len(_SHIFTS)), np.float32)  # of each with the shifted mean
        for part in self._blocks():
            self._products[part] = self._bits(part) @ shifted
        self._own = self._mean @ shifted
        centre = _SHIFTS.index((0, 0))
        ones = np.bitwise_count(self._words).sum(axis=1)
        energy = ones - 2 * self._products[:, centre] + self._own[centre]
        self._norms = np.sqrt(np.maximum(energy, 1e-3)).astype(np.float32)

    def __len__(self) -> int:
        return len(self._words)

    def correlations(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the correlation of each pair, in [-1, 1]: that of the best shift of at most 2 pixels."""
        found = np.zeros(len(first), np.float32)
        for start in range(0, len(first), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            found[part] = self._best(first[part], second[part])
        return found

    def _best(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        one, other = self._words[first], self._words[second]
        best = np.full(len(first), -np.inf, np.float32)
        for number, (down, right) in enumerate(_SHIFTS):
            common = np.bitwise_count(one & _shifted_words(other, down, right)).sum(axis=1)
            # the mean shifted against the second picture is the second shifted against the mean, backwards
            apart = self._products[first, number] + self._products[second, -1 - number]
            np.maximum(best, common - apart + self._own[number], out=best)
        return best / (self._norms[first] * self._norms[second])

    def limits(self, hashes: np.ndarray, close: int) -> np.ndarray:
        """Return the correlation above which each image is more like another than is usual for it.

        Each is compared with a sample of the others, first those that the hashes can't distinguish from it. Its limit lies so far
        above the median as unrelated pictures hardly ever get: 8 standard deviations (by the lower quartile), and 2.5
        times as far as the lower tail of all these reaches down. What is below the median can't come from look-alikes, so
        these do no harm to the estimate.

        Args:
            hashes: perceptual hash of each picture, uint64.
            close: hashes that differ in at most this many bits don't distinguish images.
        """
        count = len(self)
        if count < _LEAST_SAMPLE:
            return np.full(count, (LEAST_CORRELATION + ENOUGH_CORRELATION) / 2, np.float32)
        sample = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
        against = self._centred(sample)
        limits, lowest = np.zeros(count, np.float32), []
        for part in self._blocks():
            rows = np.arange(count)[part]
            values = self._centred(part) @ against.T
            values[rows[:, None] == sample[None, :]] = np.nan
            lowest.append(np.nanquantile(values, [0.5, _tail_share(values.size)]))
            near = np.bitwise_count(hashes[part, None] ^ hashes[None, sample]) <= close
            crowded = near.sum(axis=1) > _LEAST_SAMPLE
            values[crowded[:, None] & ~near] = np.nan
            lower, middle = np.nanquantile(values, [0.25, 0.5], axis=1)
            limits[part] = middle + _SPREADS * (middle - lower) / _QUARTILE
        median, tail = np.min(lowest, axis=0)
        return np.clip(np.maximum(limits, median + _TAIL * (median - tail)), LEAST_CORRELATION, ENOUGH_CORRELATION)

    def search(self, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs that may reach their limits when shifted, as two arrays of positions.

        All are compared with all, so the cost grows with the square of their number.
        """
        found: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
        blocks = list(self._blocks())
        for number, part in enumerate(blocks):
            one = self._centred(part)
            for other in blocks[number:]:
                values = one @ self._centred(other).T
                excess = values - 0.6 * np.maximum(limits[part][:, None], limits[other][None, :])
                if other is part:
                    excess[np.tril_indices(len(excess))] = -1
                first, second = _most(excess)
                found.append((first + part.start, second + other.start))
        return np.concatenate([pair[0] for pair in found]), np.concatenate([pair[1] for pair in found])

    def _usual(self) -> np.ndarray:
        """Return the mean of all; one half for a few images, whose mean would be dominated by what some of them show."""
        if len(self) < _LEAST_SAMPLE:
            return np.full(DETAIL_SIDE * DETAIL_SIDE, 0.5, np.float32)
        total = sum((self._bits(part).sum(axis=0) for part in self._blocks()), np.zeros(1, np.float32))
        return np.asarray(total / np.float32(len(self)))

    def _blocks(self) -> Iterator[slice]:
        for start in range(0, len(self), _BLOCK):
            yield slice(start, min(len(self), start + _BLOCK))

    def _bits(self, part: slice | np.ndarray) -> np.ndarray:
        return np.unpackbits(self._packed[part], axis=1).astype(np.float32)

    def _centred(self, part: slice | np.ndarray) -> np.ndarray:
        return np.asarray((self._bits(part) - self._mean) / self._norms[part][:, None])


def _tail_share(number: int) -> float:
    """Return the share of `number` values that counts as their tail: a few values, and more than one."""
    return max(_TAIL_SHARE, min(0.5, 3 / number))


def _most(excess: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where values are positive, in each row the largest `_MOST_PARTNERS` at most."""
    if excess.shape[1] > _MOST_PARTNERS:
        least = np.partition(excess, -_MOST_PARTNERS, axis=1)[:, -_MOST_PARTNERS, None]
        excess = np.where(excess >= least, excess, -1)
    first, second = np.nonzero(excess > 0)
    return first, second


def _shifted(values: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return a shifted image, its value at (y, x) being that at (y + down, x + right); 0 outside."""
    square = values.reshape(DETAIL_SIDE, DETAIL_SIDE)
    padded = np.pad(square, 2)
    return padded[2 + down : 2 + down + DETAIL_SIDE, 2 + right : 2 + right + DETAIL_SIDE].reshape(-1)


def _shifted_words(words: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return the same for images whose rows are words, [n, rows]."""
    moved = words << np.uint64(right) if right >= 0 else words >> np.uint64(-right)
    if down == 0:
        return np.asarray(moved)
    shifted = np.zeros_like(moved)
    if down > 0:
        shifted[:, :-down] = moved[:, down:]
    else:
        shifted[:, -down:] = moved[:, :down]
    return shifted

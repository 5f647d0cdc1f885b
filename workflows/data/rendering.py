"""How raw sample values become 8-bit pixels: one scale for a whole data set, stored with its versions and models.

Cameras, scanners and satellites write 10, 12 or 14 bits into 16, and reflectances or temperatures in units of their
own. A scale chosen per image would make a dark image as bright as a light one, and map the same value
to another grey each time. So the scale is decided once, by :mod:`workflows.data.survey`, for all images of a data set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

FORMAT = 2
"""Of renderings. Data sets from before there were any (no rendering at all) keep their pixels."""

# Values shown as 0-255 where no scale is known: a deep image in a data set of 8 bits.
_DEFAULTS = {
    "uint16": (0.0, 65_535.0),
    "int16": (0.0, 32_767.0),
    "uint32": (0.0, 65_535.0),
    "int32": (0.0, 65_535.0),
    "float": (0.0, 1.0),
}
_ROWS = 256  # are scaled at a time, so that copies in floating point stay small


@dataclass(frozen=True)
class Scale:
    """The raw values of one type of samples that are shown as 0 and 255; what lies outside is clipped.

    Attributes:
        kind: numpy's name of the type, such as `uint16`; `float` for all floating-point types.
        low: raw value shown as 0.
        high: raw value shown as 255, above `low`.
    """

    kind: str
    low: float
    high: float


@dataclass(frozen=True)
class Rendering:
    """How the raw samples of all images of a data set are rendered.

    Attributes:
        scales: of deep samples, one for each type that the data set holds; 8-bit samples are shown as they are.
        bands: the bands shown as red, green and blue (or one, as grey), counted from 1; None means the first three.
        opaque: the fourth band of TIFF files is not transparency, whatever they declare.
        format: :data:`FORMAT`.
    """

    scales: tuple[Scale, ...] = ()
    bands: tuple[int, ...] | None = None
    opaque: bool = False
    format: int = FORMAT

    def scale(self, kind: str) -> Scale | None:
        """Return the scale of a type of samples; None if the data set has none."""
        return next((scale for scale in self.scales if scale.kind == kind), None)

    def eight_bits(self, values: np.ndarray) -> np.ndarray:
        """Return raw samples of any real type as uint8, in the same shape. What is not finite becomes 0."""
        kind = kind_of(values.dtype)
        if kind == "uint8":
            return values.astype(np.uint8, copy=False)
        scale = self.scale(kind)
        low, high = (scale.low, scale.high) if scale is not None else _default(values.dtype)
        if values.dtype.kind == "u" and values.dtype.itemsize == 2:
            return _table(low, high)[values]
        scaled = np.empty(values.shape, np.uint8)
        for start in range(0, len(values), _ROWS):
            part = values[start : start + _ROWS].astype(np.float64)
            scaled[start : start + _ROWS] = _scaled(part, low, high)
        return scaled

    @property
    def key(self) -> str:
        """A name of this rendering for cache keys."""
        return hashlib.blake2b(self.to_json().encode(), digest_size=6).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        plain = asdict(self)
        return {**plain, "scales": list(plain["scales"]), "bands": list(self.bands) if self.bands else None}

    def to_json(self) -> str:
        """Return it as text that :meth:`from_json` reads."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Rendering:
        """Read what :meth:`to_dict` wrote."""
        return cls(
            scales=tuple(Scale(str(each["kind"]), float(each["low"]), float(each["high"])) for each in plain["scales"]),
            bands=tuple(int(band) for band in plain["bands"]) if plain.get("bands") else None,
            opaque=bool(plain.get("opaque", False)),
            format=int(plain.get("format", FORMAT)),
        )

    @classmethod
    def from_json(cls, text: str) -> Rendering:
        """Read what :meth:`to_json` wrote."""
        return cls.from_dict(json.loads(text))


def kind_of(dtype: np.dtype) -> str:
    """Return the type of samples that a scale applies to."""
    return "float" if dtype.kind == "f" else np.dtype(dtype).newbyteorder("=").name


def _default(dtype: np.dtype) -> tuple[float, float]:
    known = _DEFAULTS.get(kind_of(dtype))
    return known if known is not None else (0.0, float(np.iinfo(dtype).max))


@lru_cache(maxsize=16)
def _table(low: float, high: float) -> np.ndarray:
    """Return the 8-bit value of each 16-bit one: a lookup costs a tenth of computing it."""
    return _scaled(np.arange(65_536, dtype=np.float64), low, high)


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        shares = (values - low) / (high - low)
    finite = np.nan_to_num(shares, nan=0.0, posinf=0.0, neginf=0.0)
    return np.rint(np.clip(finite, 0.0, 1.0) * 255.0).astype(np.uint8)

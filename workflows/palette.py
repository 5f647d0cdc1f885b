"""The colours of all charts, in the report and in the studio, light and dark.

They are from Okabe and Ito's palette, which people with any common colour blindness can tell apart; nothing is said
by colour alone. Matplotlib draws the report and Vega the studio, because the one must be a still picture on paper and
the other answers clicks; a renderer that could do both (vl-convert) would add 33 MB with a browser's engine. So they
share what is drawn, and only the drawing is written twice: colours here, the matrix in `evaluation/matrix_views.py`,
the reliability curve in `evaluation/calibration.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Mode = Literal["light", "dark"]

FAINTEST = 0.06
"""How strongly something is coloured that is hardly there: it must not vanish."""
WHITE, NEAR_BLACK = "#ffffff", "#10151d"


@dataclass(frozen=True)
class Palette:
    """The colours of one mode: by name, and by what they stand for."""

    paper: str
    ink: str
    soft: str
    """Second-rank text and axes."""
    line: str
    """Grid lines and borders."""
    blue: str
    orange: str
    green: str
    purple: str
    amber: str

    @property
    def train(self) -> str:
        """Training images."""
        return self.orange

    @property
    def val(self) -> str:
        """Validation images; a prediction that is right."""
        return self.blue

    @property
    def test(self) -> str:
        """Test images."""
        return self.purple

    @property
    def good(self) -> str:
        """Better than before."""
        return self.green

    @property
    def bad(self) -> str:
        """Worse than before; a prediction that is wrong."""
        return self.orange

    @property
    def warn(self) -> str:
        """What deserves a look."""
        return self.amber


PALETTES: dict[Mode, Palette] = {
    "light": Palette("#ffffff", "#1c2430", "#5b6675", "#dfe3e8", "#0072b2", "#d55e00", "#009e73", "#9b4f8c", "#b07d00"),
    "dark": Palette("#161b22", "#e6e9ee", "#9aa5b3", "#30363f", "#56b4e9", "#ee8a3c", "#3fc79a", "#d795c9", "#e6c04c"),
}


def strengths(values: NDArray[np.generic], top: float = 1.0, faintest: float = FAINTEST) -> NDArray[np.float64]:
    """Return how strongly to colour amounts in [0, top], in [faintest, 1].

    By the square root, because rare mistakes must be visible beside frequent ones: a share of 1 % gets a tenth of the
    colour, not a hundredth.
    """
    shares = np.clip(np.asarray(values, dtype=np.float64) / top, 0.0, 1.0)
    return faintest + (1.0 - faintest) * np.sqrt(shares)


def blend(strength: NDArray[np.float64], colour: str, paper: str) -> NDArray[np.float64]:
    """Mix a colour into the paper: strength [...] -> rgb [..., 3] in [0, 1]."""
    part = strength[..., None]
    return (1 - part) * rgb(paper) + part * rgb(colour)


def rgb(colour: str) -> NDArray[np.float64]:
    """Return `#rrggbb` as three numbers in [0, 1]."""
    return np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])


def text_on(ground: NDArray[np.float64]) -> str:
    """Return the colour of text that can be read on `ground` (rgb in [0, 1])."""
    # at this luminance white and near-black text have the same contrast
    return WHITE if luminance(ground) < 0.19 else NEAR_BLACK


def luminance(colour: NDArray[np.float64]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2)."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))

"""How every picture of a run looks: its paper and type, and names that are safe to draw.

Fonts are those that come with matplotlib: nothing is ever downloaded.
Figures are made without pyplot, which keeps global state and is not safe in threads.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

from workflows.palette import Palette

DPI = 144
"""Pixels per inch of a picture: sharp on high-density screens and in print at the size of the report."""

STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "text.parse_math": False,
    "text.usetex": False,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in this project's style, whatever the user's own matplotlib settings."""
    with style.context(["default", STYLE]):
        yield


def new_figure(width: float, height: float, theme: Palette) -> Figure:
    """Make an empty figure of `width` by `height` inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=theme.paper)
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes, theme: Palette) -> None:
    """Give axes the theme's colours."""
    axes.set_facecolor(theme.paper)
    axes.tick_params(colors=theme.soft, labelcolor=theme.ink, length=3)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    axes.title.set_color(theme.ink)
    for spine in axes.spines.values():
        spine.set_color(theme.soft)


def png_of(figure: Figure) -> bytes:
    """Render a figure as PNG."""
    stream = BytesIO()
    # no date or version inside: the same run gives the same bytes
    figure.savefig(stream, format="png", dpi=DPI, facecolor=figure.get_facecolor(), metadata={"Software": None})
    return stream.getvalue()


def drawable(text: str, limit: int = 32) -> str:
    """Return a name as it can be drawn: one line, no invisible characters, none that the font lacks, not too long.

    Characters without a glyph become the white rectangle; long names lose their middle, because both ends
    distinguish names (`model-a-left`, `model-a-right`).
    """
    glyphs = _glyphs()
    shown = "".join(_visible(character, glyphs) for character in unicodedata.normalize("NFC", text))
    shown = " ".join(shown.split()) or "(no name)"
    if len(shown) <= limit:
        return shown
    tail = (limit - 1) // 3
    return f"{shown[: limit - 1 - tail].rstrip()}…{shown[-tail:].lstrip()}"


def fully_drawable(text: str) -> bool:
    """Whether the font has a glyph for every visible character of a name."""
    glyphs = _glyphs()
    return all(ord(character) in glyphs for character in unicodedata.normalize("NFC", text) if character.isprintable())


def class_names(classes: tuple[str, ...] | list[str], limit: int = 32) -> list[str]:
    """Return all class names as they can be drawn, made distinct: number and name where characters are missing."""
    drawn = [
        drawable(name, limit) if fully_drawable(name) else f"{number}: {drawable(name, max(limit - 5, 8))}"
        for number, name in enumerate(classes, start=1)
    ]
    repeated = {name for name in drawn if drawn.count(name) > 1} if len(set(drawn)) < len(drawn) else set()
    return [f"{number}: {name}" if name in repeated else name for number, name in enumerate(drawn, start=1)]


def text_width(text: str, points: float, bold: bool = False) -> float:
    """Return how many inches wide a text will be at a font size."""
    return _measure(bold).getlength(text) / 100 * points / 72


@cache
def _measure(bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_path(bold)), 100)


def font_path(bold: bool = False) -> Path:
    """Return the file of the font that comes with matplotlib."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(FT2Font(str(font_path())).get_charmap())


def _visible(character: str, glyphs: frozenset[int]) -> str:
    category = unicodedata.category(character)
    if category in {"Zs", "Zl", "Zp", "Cc"}:
        return " "
    if category.startswith("C"):  # controls of direction and joining, private use, unassigned
        return ""
    return character if ord(character) in glyphs else "▯"

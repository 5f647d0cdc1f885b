"""A chart of lines that grow: drawn anew in place each second without flicker, in the colours of the theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from app.components.page import colours

_HERE = Path(__file__).parent
_HTML = (
    '<div class="lines"><div class="legend"></div><svg></svg><div class="tip" hidden></div></div>\n'  # one root to find
)
_component = st.components.v2.component(
    "fieldguide.lines",
    html=_HTML,
    css=(_HERE / "lines.css").read_text(encoding="utf-8"),
    js=(_HERE / "lines.js").read_text(encoding="utf-8"),
)

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """One line. `faint` ones are the background of the others."""

    name: str
    points: Points
    colour: str
    faint: bool = False


@dataclass(frozen=True)
class Band:
    """An area between two lines: (x, lower, upper)."""

    name: str = ""
    points: Sequence[tuple[float, float, float]] = ()
    colour: str = ""


@dataclass(frozen=True)
class Axes:
    """How the lines are drawn. `span` is the range of x that is shown at least, `rules` are (x, words)."""

    x_title: str
    percent: bool = False
    height: int = 250
    span: tuple[float, float] = (0.0, 1.0)
    rules: Sequence[tuple[float, str]] = field(default=())
    empty: str = "nothing yet"


def lines_chart(lines: Sequence[Line], axes: Axes, *, key: str, band: Band | None = None) -> None:
    """Draw lines; the same `key` draws into the same place.

    Args:
        lines: those drawn last lie on top.
        axes: how.
        key: of the widget.
        band: an area behind the lines.
    """
    colour = colours()
    data: dict[str, Any] = {
        "series": [_document(line) for line in lines],
        "band": {
            "name": band.name if band else "",
            "points": _rounded(band.points) if band else [],
            "colour": band.colour if band else "",
        },
        "x_title": axes.x_title,
        "x_from": axes.span[0],
        "x_to": axes.span[1],
        "percent": axes.percent,
        "height": axes.height,
        "rules": [{"at": at, "title": title} for at, title in axes.rules],
        "empty": axes.empty,
        "alt": _in_words(lines, axes),
        "ink": colour.ink,
        "soft": colour.soft,
        "line": colour.line,
    }
    _component(key=key, data=data)


def _document(line: Line) -> dict[str, Any]:
    width, opacity = (1.0, 0.45) if line.faint else (2.0, 1.0)
    points = _rounded(line.points)
    return {"name": line.name, "points": points, "colour": line.colour, "width": width, "opacity": opacity}


def _rounded(points: Sequence[tuple[float, ...]]) -> list[list[float]]:
    """Leave out digits that no screen shows: they would be sent every second."""
    return [[float(f"{value:.5g}") for value in point] for point in points]


def _in_words(lines: Sequence[Line], axes: Axes) -> str:
    """Describe the chart for those who can't see it."""
    newest = [f"{line.name} {line.points[-1][1]:.3g}" for line in lines if line.points]
    return f"Lines over {axes.x_title}; newest: {', '.join(newest)}" if newest else axes.empty

"""Heat-maps side by side over exactly the pixels that the network saw.

The browser lays the map over the photo, so that its opacity follows the slider at once, without another request. Names
of classes reach the page as text, never as HTML.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from app.client import client
from app.client.inference import ExplainAnswer, HeatMap
from app.components.page import percent
from workflows.explanation.methods import FLAT, shows

METHODS = {"grad-cam++": "Grad-CAM++", "grad-cam": "Grad-CAM", "layer-cam": "Layer-CAM"}
"""Those that are class-specific."""
OPACITY = 0.5
COARSE_SIDE = 96
"""Inputs of fewer pixels a side are shown with their pixels visible, as the network sees them."""

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "fieldguide.heatmaps",
    html='<div class="maps"></div>\n',
    css=(_HERE / "heatmaps.css").read_text(encoding="utf-8"),
    js=(_HERE / "heatmaps.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Panel:
    """One picture: the photo alone, or with a heat-map over it.

    Attributes:
        title: what it shows.
        detail: a second line.
        grey: base64 of a grey PNG, 0 = not at all, 255 = most; None shows the photo alone.
        note: a third line, such as what the map shows.
    """

    title: str
    detail: str = ""
    grey: str | None = None
    note: str = ""


def heatmap_panels(pixels: str, side: int, panels: Sequence[Panel], *, key: str, opacity: float = OPACITY) -> None:
    """Show `panels` over one photo, with a slider for the opacity of all maps.

    Args:
        pixels: base64 of the PNG of the photo's pixels.
        side: pixels per side.
        panels: from left to right.
        key: of the component.
        opacity: where the slider begins, in [0, 1]; afterwards it stays where the person left it.
    """
    data = {
        "pixels": _uri(pixels),
        "coarse": side <= COARSE_SIDE,
        "opacity": opacity,
        "panels": [
            {
                "title": panel.title,
                "detail": panel.detail,
                "note": panel.note,
                "map": _uri(coloured(panel.grey)) if panel.grey else None,
            }
            for panel in panels
        ],
    }
    _component(key=key, data=data)


@st.cache_data(max_entries=128, ttl=600, show_spinner="Loading the model …")
def ask_for_maps(
    run_id: str,
    image: str | bytes,
    targets: tuple[str, ...],
    layer: int | None,
    methods: tuple[str, ...],
    threshold: float,
) -> ExplainAnswer:
    """Return an explanation; see `Inference.explain`. Cached for a while, so that going back is instant.

    With another review `threshold` it is requested anew, as it says whether the prediction is to be reviewed.
    """
    return client().inference.explain(run_id, image, methods, targets, layer)


def map_panels(maps: Sequence[HeatMap], answer: ExplainAnswer, truth: str | None) -> list[Panel]:
    """Return a panel for each map, with what it shows; one that is flat says so and shows the photo alone.

    Args:
        answer: names the predicted class and the confidences.
        truth: the photo's label, if it has one.
    """
    shares = {score.label: f" ({percent(score.confidence)})" for score in answer.top}
    panels = []
    for each in maps:
        note, grey = (FLAT, None) if each.flat else (shows(each.target), each.map_png)
        if each.target is None:
            panels.append(Panel("Eigen-CAM", "not class-specific", grey, note))
            continue
        role = "predicted" if each.target == answer.label else "its label" if each.target == truth else "chosen"
        title = f"{each.target}{shares.get(each.target, '')}"
        panels.append(Panel(title, f"{METHODS[each.method]}, {role}", grey, note))
    return panels


def coloured(grey: str) -> str:
    """Return a grey map (base64 of a PNG) in the colours that reports use, blue for 0 to red for most."""
    values = np.asarray(Image.open(io.BytesIO(base64.b64decode(grey))).convert("L"))
    buffer = io.BytesIO()
    Image.fromarray(_JET[values]).save(buffer, format="PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _jet() -> np.ndarray:
    """Return the 256 colours of the "jet" scale, uint8 [256, 3]: three trapezoids, a quarter apart."""
    place = np.linspace(0.0, 1.0, 256)
    peaks = (0.75, 0.5, 0.25)  # red, green, blue
    colours = [np.clip(1.5 - np.abs(4.0 * (place - peak)), 0.0, 1.0) for peak in peaks]
    return np.rint(255.0 * np.stack(colours, axis=1)).astype(np.uint8)


_JET = _jet()


def _uri(png: str) -> str:
    return f"data:image/png;base64,{png}"

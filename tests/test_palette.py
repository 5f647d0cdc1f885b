"""One palette: colours stand nowhere else, and text can be read on every shade of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from app.views.evaluation.confusion import cells_chart
from workflows.evaluation.matrix_views import cells_of
from workflows.palette import FAINTEST, PALETTES, Mode, blend, luminance, rgb, strengths, text_on

ROOT = Path(__file__).parents[1]
COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")


def test_colours_stand_in_the_palette_alone() -> None:
    modules = [path for part in ("app", "flows", "workflows") for path in (ROOT / part).rglob("*.py")]
    assert [path.name for path in modules if COLOUR.search(path.read_text(encoding="utf-8"))] == ["palette.py"]


def test_rare_mistakes_can_be_seen_beside_frequent_ones() -> None:
    found = strengths(np.array([0, 1, 25, 100]), 100)
    assert found == pytest.approx([FAINTEST, FAINTEST + (1 - FAINTEST) * 0.1, FAINTEST + (1 - FAINTEST) * 0.5, 1.0])


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_numbers_can_be_read_on_every_shade(mode: Mode) -> None:
    palette = PALETTES[mode]
    for colour in (palette.val, palette.bad):
        for ground in blend(np.linspace(0.0, 1.0, 101), colour, palette.paper):
            bright, dim = sorted((luminance(ground), luminance(rgb(text_on(ground)))), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) > 4.2


def test_the_studio_colours_a_matrix_as_the_report_does() -> None:
    matrix = np.array([[8, 2], [0, 10]])
    cells = cells_of(matrix, ["a", "b"], np.arange(2)).assign(chosen=False)
    drawn = cells_chart(cells, ["a", "b"], share=True).data
    assert drawn["strength"].to_numpy() == pytest.approx(strengths(np.array([0.8, 0.2, 1.0])))
    shade = blend(strengths(np.array([0.8])), PALETTES["light"].val, PALETTES["light"].paper)[0]
    assert drawn["ink"].iloc[0] == text_on(shade)

"""Names that are safe to draw."""

from __future__ import annotations

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.runs import HOSTILE
from workflows.palette import PALETTES, luminance, rgb
from workflows.report.theme import class_names, drawable, drawing, font_path, fully_drawable, text_width


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("daisy", "daisy"),
        ("two\nlines\tand tab", "two lines and tab"),
        ("", "(no name)"),
        ("\u202egnp.exe", "gnp.exe"),
        ("snow 雪豹", "snow ▯▯"),
        ("$x$", "$x$"),
        ("Łódź π дом", "Łódź π дом"),
    ],
)
def test_drawable(name: str, drawn: str) -> None:
    assert drawable(name) == drawn


def test_long_names_keep_both_ends() -> None:
    short = drawable("the left side of a thing that is seen from far away", 20)
    assert len(short) <= 20
    assert short.startswith("the left")
    assert short.endswith("away")


@given(st.text(max_size=80), st.integers(8, 40))
def test_any_text_becomes_one_short_line_that_the_font_has(name: str, limit: int) -> None:
    line = drawable(name, limit)
    assert 0 < len(line) <= max(limit, len("(no name)"))
    assert fully_drawable(line)
    assert not any(character in line for character in "\n\r\t\u2028\u202e")


@given(st.lists(st.text(max_size=60), min_size=1, max_size=12, unique=True))
def test_class_names_stay_distinct(classes: list[str]) -> None:
    names = class_names(classes)
    assert len(names) == len(set(names)) == len(classes)


def test_names_that_cannot_be_drawn_get_their_number() -> None:
    assert class_names(["cat", "雪豹"]) == ["cat", "2: ▯▯"]
    assert len(class_names(list(HOSTILE))) == len(HOSTILE)


def test_drawing_leaves_other_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    with drawing():
        assert matplotlib.rcParams["text.parse_math"] is False
    assert dict(matplotlib.rcParams) == before


def test_fonts_come_with_matplotlib() -> None:
    assert font_path().is_file()
    assert font_path(bold=True).is_file()
    assert text_width("wide", 20.0) == pytest.approx(2 * text_width("wide", 10.0))


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_lines_stand_out_from_the_paper(mode: str) -> None:
    theme = PALETTES[mode]  # type: ignore[index]
    paper = luminance(rgb(theme.paper))
    for colour, least in (
        (theme.ink, 7.0),
        (theme.soft, 4.5),
        (theme.blue, 3.0),
        (theme.orange, 3.0),
        (theme.green, 3.0),
    ):
        bright, dim = sorted((luminance(rgb(colour)), paper), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= least, colour

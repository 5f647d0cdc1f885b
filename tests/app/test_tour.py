"""The tour of the studio in docs: its pictures are there and small, and it leaves no page out."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from tests.processes import ROOT

DOCS = ROOT / "docs"
TOUR = (DOCS / "tour.md").read_text(encoding="utf-8")
PICTURES = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TOUR)
MOST_BYTES = 200_000
WORD = re.compile(r"\b[A-Z][a-z]+\b")


def test_every_page_is_on_the_tour() -> None:
    views = {page.parent.name for page in (ROOT / "app" / "views").glob("*/page.py")}
    pages = [name for stop in re.findall(r"^## \d+\. ([^:\n]+):", TOUR, re.MULTILINE) for name in WORD.findall(stop)]
    assert {name.lower() for name in pages} - {"audit"} == views  # the audit is a view of the page Data


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_there_and_small(name: str) -> None:
    assert (DOCS / name).stat().st_size <= MOST_BYTES
    with Image.open(DOCS / name) as picture:
        picture.load()


def test_no_picture_is_left_over() -> None:
    assert {path.name for path in DOCS.glob("studio*.png")} == set(PICTURES)

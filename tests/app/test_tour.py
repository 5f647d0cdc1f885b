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


def test_every_page_is_on_the_tour() -> None:
    for view in (ROOT / "app" / "views").glob("*.py"):
        if view.stem != "__init__":
            assert re.search(rf"\b{view.stem}\b", TOUR, re.IGNORECASE), f"the tour leaves out {view.stem}"


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_there_and_small(name: str) -> None:
    assert (DOCS / name).stat().st_size <= MOST_BYTES
    with Image.open(DOCS / name) as picture:
        picture.load()


def test_no_picture_is_left_over() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in DOCS.glob("studio*.png")} == {name for name in PICTURES if name in TOUR + readme}

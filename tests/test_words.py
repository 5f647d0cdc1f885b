"""Lists in words: cut in one place, and never without a word on where the rest is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.texts import mentions
from workflows.errors import SourceError
from workflows.store.reports import KEPT, keep_list
from workflows.words import SHOWN, first_lines, listed, signed

ROOT = Path(__file__).parents[1]
NAMES = st.lists(st.text("abc", min_size=1, max_size=3), max_size=30)


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [(4.23, 1, "+4.2"), (-4.26, 1, "-4.3"), (0.0, 1, "0.0"), (-0.04, 1, "0.0"), (0.4, 0, "0"), (-0.6, 0, "-1")],
)
def test_no_sign_where_nothing_is_left_of_a_difference(number: float, digits: int, text: str) -> None:
    assert signed(number, digits) == text


@given(names=NAMES, most=st.integers(1, 12))
def test_a_list_is_whole_or_says_how_many_are_missing_and_where_they_are(names: list[str], most: int) -> None:
    text = listed(names, full="the file", most=most)
    if len(names) <= most:
        assert text == ", ".join(names)
    else:
        shown = ", ".join(names[:most])
        assert text.startswith(shown) and mentions(text.removeprefix(shown), len(names) - most, "the file")


@given(names=NAMES)
def test_an_error_shows_the_first_problems_and_has_all(names: list[str]) -> None:
    error = SourceError("wrong:", "mend it", problems=names)
    assert error.problems == names and error.document().get("problems", []) == names
    lines = error.message.splitlines()[1:]
    assert lines == first_lines(names) and len(lines) == min(len(names), SHOWN) + (len(names) > SHOWN)


def test_no_list_is_cut_elsewhere() -> None:
    by_hand = re.compile(r"\band \{[^}]*\} more\b|…['\"]?\s+if len\(|, '\.join\([^\n]*\[:\d+\]")
    # the last two name columns, which the file itself shows
    allowed = {"words.py", "label_files.py", "label_studio.py"}
    files = [file for top in ("workflows", "flows", "app") for file in (ROOT / top).rglob("*.py")]
    assert len(files) > 200
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if by_hand.search(line) and file.name not in allowed
    ]
    assert found == []


def test_only_the_newest_lists_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT + 5):
        path = keep_list([f"line {number}", "a\udcff"], tmp_path)
    assert path.read_text().splitlines() == [f"line {number}", "a\\udcff"]
    assert len(list((tmp_path / "reports").iterdir())) == KEPT

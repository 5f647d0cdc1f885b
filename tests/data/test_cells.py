"""Cells of label columns: what is a text, what is a list of one label, and what names several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.label_tables import NAMES, WANTED, labels_of, normal, photos, table
from workflows.data.cells import one_of
from workflows.data.reasons import SEVERAL, UNLABELLED
from workflows.data.sources import scan

TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)


@given(items=st.lists(TEXT.map(lambda text: f"c{text}c"), max_size=4), write_list=st.sampled_from([repr, json.dumps]))
def test_a_list_as_python_and_json_write_it(items: list[str], write_list: object) -> None:
    label, fault = one_of(write_list(items))  # type: ignore[operator]
    different = list(dict.fromkeys(map(normal, items)))
    if len(different) == 1:
        assert (label, fault) == (different[0], "")
    else:
        assert label == "" and fault.startswith(SEVERAL if different else UNLABELLED)


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        ("['frog']", "frog"),
        ('["frog"]', "frog"),
        ("[ 'frog' , ]", "frog"),
        ('["it\'s"]', "it's"),
        ("['frog' 'frog']", "frog"),
        ("[3]", "3"),
        ("[1.10]", "1.10"),
        ("[frog]", "[frog]"),
        ("['frog'", "['frog'"),
        ("[['frog']]", "[['frog']]"),
        ("frog", "frog"),
        ("", ""),
        ("[None]", "[None]"),
    ],
)
def test_what_is_a_list_and_what_is_a_text(cell: str, label: str) -> None:
    assert one_of(cell) == (label, "")


@pytest.mark.parametrize("cell", ["['a' 'b']", "['a','b']", '["a", "b"]', "['a'\n 'b']", "[1, 2]"])
def test_several_are_several(cell: str) -> None:
    label, fault = one_of(cell)
    assert label == "" and fault.startswith(SEVERAL)


def test_lists_in_a_table(tmp_path: Path) -> None:
    root = photos(tmp_path / "images", *NAMES, "none.jpg", "both.jpg")
    rows = [f"{name},\"['{label}']\"" for name, label in WANTED.items()]
    found = scan(root, table(tmp_path / "t.csv", "filename,label", *rows, "none.jpg,[]", "both.jpg,\"['ant','bee']\""))
    assert labels_of(found) == {**WANTED, "none.jpg": None}
    assert dict(found.rejected) == {"both.jpg": f"{SEVERAL}: ant, bee"}

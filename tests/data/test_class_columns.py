"""Tables with one column for each class, in which marks stand for labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.conftest import write
from tests.data.label_tables import NAMES, WANTED, labels_of, normal, photos, rows_of, table
from workflows.data.columns import Columns
from workflows.data.label_files import read_labels
from workflows.data.reasons import SEVERAL, UNLABELLED
from workflows.data.sources import scan
from workflows.errors import ColumnsError

MARKS = [("1", "0"), ("1.0", "0.0"), ("true", "false"), ("TRUE", "False")]


def one_hot(names: Sequence[str], rows: Sequence[tuple[str, set[int]]], yes: str, no: str, space: str) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(["filename", *(f"{space}{name}" for name in names)])
    for file, marked in rows:
        writer.writerow([file, *(f"{space}{yes if at in marked else no}" for at in range(len(names)))])
    return stream.getvalue()


CLASS = st.text(
    st.characters(codec="utf-8", categories=("L", "N"), exclude_characters=("\u0345",)), min_size=1, max_size=8
)


@given(
    names=st.lists(
        CLASS.map(lambda text: normal(f"c {text}")), min_size=2, max_size=6, unique_by=lambda name: name.casefold()
    ),
    given_labels=st.lists(st.integers(0, 5), min_size=1, max_size=20),
    marks=st.sampled_from(MARKS),
    space=st.sampled_from(["", " "]),
)
def test_a_labelling_written_with_one_column_per_class_reads_back(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    given_labels: list[int],
    marks: tuple[str, str],
    space: str,
) -> None:
    chosen = [number % len(names) for number in given_labels]
    rows = [(f"{at}.jpg", {number}) for at, number in enumerate(chosen)]
    file = write(tmp_path_factory.mktemp("t") / "t.csv", one_hot(names, rows, *marks, space).encode())
    found = read_labels(file)
    assert [row.filename for row in found.rows] == [name for name, _ in rows] and not found.rejected
    # pandas as oracle: the one column that is marked
    frame = pd.read_csv(file, index_col=0, skipinitialspace=True, encoding="utf-8").astype(float)
    assert [row.label for row in found.rows] == [names[at] for at in frame.to_numpy().argmax(axis=1)]


def test_no_class_and_several(tmp_path: Path) -> None:
    root = photos(tmp_path / "images", *NAMES, "none.jpg", "both.jpg")
    rows = [(name, {0 if label == "ant" else 1}) for name, label in WANTED.items()]
    rows += [("none.jpg", set()), ("both.jpg", {0, 1}), ("gone.jpg", set())]
    file = write(tmp_path / "t.csv", one_hot(["ant", "bee"], rows, "1", "0", " ").encode())
    assert set(read_labels(file).rejected.values()) == {UNLABELLED, f"{SEVERAL}: ant, bee"}
    found = scan(root, file)
    assert labels_of(found) == {**WANTED, "none.jpg": None}
    assert dict(found.rejected)["both.jpg"] == f"{SEVERAL}: ant, bee" and "gone.jpg" in dict(found.rejected)


def test_other_columns_beside_those_of_classes_are_kept(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", "image_id,site,ant,bee,split", "a1,s1,1,0,train", "b1,s2,0,1,val")
    found = read_labels(file)
    assert [(row.filename, row.label, row.split) for row in found.rows] == [
        ("a1", "ant", "train"),
        ("b1", "bee", "val"),
    ]
    assert [row.attributes for row in found.rows] == [{"site": "s1"}, {"site": "s2"}]
    assert found.columns == ["filename", "site", "label", "split"]


def test_one_column_of_marks_is_no_class(tmp_path: Path) -> None:
    with pytest.raises(ColumnsError):
        read_labels(table(tmp_path / "t.csv", "filename,ant", "a1.jpg,1", "b1.jpg,0"))


def test_a_named_column_of_labels_is_not_overruled_by_marks(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", "filename,ant,sort,bee", "a1.jpg,1,x,0", "b1.jpg,0,y,1")
    assert rows_of(file, Columns(label="sort")) == {"a1.jpg": "x", "b1.jpg": "y"}


def test_a_table_of_classes_in_each_split_folder(tmp_path: Path) -> None:
    for side, names in (("train", NAMES), ("valid", NAMES[:3]), ("test", NAMES[1:3])):
        photos(tmp_path / side, *names)
        rows = [(name, {0 if WANTED[name] == "ant" else 1}) for name in names]
        write(tmp_path / side / "_classes.csv", one_hot(["ant", "bee"], rows, "1", "0", " ").encode())
    found = scan(tmp_path)
    splits = {entry.relative: entry.split for entry in found.entries}
    assert {split: list(splits.values()).count(split) for split in ("train", "val", "test")} == {
        "train": 4,
        "val": 3,
        "test": 2,
    }
    assert all(entry.label == WANTED[entry.path.name] for entry in found.entries)

"""Tables as people and programs make them: whatever their columns are called, and however labels stand in them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.archive_files import make_zip
from tests.data.conftest import encoded, picture, write
from tests.data.label_tables import WANTED, labels_of, photos, rows_of, table
from workflows.data.columns import Columns
from workflows.data.delimited import preview_table
from workflows.data.importing import add_dataset
from workflows.data.label_files import read_labels
from workflows.data.sources import Reading, listing_of, scan
from workflows.errors import ColumnsError, SourceError, UsageError
from workflows.store.store import Store

# ------------------------------------------------------------------ named columns


@pytest.mark.parametrize(
    "columns",
    [Columns("shot", "what"), Columns("SHOT", "What"), Columns("shot", "what "), Columns(" shot", "WHAT")],
)
def test_columns_are_those_that_a_person_names(tmp_path: Path, columns: Columns) -> None:
    root = photos(tmp_path / "images")
    file = table(tmp_path / "t.csv", "what,shot,site", *(f"{label},{name},s1" for name, label in WANTED.items()))
    with pytest.raises(ColumnsError):
        scan(root, file)
    found = scan(root, file, reading=Reading(columns=columns))
    assert labels_of(found) == WANTED
    assert found.entries[0].attributes == {"site": "s1"}


def test_a_named_column_comes_before_one_that_is_called_so(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", "filename,label,path,sort", "1,x,a1.jpg,ant")
    found = read_labels(file, columns=Columns("path", "sort"))
    assert [(row.filename, row.label) for row in found.rows] == [("a1.jpg", "ant")]
    assert sorted(found.rows[0].attributes.values()) == ["1", "x"]
    assert rows_of(file, Columns(label="sort")) == {"1": "ant"}


def test_names_that_differ_in_case_alone_are_told_apart(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", "shot,Kind,KIND", "a1.jpg,ant,1")
    assert rows_of(file, Columns("shot", "KIND")) == {"a1.jpg": "1"}
    with pytest.raises(ColumnsError):
        rows_of(file, Columns("shot", "kind"))


@pytest.mark.parametrize(
    ("columns", "missing"),
    [(Columns("shot", "sort"), "sort"), (Columns("pic", "what"), "pic"), (Columns("shot", ""), "''")],
)
def test_the_column_that_is_missing_is_named_with_those_that_are_there(
    tmp_path: Path, columns: Columns, missing: str
) -> None:
    with pytest.raises(ColumnsError) as caught:
        rows_of(table(tmp_path / "t.csv", "what,shot,site", "ant,a1.jpg,s"), columns)
    assert missing in caught.value.message
    assert all(name in caught.value.message for name in ("what", "shot", "site"))


@pytest.mark.parametrize(
    ("header", "missing", "there"),
    [("filename,sort,site", "label", "filename"), ("label,sort,site", "filename", "label")],
)
def test_only_what_is_missing_is_said_to_be_missing(tmp_path: Path, header: str, missing: str, there: str) -> None:
    with pytest.raises(ColumnsError) as caught:
        read_labels(table(tmp_path / "t.csv", header, "a1.jpg,ant,s"))
    said = caught.value.message.partition("only:")
    assert f"`{missing}`" in said[0] and f"`{there}`" not in said[0] and there in said[2]
    assert caught.value.missing == (missing,)


def test_one_column_can_not_be_both(tmp_path: Path) -> None:
    with pytest.raises(ColumnsError):
        rows_of(table(tmp_path / "t.csv", "shot,what", "a1.jpg,ant"), Columns("shot", "SHOT"))


@pytest.mark.parametrize("file", ["image_id", "ID", "photo", "img", "Picture", "ImageID", "image path", "File"])
@pytest.mark.parametrize("label", ["Species", "target", "tag", "kind", "y", "dx", "class-name"])
def test_what_is_guessed_is_told(tmp_path: Path, file: str, label: str) -> None:
    found = read_labels(table(tmp_path / "t.csv", f"{label},{file}", "ant,a1.jpg"))
    assert [(row.filename, row.label) for row in found.rows] == [("a1.jpg", "ant")]
    assert any(repr(file) in note and repr(label) in note for note in found.notes)


def test_a_place_in_the_image_is_no_label(tmp_path: Path) -> None:
    with pytest.raises(ColumnsError):
        read_labels(table(tmp_path / "t.csv", "filename,x,y", "a1.jpg,3,4"))


def test_an_id_that_names_no_file_is_said_to_name_none(tmp_path: Path) -> None:
    root = photos(tmp_path / "images")
    with pytest.raises(ColumnsError) as caught:
        scan(root, table(tmp_path / "t.csv", "id,label", "17,ant", "18,bee"))
    assert "'17'" in caught.value.message and caught.value.missing == ("filename",)


def test_columns_without_a_name_are_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame({"filename": list(WANTED), "label": list(WANTED.values())})
    file = write(tmp_path / "t.csv", frame.to_csv().encode())  # as pandas writes its index
    found = read_labels(file)
    assert {row.filename: row.label for row in found.rows} == WANTED
    assert found.columns == ["filename", "label"] and found.rows[0].attributes == {}


def test_other_columns_need_another_look(tmp_path: Path, store: Store) -> None:
    root = tmp_path / "images"
    for number in range(12):
        write(root / f"{number}.png", encoded(picture(number)))
    rows = [f"{number}.png,{number % 2},{number % 3}" for number in range(12)]
    file = table(tmp_path / "t.csv", "file,sort,kind", *rows)
    prints = {
        listing_of(root, file, reading=Reading(columns=columns)) for columns in (Columns(), Columns(label="sort"))
    }
    assert len(prints) == 2
    assert listing_of(root, file) == listing_of(root, file, reading=Reading(columns=Columns()))
    first = add_dataset(store, "set", root, labels=file, reading=Reading(columns=Columns("file", "sort")))
    again = add_dataset(store, "set", root, labels=file, reading=Reading(columns=Columns("file", "sort")))
    other = add_dataset(store, "set", root, labels=file, reading=Reading(columns=Columns("file", "kind")))
    assert (first.version.number, again.version.number, other.version.number) == (1, 1, 2)
    assert (list(first.version.classes), list(other.version.classes)) == (["0", "1"], ["0", "1", "2"])


def test_an_archive_by_other_columns(tmp_path: Path, store: Store) -> None:
    content = {f"in/{n}.png": encoded(picture(n)) for n in range(12)}
    lines = "shot,what\n" + "".join(f"{n}.png,{n % 2}\n" for n in range(12))
    archive = make_zip(tmp_path / "set.zip", {**content, "in/t.csv": lines.encode()})
    asked = Columns("shot", "what")
    done = add_dataset(store, "set", archive, labels=Path("in/t.csv"), reading=Reading(columns=asked))
    assert done.version.images == 12
    assert (
        add_dataset(store, "set", archive, labels=Path("in/t.csv"), reading=Reading(columns=asked)).version.number == 1
    )
    with pytest.raises(ColumnsError):
        add_dataset(store, "set", archive, labels=Path("in/t.csv"))


def test_columns_of_a_table_that_lies_beside(tmp_path: Path) -> None:
    root = photos(tmp_path)
    table(root / "t.csv", "shot,what", *(f"{name},{label}" for name, label in WANTED.items()))
    assert labels_of(scan(root, reading=Reading(columns=Columns("shot", "what")))) == WANTED
    with pytest.raises(ColumnsError, match="what"):
        scan(root, reading=Reading(columns=Columns("shot", "sort")))


@pytest.mark.parametrize("unlabelled", [False, True])
def test_columns_without_a_table(tmp_path: Path, unlabelled: bool) -> None:
    photos(tmp_path, "ant/1.jpg", "bee/2.jpg")
    with pytest.raises(UsageError):
        scan(tmp_path, reading=Reading(columns=Columns(label="what"), unlabelled=unlabelled))


def test_columns_of_json(tmp_path: Path) -> None:
    root = photos(tmp_path / "images")
    items = [{"shot": name, "what": [label], "n": 1} for name, label in WANTED.items()]
    lines = table(tmp_path / "t.jsonl", *(json.dumps(item) for item in items))
    whole = write(tmp_path / "t.json", json.dumps(items).encode())
    for file in (lines, whole):
        assert labels_of(scan(root, file, reading=Reading(columns=Columns("shot", "what")))) == WANTED
        with pytest.raises(ColumnsError):
            scan(root, file, reading=Reading(columns=Columns("shot", "sort")))
    with pytest.raises(UsageError):
        scan(root, write(tmp_path / "t.xml", b"<annotations/>"), reading=Reading(columns=Columns("shot")))


# ------------------------------------------------------- a path in two columns


@pytest.mark.parametrize(("folder", "slash"), [("RelativePath", "\\"), ("folder", "/"), ("Directory", "/")])
def test_a_path_in_two_columns_is_joined(tmp_path: Path, folder: str, slash: str) -> None:
    root = photos(tmp_path / "images", "st 1/d1/1.jpg", "st 1/d2/1.jpg", "top.jpg")
    rows = [f"1.jpg,st 1{slash}d1,ant", f"1.jpg,st 1{slash}d2{slash},bee", "top.jpg,,bee"]
    found = scan(root, table(tmp_path / "t.csv", f"File,{folder},Species", *rows))
    assert labels_of(found) == {"st 1/d1/1.jpg": "ant", "st 1/d2/1.jpg": "bee", "top.jpg": "bee"}
    assert found.entries[0].attributes == {folder: f"st 1{slash}d1"}  # to group by
    assert any(repr(folder) in note for note in found.notes)


def test_a_column_of_folders_that_are_not_there_is_no_obstacle(tmp_path: Path) -> None:
    root = photos(tmp_path / "images")
    rows = (f"{name},disk 3,{label}" for name, label in WANTED.items())
    found = scan(root, table(tmp_path / "t.csv", "filename,folder,label", *rows))
    assert labels_of(found) == WANTED and {entry.attributes["folder"] for entry in found.entries} == {"disk 3"}


def test_paths_that_hold_their_folder_are_not_joined(tmp_path: Path) -> None:
    root = photos(tmp_path / "images", "x/a1.jpg", "x/b1.jpg")
    file = table(tmp_path / "t.csv", "path,folder,label", "x/a1.jpg,x,ant", "x\\b1.jpg,x,bee")
    assert labels_of(scan(root, file)) == {"x/a1.jpg": "ant", "x/b1.jpg": "bee"}


def test_what_is_joined_stays_inside(tmp_path: Path) -> None:
    for folder in ("..", "/etc", "a/../..", "C:\\x"):
        with pytest.raises(SourceError):
            read_labels(table(tmp_path / "t.csv", "file,folder,label", f"passwd.jpg,{folder},ant"))


# ------------------------------------------------------- tables without labels


def test_a_table_beside_class_folders_serves_to_group(tmp_path: Path, store: Store) -> None:
    rows = []
    for number in range(24):
        name = f"{'ant' if number % 2 else 'bee'}/{number}.png"
        write(tmp_path / "set" / name, encoded(picture(number)))
        rows.append(f"{name},s{number // 4}")
    table(tmp_path / "set" / "metadata.csv", "file_name,site", *rows)
    found = scan(tmp_path / "set")
    assert found.classes == {"ant", "bee"} and "site" in found.columns
    assert any("metadata.csv" in note and "`label`" in note and "site" in note for note in found.notes)
    before = found.fingerprint
    done = add_dataset(store, "set", tmp_path / "set", group_by="site")
    images = done.version.table()
    assert images.groupby("group")["split"].nunique().max() == 1 and images["group"].nunique() == 6
    table(tmp_path / "set" / "metadata.csv", "file_name,site", *(row.replace("s5", "s4") for row in rows))
    assert scan(tmp_path / "set").fingerprint != before


def test_captions_beside_class_folders_are_no_labels(tmp_path: Path) -> None:
    photos(tmp_path, "ant/1.jpg", "bee/2.jpg")
    table(tmp_path / "metadata.csv", "file_name,tag", "ant/1.jpg,sunny", "bee/2.jpg,rain")
    found = scan(tmp_path)
    assert found.classes == {"ant", "bee"} and {entry.attributes["tag"] for entry in found.entries} == {"sunny", "rain"}


# --------------------------------------------------------------------- preview


def test_a_preview_tells_the_guess(tmp_path: Path) -> None:
    shown = preview_table(table(tmp_path / "t.csv", ",File;x,Species,n", "0,a1.jpg,ant,3", *(["1,b1.jpg,bee,4"] * 9)))
    assert shown is not None and shown.names == ["File;x", "Species", "n"] and not shown.complete
    shown = preview_table(table(tmp_path / "t.csv", "File;Species;n", *(f"{n}.jpg;ant;3" for n in range(99))))
    assert shown is not None and (shown.filename, shown.label, len(shown.rows)) == ("File", "Species", 5)
    assert shown.complete and shown.notes
    shown = preview_table(table(tmp_path / "t.csv", "image_id, ant, bee", "a1, 1, 0"))
    assert shown is not None and (shown.filename, shown.label, shown.classes) == ("image_id", None, ["ant", "bee"])
    assert preview_table(table(tmp_path / "t.csv", "words")) is None


@given(rows=st.lists(st.text("ab,é\n", max_size=30), min_size=1), encoding=st.sampled_from(["utf-8", "utf-16"]))
def test_the_beginning_of_any_table_is_shown(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], encoding: str
) -> None:
    file = write(tmp_path_factory.mktemp("t") / "t.csv", ("filename,label\n" + "\n".join(rows)).encode(encoding))
    shown = preview_table(file, encoding)
    assert shown is not None and (shown.filename, shown.label) == ("filename", "label")

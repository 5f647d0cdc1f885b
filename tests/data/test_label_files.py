"""Label files as spreadsheets and people write them."""

from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.texts import mentions
from workflows.data import texts
from workflows.data.label_files import read_labels
from workflows.data.reasons import UNANSWERED
from workflows.errors import SourceError, UsageError
from workflows.store.files import defuse, undo_defuse


def labels(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "labels.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pairs(path: Path) -> list[tuple[str, str]]:
    return [(row.filename, row.label) for row in read_labels(path).rows]


def test_labels_stay_the_text_they_are(tmp_path: Path) -> None:
    names = ["NA", "None", "null", "nan", "007", "1e5", "True", "-", "1.0", " spaced "]
    content = "filename,label\n" + "".join(f"{number}.jpg,{name}\n" for number, name in enumerate(names))
    assert [label for _, label in pairs(labels(tmp_path, content))] == [name.strip() for name in names]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_dialects(tmp_path: Path, delimiter: str, newline: str, mark: str) -> None:
    lines = [
        delimiter.join(cells) for cells in (["Label", " FileName "], ["a b", "x.jpg"], ["", ""], ['"c, d;"', "y.jpg"])
    ]
    found = read_labels(labels(tmp_path, mark + newline.join(lines)))
    assert [(row.filename, row.label) for row in found.rows] == [("x.jpg", "a b"), ("y.jpg", "c, d;")]
    words = {",": "", ";": "separated by semicolons", "\t": "separated by tabs"}[delimiter]
    assert words in " ".join(found.notes) and bool(found.notes) == bool(words)


def test_other_columns_are_kept_as_attributes(tmp_path: Path) -> None:
    found = read_labels(labels(tmp_path, "filename,label,Plate,split\na.jpg,x,7,Train\nb.jpg,y,,valid\n"))
    assert [(row.attributes, row.split) for row in found.rows] == [({"Plate": "7"}, "train"), ({"Plate": ""}, "val")]
    assert found.columns == ["filename", "label", "Plate", "split"]


def test_repeated_rows_are_folded(tmp_path: Path) -> None:
    found = read_labels(labels(tmp_path, "filename,label\na.jpg,x\n./a.jpg,x\nb.jpg,y\n"))
    assert len(found.rows) == 2 and len(found.notes) == 1 and mentions(found.notes[0], 1)


def test_empty_labels_are_named(tmp_path: Path) -> None:
    found = read_labels(labels(tmp_path, "filename,label\na.jpg,x\nb.jpg, \n"))
    assert found.rejected == {"b.jpg": UNANSWERED} and len(found.rows) == 1


def test_backslashes_are_separators(tmp_path: Path) -> None:
    assert pairs(labels(tmp_path, "filename,label\nsub\\a.jpg,x\n")) == [("sub/a.jpg", "x")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no columns `filename` and `label`"),
        ("a.jpg,cat\nb.jpg,dog\n", r"first line is: 'a\.jpg,cat'"),
        ("filename;label,x\n", "no columns"),
        ("filename,label,label\na,b,c\n", "'label'"),
        ("filename,label\na.jpg,cat,EXTRA\nb.jpg,dog,EXTRA\n", "line 2: 3 .* 2"),
        ("filename,label\na.jpg\n", "line 2: 1 "),
        ("filename,label\n,cat\n", "line 2: .*empty"),
        ("filename,label\na.jpg,cat\na.jpg,dog\n", "line 3: 'a.jpg'.*'dog'.*'cat'"),
        ("filename,label,split\na.jpg,cat,train\na.jpg,cat,val\n", "line 3: 'a.jpg'.*val.*train"),
        ("filename,label,split\na.jpg,cat,holdout\n", "'holdout'"),
        ("filename,label\n../../etc/passwd,cat\n", "line 2: '../../etc/passwd'"),
        ("filename,label\n/etc/passwd,cat\n", "leads outside"),
        ("filename,label\nC:\\x.jpg,cat\n", "leads outside"),
        ("filename,label\n..\\x.jpg,cat\n", "leads outside"),
        ("filename,label\n.,cat\n", "leads outside"),
        ("filename,label\na.jpg,\x1b[31mred\n", "control characters"),
        ('filename,label\na.jpg,"cat\n', "line 3|line 2"),
        ("filename,label\na.jpg,c\0t\n", "NUL"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read_labels(labels(tmp_path, content))


@pytest.mark.parametrize(
    ("encoding", "words"), [("utf-16", "UTF-16"), ("latin-1", "Latin-1"), ("cp1252", "Windows-1252")]
)
def test_other_encodings_are_named_and_can_be_given(tmp_path: Path, encoding: str, words: str) -> None:
    path = labels(tmp_path, "filename,label\nü.jpg,Blüte\n".encode(encoding))
    with pytest.raises(SourceError, match=words) as caught:
        read_labels(path)
    assert "UTF-8" in caught.value.hint and any(name in caught.value.hint for name in (encoding, "latin-1"))
    assert [(row.filename, row.label) for row in read_labels(path, encoding).rows] == [("ü.jpg", "Blüte")]


def test_utf16_without_its_mark(tmp_path: Path) -> None:
    path = labels(tmp_path, "filename,label\na.jpg,x\n".encode("utf-16-le"))
    with pytest.raises(SourceError, match="NUL characters") as caught:
        read_labels(path)
    assert "UTF-16" in caught.value.hint and len(read_labels(path, "utf-16-le").rows) == 1


def test_wrong_encodings_given(tmp_path: Path) -> None:
    path = labels(tmp_path, "filename,label\nü.jpg,x\n")
    for name in ("no-such-code", "rot13", "zip", "a\0b", ""):
        with pytest.raises(UsageError, match="Unknown encoding"):
            read_labels(path, name)
    with pytest.raises(SourceError, match="ascii"):
        read_labels(path, "ascii")


@pytest.mark.parametrize("file", ["filename", "File", "IMAGE", "path", "file_name", "File Name", "image-path"])
@pytest.mark.parametrize("label", ["label", "Class", "CATEGORY", "class name"])
def test_columns_by_what_people_call_them(tmp_path: Path, file: str, label: str) -> None:
    found = read_labels(labels(tmp_path, f"id,{label},{file}\n1,cat,a.jpg\n"))
    assert [(row.filename, row.label, row.attributes) for row in found.rows] == [("a.jpg", "cat", {"id": "1"})]
    assert found.columns == ["id", "label", "filename"]
    said = " ".join(found.notes)
    assert (f"{file!r} as filename" in said) == (file.lower() != "filename")
    assert (f"{label!r} as label" in said) == (label.lower() != "label")


def test_of_several_columns_for_files_one_is_taken(tmp_path: Path) -> None:
    found = read_labels(labels(tmp_path, "path,filename,class,label\n/photos/a.jpg,a.jpg,3,cat\n"))
    assert found.rows[0].attributes == {"path": "/photos/a.jpg", "class": "3"}
    assert (found.rows[0].filename, found.rows[0].label) == ("a.jpg", "cat")


def test_the_line_for_excel_is_skipped(tmp_path: Path) -> None:
    assert pairs(labels(tmp_path, "sep=;\r\nfilename;label\r\na.jpg;x\r\n")) == [("a.jpg", "x")]
    with pytest.raises(SourceError, match="line 3: 3 cells"):
        read_labels(labels(tmp_path, "sep=;\nfilename;label\na.jpg;x;y\n"))


def test_a_label_and_none_for_one_image(tmp_path: Path) -> None:
    for rows in ("a.jpg,x\na.jpg,\n", "a.jpg,\na.jpg,x\n"):
        with pytest.raises(SourceError, match=r"line 3: 'a\.jpg'"):
            read_labels(labels(tmp_path, f"filename,label\n{rows}"))


def test_very_large_files_and_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="field"):
        read_labels(labels(tmp_path, f"filename,label\na.jpg,{'x' * 200_000}\n"))
    monkeypatch.setattr(texts, "MAX_BYTES", 10)
    with pytest.raises(SourceError, match="larger than"):
        read_labels(tmp_path / "labels.csv")


def test_formulas_stay_text(tmp_path: Path) -> None:
    cells = ["=HYPERLINK(1)", "+1", "-1", "@x"]
    content = "filename,label\n" + "".join(f"{n}.jpg,{cell}\n" for n, cell in enumerate(cells))
    assert [label for _, label in pairs(labels(tmp_path, content))] == cells


def test_all_faults_at_once_but_not_endlessly(tmp_path: Path) -> None:
    content = "filename,label\n" + "".join(f"/{number}.jpg,x\n" for number in range(30))
    with pytest.raises(SourceError, match="and 20 more") as caught:
        read_labels(labels(tmp_path, content))
    assert caught.value.message.count("leads outside") == 10
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [f"line {n}" for n in range(2, 32)]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.csv"):
        read_labels(tmp_path / "none.csv")


CELL = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1).map(str.strip)
LABELS = CELL.filter(bool).filter(str.isprintable).map(defuse)


@given(
    rows=st.lists(st.tuples(st.integers(0, 10**6), LABELS), min_size=1, unique_by=lambda row: row[0]),
    delimiter=st.sampled_from(",;\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_spreadsheet_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]], delimiter: str, quoting: int, newline: str
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator=newline)  # type: ignore[arg-type]
    writer.writerow(["filename", "label"])
    writer.writerows([f"{number}.jpg", label] for number, label in rows)
    path = labels(tmp_path_factory.mktemp("csv"), stream.getvalue())
    assert pairs(path) == [
        (f"{number}.jpg", undo_defuse(unicodedata.normalize("NFC", label))) for number, label in rows
    ]


@given(
    content=st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: f"filename,label\n{text}".encode("utf-8", "replace"))
)
def test_any_content_is_read_or_refused_in_words(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    try:
        found = read_labels(labels(tmp_path_factory.mktemp("csv"), content))
    except SourceError as error:
        assert error.message
    else:
        for row in found.rows:
            assert row.label and not row.filename.startswith("/") and ".." not in row.filename.split("/")

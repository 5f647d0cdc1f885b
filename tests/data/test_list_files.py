"""Lists of paths with numbers or labels, and the files of names beside them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.data.archive_files import PHOTO, make_zip, opened
from tests.data.conftest import write
from tests.data.label_tables import NAMES, WANTED, labels_of, photos, table
from workflows.data.reasons import READ
from workflows.data.sources import listing_of, scan
from workflows.errors import SourceError

# ------------------------------------------------------------------ list files


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    photos(tmp_path / "image", *NAMES, "with space.jpg")
    numbers = {name: int(label == "bee") for name, label in WANTED.items()} | {"with space.jpg": 1}
    table(tmp_path / "list.txt", *(f"image\\{name}\t{number}" for name, number in numbers.items()))
    return tmp_path


@pytest.mark.parametrize("names", ["labels.txt", "synsets.txt", "Classes.txt", "wnids.txt"])
@pytest.mark.parametrize("lines", [("ant", "bee"), ("0 ant", "1 bee"), ("1 bee", "0 ant"), ("0: ant", "1: bee")])
def test_numbers_get_their_names(listed: Path, names: str, lines: tuple[str, str]) -> None:
    table(listed / names, *lines)
    if lines == ("1 bee", "0 ant"):  # not in order: these are names
        assert scan(listed, listed / "list.txt").classes == {"1 bee", "0 ant"}
        return
    found = scan(listed, listed / "list.txt")
    wanted = {f"image/{name}": label for name, label in WANTED.items()} | {"image/with space.jpg": "bee"}
    assert labels_of(found) == wanted
    assert any(names in note for note in found.notes)
    assert labels_of(scan(listed)) == wanted  # it is found by itself, too


def test_numbers_without_names_are_the_classes(listed: Path) -> None:
    found = scan(listed, listed / "list.txt")
    assert found.classes == {"0", "1"} and found.notes


def test_other_names_need_another_look(listed: Path) -> None:
    prints = [listing_of(listed, listed / "list.txt")]
    for lines in (("ant", "bee"), ("bee", "ant")):
        table(listed / "labels.txt", *lines)
        prints.append(listing_of(listed, listed / "list.txt"))
    assert len(set(prints)) == 3
    found = scan(listed)
    assert {name for name, why in found.ignored if why == READ} == {"list.txt", "labels.txt"}
    stamps = (listed / "labels.txt").stat()
    table(listed / "labels.txt", "fly", "bug")
    os.utime(listed / "labels.txt", ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    assert scan(listed).fingerprint != found.fingerprint


def test_words_in_a_list_are_the_classes(tmp_path: Path) -> None:
    root = photos(tmp_path / "images")
    table(tmp_path / "labels.txt", "x", "y", "z")
    file = table(tmp_path / "list.txt", *(f"{name} {label}" for name, label in WANTED.items()))
    assert labels_of(scan(root, file)) == WANTED


@pytest.mark.parametrize(
    ("lines", "names", "where"),
    [
        (("a1.jpg 0", "a2.jpg 7"), ("ant", "bee"), "line 2"),
        (("a1.jpg 1", "a2.jpg 2"), ("ant", "bee"), "line 2"),  # counted from 1: not guessed
        (("a1.jpg 0", "", "a2.jpg"), ("ant", "bee"), "line 3"),
        (("a1.jpg 0", "../a2.jpg 1"), ("ant", "bee"), "line 2"),
        (("a1.jpg 0", "a1.jpg 1"), ("ant", "bee"), "line 2"),
        (("a1.jpg 0", "a2.jpg 1"), ("ant", "ant"), "labels.txt"),
    ],
)
def test_faults_of_a_list_are_named_with_their_line(
    tmp_path: Path, lines: tuple[str, ...], names: tuple[str, ...], where: str
) -> None:
    root = photos(tmp_path / "images")
    table(tmp_path / "labels.txt", *names)
    with pytest.raises(SourceError) as caught:
        scan(root, table(tmp_path / "list.txt", *lines))
    assert where in caught.value.message


def test_a_text_file_beside_photos_is_mostly_no_list(tmp_path: Path) -> None:
    photos(tmp_path, "ant/1.jpg", "bee/2.jpg")
    write(tmp_path / "readme.txt", "taken in May, 1.jpg first\n".encode("utf-16"))
    table(tmp_path / "classes.txt", "ant", "bee")
    found = scan(tmp_path)
    assert found.layout == "class-folders" and {"readme.txt", "classes.txt"} == {name for name, _ in found.ignored}
    archive = make_zip(tmp_path / "x.zip", {"roses/1.jpg": PHOTO, "roses/notes.txt": b"x", "tulips/2.jpg": PHOTO})
    with opened(archive, tmp_path / "work") as inside:
        assert inside.classes == {"roses", "tulips"}


def test_a_table_saved_as_text_is_a_table(tmp_path: Path) -> None:
    root = photos(tmp_path / "images")
    rows = (f"{name}\t{label}" for name, label in WANTED.items())
    assert labels_of(scan(root, table(tmp_path / "t.txt", "filename\tlabel", *rows))) == WANTED

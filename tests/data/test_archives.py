"""Sound archives: what is taken from them, how an unpacking goes on, and what is left of it: nothing."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from tests.data.archive_files import (
    KINDS,
    PHOTO,
    TWO_CLASSES,
    RawEntry,
    left,
    make_archive,
    make_zip,
    opened,
    raw_zip,
)
from tests.data.conftest import encoded, picture, tree_state, write
from workflows.data import archives, reasons
from workflows.data.archives import unpacked
from workflows.data.sources import Reading, listing_of, open_source, scan
from workflows.errors import SourceError, StorageError
from workflows.progress import silent


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_is_read_like_the_folder_it_was_made_of(tmp_path: Path, workspace: Path, kind: str) -> None:
    entries = {f"{label}/{n}.png": encoded(picture((label, n))) for label in ("a", "b") for n in range(3)}
    entries |= {"b/notes.txt": b"x", "loose.png": PHOTO}
    for name, content in entries.items():
        write(tmp_path / "folder" / name, content)
    archive = make_archive(tmp_path / f"photos.{kind}", entries)
    before = tree_state(tmp_path)[archive.name]
    folder = scan(tmp_path / "folder")
    with opened(archive, workspace) as found:
        assert (found.source, found.layout) == (archive, "class-folders")
        assert [(e.relative, e.label, e.size) for e in found.entries] == [
            (e.relative, e.label, e.size) for e in folder.entries
        ]
        assert found.ignored == folder.ignored
        assert all(entry.path.read_bytes() == entries[entry.relative] for entry in found.entries)
        assert all(entry.path.is_relative_to(workspace) for entry in found.entries)
    assert left(workspace) == [] and tree_state(tmp_path)[archive.name] == before


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_wrapping_folder_is_seen_through(tmp_path: Path, workspace: Path, kind: str) -> None:
    entries = {f"flowers/{name}": content for name, content in TWO_CLASSES.items()}
    entries |= {"__MACOSX/flowers/a/._1.png": b"x", "README": b"x", "flowers/LICENSE": b"x", "flowers/.DS_Store": b"x"}
    with opened(make_archive(tmp_path / f"flowers.{kind}", entries), workspace) as found:
        assert {entry.relative: entry.label for entry in found.entries} == {"a/1.png": "a", "b/2.png": "b"}
        assert dict(found.ignored) == {
            "__MACOSX/flowers/a/._1.png": reasons.BY_SYSTEM,
            "README": reasons.NO_IMAGE,
            "LICENSE": reasons.NO_IMAGE,
            ".DS_Store": reasons.HIDDEN,
        }


@pytest.mark.parametrize("flags", [0, 0x800])
def test_backslashes_in_a_zip_separate_folders(tmp_path: Path, workspace: Path, flags: int) -> None:
    """As programs on Windows write them, though the format says otherwise; also mixed, and with folders of their own."""
    names = ["set\\a\\1.png", "set\\b\\gr\u00fcn\\2.png", "set/a\\3.png", "set\\photos.csv", "set\\b\\Thumbs.db"]
    entries = [RawEntry(name.encode(), flags=flags) for name in names]
    entries.append(RawEntry(b"set\\a\\", b"", method=zipfile.ZIP_STORED))
    with opened(raw_zip(tmp_path / "x.zip", entries), workspace) as found:
        taken = {entry.relative: entry.label for entry in found.entries}
        assert taken == {"a/1.png": "a", "a/3.png": "a", "b/gr\u00fcn/2.png": "b"}
        assert [name for name, _ in found.ignored] == ["b/Thumbs.db", "photos.csv"]
        assert all(entry.path.read_bytes() == PHOTO for entry in found.entries)
    assert left(workspace) == []


def test_an_old_name_with_backslashes_whose_letters_are_unknown(tmp_path: Path, workspace: Path) -> None:
    """A backslash after a letter of ASCII is one, whatever the encoding is."""
    entries = [RawEntry(name, flags=0) for name in (b"a\\gr\x81n\\1.png", b"b\\2.png")]
    with opened(raw_zip(tmp_path / "x.zip", entries), workspace) as found:
        assert found.classes == {"a", "b"} and {entry.relative.count("/") for entry in found.entries} == {1, 2}


def test_the_level_of_the_classes_in_an_archive(tmp_path: Path, workspace: Path) -> None:
    names = [f"set/{place}/1.png" for place in ("birds/owl", "birds/hen", "fish/cod")]
    archive = make_zip(tmp_path / "set.zip", dict.fromkeys(names, PHOTO))
    with open_source(archive, workspace=workspace, reading=Reading(class_level=2)) as found:
        assert found.classes == {"owl", "hen", "cod"}
        assert found.fingerprint == listing_of(archive, reading=Reading(class_level=2)) != listing_of(archive)


def test_a_table_in_an_archive_is_the_advice(tmp_path: Path, workspace: Path) -> None:
    entries = {"set/images/1.png": PHOTO, "set/images/2.png": PHOTO, "set/kinds.csv": b"pic,what\n1,a\n2,b\n"}
    with pytest.raises(SourceError) as caught, opened(make_zip(tmp_path / "set.zip", entries), workspace):
        pytest.fail("it was opened")
    assert "--labels set/kinds.csv" in caught.value.hint


def test_split_folders_are_no_wrapping(tmp_path: Path, workspace: Path) -> None:
    entries = {f"set/{side}/{name}": PHOTO for side in ("train", "val") for name in TWO_CLASSES}
    with opened(make_zip(tmp_path / "set.zip", entries), workspace) as found:
        assert (found.layout, found.splits, found.classes) == ("split-folders", {"train", "val"}, {"a", "b"})
    only = make_zip(tmp_path / "only.zip", {f"train/{name}": PHOTO for name in TWO_CLASSES})
    with opened(only, workspace) as found:
        assert found.classes == {"a", "b"} and "'train'" in found.notes[0]


def test_every_entry_is_accounted_for(tmp_path: Path, workspace: Path) -> None:
    names = [
        *TWO_CLASSES, "a/train.cache", "a/1.npy", "a/x.pt", "data.yaml", ".ndjson.yaml", "b/.hidden.png", "b/.git/x.png",
        "inner.zip", "a/inner.tar.gz", "Thumbs.db", "b/tab\there.png", "loose.jpg", "a/movie.mp4", "table.csv",
    ]  # fmt: skip
    archive = make_zip(tmp_path / "all.zip", dict.fromkeys(names, PHOTO))
    with opened(archive, workspace) as found:
        listed = [e.relative for e in found.entries] + [name for name, _ in found.ignored + found.rejected]
        assert sorted(listed) == sorted(names)
        unpacked_files = [path.name for path in workspace.rglob("*") if path.is_file() and path.suffix != ".lock"]
        assert sorted(unpacked_files) == ["1.png", "2.png", "loose.jpg", "table.csv"]
        why = dict(found.ignored)
    assert {why[name] for name in ("a/train.cache", "a/1.npy", "a/x.pt", "data.yaml")} == {reasons.CODE}
    assert why["inner.zip"] == why["a/inner.tar.gz"] == reasons.ARCHIVE
    assert why["b/.git/x.png"] == why["b/.hidden.png"] == reasons.HIDDEN
    assert why["b/tab\there.png"] == reasons.CONTROL


def test_missing_archive(tmp_path: Path, workspace: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.zip"), opened(tmp_path / "none.zip", workspace):
        pass
    with pytest.raises(SourceError, match=r"none\.zip"):
        listing_of(tmp_path / "none.zip")


def test_the_kind_is_told_by_the_content(tmp_path: Path, workspace: Path) -> None:
    archive = make_zip(tmp_path / "photos.zip", TWO_CLASSES).rename(tmp_path / "photos.tar.gz")
    with opened(archive, workspace) as found:
        assert found.classes == {"a", "b"}


def test_names_without_the_utf8_mark(tmp_path: Path, workspace: Path) -> None:
    archive = raw_zip(tmp_path / "x.zip", [RawEntry("a/Blüte.png".encode(), flags=0), RawEntry(b"b/2.png")])
    with opened(archive, workspace) as found:
        assert {entry.relative for entry in found.entries} == {"a/Blüte.png", "b/2.png"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_killed_unpacking_is_gone_on_with(
    tmp_path: Path, workspace: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {f"{'ab'[n % 2]}/{n}.png": encoded(picture(n)) for n in range(20)}
    archive = make_archive(tmp_path / f"x.{kind}", entries)
    with monkeypatch.context() as patch:  # a killed process cleans nothing up
        patch.setattr(archives.shutil, "rmtree", lambda *_a, **_k: None)
        with unpacked(archive, workspace, silent) as tree:
            files = sorted(tree.folder.rglob("*.png"))
    for path in files[:7]:
        path.unlink()
    write(files[7], b"half")
    write(tree.folder.parent / "incoming", b"half a photo")
    with opened(archive, workspace) as found:
        assert {entry.relative: entry.path.read_bytes() for entry in found.entries} == entries
        untouched = [path for path in files[8:] if path.stat().st_mtime_ns < files[7].stat().st_mtime_ns]
        assert kind != "zip" or len(untouched) == 12
    assert left(workspace) == []


def test_what_nobody_came_back_for_is_removed(tmp_path: Path, workspace: Path) -> None:
    old = write(workspace / "old-123" / "files" / "a.png", PHOTO).parents[1]
    recent = write(workspace / "recent-123" / "files" / "a.png", PHOTO).parents[1]
    os.utime(old, (0, 0))
    with opened(make_zip(tmp_path / "x.zip", TWO_CLASSES), workspace):
        assert not old.exists() and recent.exists()


def test_two_at_once_wait_for_each_other(tmp_path: Path, workspace: Path) -> None:
    archive = make_zip(tmp_path / "x.zip", TWO_CLASSES)
    with opened(archive, workspace), opened(make_zip(tmp_path / "y.zip", TWO_CLASSES), workspace) as other:
        assert all(entry.path.exists() for entry in other.entries)


def test_disk_too_small(tmp_path: Path, small_disk: Path) -> None:
    entries = {f"{'ab'[n % 2]}/{n}.bmp": os.urandom(300_000) for n in range(6)}
    for kind in ("zip", "tar.gz"):
        archive = make_archive(tmp_path / f"x.{kind}", entries)
        with pytest.raises(StorageError, match="2 MB"), opened(archive, small_disk / "work"):
            pytest.fail("it was opened")
        assert left(small_disk / "work") == []


def test_fingerprint_without_unpacking(tmp_path: Path, workspace: Path) -> None:
    archive = make_zip(tmp_path / "x.zip", TWO_CLASSES)
    with opened(archive, workspace) as found:
        assert found.fingerprint == listing_of(archive)
    prints = {
        listing_of(archive),
        listing_of(archive, reading=Reading(unlabelled=True)),
        listing_of(archive, reading=Reading(encoding="cp1252")),
    }
    os.utime(archive, ns=(0, 12345))
    prints.add(listing_of(archive))
    labels = write(tmp_path / "labels.csv", b"filename,label\n")
    prints.add(listing_of(archive, labels))
    write(labels, b"filename,label\na/1.png,x\n")
    prints.add(listing_of(archive, labels))
    assert len(prints) == 6


def test_label_files_and_archives(tmp_path: Path, workspace: Path) -> None:
    archive = make_zip(
        tmp_path / "x.zip",
        {"set/1.png": PHOTO, "set/sub/2.png": PHOTO, "set/l.csv": b"file,class\n1.png,a\nsub/2.png,b\n"},
    )
    outside = write(tmp_path / "labels.csv", b"filename,label\nset/1.png,a\nsub/2.png,b\n")
    for labels in (outside, Path("set/l.csv"), None):
        with opened(archive, workspace, labels) as found:
            assert {e.relative: e.label for e in found.entries} == {"1.png": "a", "sub/2.png": "b"}
            reason = reasons.NO_IMAGE if labels == outside else "read for the labels"
            assert found.ignored == [("l.csv", reason)]


def test_unlabelled_archive(tmp_path: Path, workspace: Path) -> None:
    archive = make_zip(tmp_path / "x.zip", {"1.png": PHOTO, "deep/er/2.png": PHOTO, "x.txt": b""})
    with opened(archive, workspace, unlabelled=True) as found:
        assert [(e.relative, e.label, e.split) for e in found.entries] == [
            ("1.png", None, None),
            ("deep/er/2.png", None, None),
        ]
        assert (found.layout, found.classes, found.ignored) == (
            "unlabelled",
            set(),
            [("x.txt", reasons.NO_IMAGE)],
        )


def test_progress_and_changes_while_reading(tmp_path: Path, workspace: Path) -> None:
    archive = make_zip(tmp_path / "x.zip", TWO_CLASSES)
    calls: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int, total: int, text: str = "") -> None:
        calls.append((stage, done, total))
        if done:
            os.utime(archive)

    changed = pytest.raises(SourceError, match="changed")
    with changed, open_source(archive, workspace=workspace, progress=progress):
        pytest.fail("it was opened")
    assert calls[-1] == ("unpack", 2, 2) and left(workspace) == []

"""What a folder holds, by its names alone."""

from __future__ import annotations

import os
import shlex
import unicodedata
from pathlib import Path

import pytest

from tests.data.conftest import MakeImages, encoded, picture, write
from tests.texts import mentions, one_mentions
from workflows.data import reasons
from workflows.data.sources import Reading, Scan, scan
from workflows.errors import SourceError, UsageError

ONE = encoded(picture("one"))


def folder(root: Path, *names: str) -> Path:
    """Image files of these names (their content does not matter here)."""
    for name in names:
        write(root / name, ONE)
    return root


def labelled(found: Scan) -> dict[str, str | None]:
    return {entry.relative: entry.label for entry in found.entries}


def ignored(found: Scan) -> dict[str, str]:
    return dict(found.ignored)


def test_class_folders(tmp_path: Path) -> None:
    found = scan(folder(tmp_path, "cat/1.jpg", "cat/deep/er/2.PNG", "dog/1.jpeg", "loose.jpg", "dog/notes.txt"))
    assert found.layout == "class-folders" and found.splits == set()
    assert labelled(found) == {"cat/1.jpg": "cat", "cat/deep/er/2.PNG": "cat", "dog/1.jpeg": "dog"}
    assert ignored(found) == {
        "loose.jpg": reasons.OUTSIDE_CLASSES,
        "dog/notes.txt": reasons.NO_IMAGE,
    }


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Training", "validation", "TESTING"),
        ("train", "valid", "test"),
        ("train", "dev", "test"),
    ],
)
def test_split_folders(tmp_path: Path, train: str, val: str, test: str) -> None:
    names = [f"{side}/{label}/1.jpg" for side in (train, val, test) for label in ("a", "b")]
    found = scan(folder(tmp_path, *names, "other/x.jpg", f"{val}/loose.jpg"))
    assert found.layout == "split-folders"
    assert [(entry.split, entry.label) for entry in found.entries if entry.relative.startswith(val)] == [
        ("val", "a"),
        ("val", "b"),
    ]
    assert len(found.entries) == 6 and found.splits == {"train", "val", "test"}
    assert ignored(found) == {
        "other/x.jpg": reasons.OUTSIDE_SPLITS,
        f"{val}/loose.jpg": reasons.OUTSIDE_CLASSES,
    }


def test_train_and_test_only(tmp_path: Path) -> None:
    assert scan(
        folder(tmp_path, *(f"{side}/{label}/1.jpg" for side in ("train", "test") for label in "ab"))
    ).splits == {"train", "test"}


@pytest.mark.parametrize("extra", [[], ["test/1.jpg", "test/2.jpg"]])
def test_only_the_training_folder_has_classes(tmp_path: Path, extra: list[str]) -> None:
    found = scan(folder(tmp_path, "train/a/1.jpg", "train/b/1.jpg", *extra))
    assert found.splits == set() and found.classes == {"a", "b"}
    assert any("training" in note for note in found.notes)


@pytest.mark.parametrize("sides", [("",), ("train/", "val/")], ids=["class folders", "split folders"])
def test_a_folder_of_unlabelled_images_is_no_class(tmp_path: Path, sides: tuple[str, ...]) -> None:
    """CVAT's and Datumaro's exports as class folders put images without a label into `no_label`."""
    names = [f"{side}{label}/{label}{side[:1]}.png" for side in sides for label in ("a", "b", "no_label")]
    found = scan(folder(tmp_path, *names))
    assert found.classes == {"a", "b"}
    waiting = [entry for entry in found.entries if entry.label is None]
    assert len(waiting) == len(sides) and all(entry.split is None for entry in waiting)
    assert all((entry.split is None) == (len(sides) == 1) for entry in found.entries if entry.label)
    assert one_mentions(found.notes, "no_label")
    with pytest.raises(SourceError, match="'a'"):
        scan(folder(tmp_path / "one", "a/1.png", "no_label/2.png"))


def test_vehicles_may_be_trains(tmp_path: Path) -> None:
    found = scan(folder(tmp_path, "train/1.jpg", "car/1.jpg", "bus/front/1.jpg"))
    assert (found.layout, found.classes) == ("class-folders", {"train", "car", "bus"})


@pytest.mark.parametrize(
    ("names", "named"),
    [
        ([], "no images"),
        (["notes.txt"], "'notes.txt'"),
        (["1.jpg", "2.jpg"], "labelled"),
        (["cat/1.jpg", "cat/2.jpg"], "'cat'"),
        (["train/1.jpg", "val/2.jpg"], "class folders"),
        (["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/c/1.jpg"], "'c'.*training"),
        (["a/1.jpg", "b/1.jpg", "empty/notes.txt"], "'empty'"),
        (["train/a/1.jpg", "train/b/1.jpg", "train/c/x.txt", "val/a/1.jpg"], "'c'.*no images"),
    ],
)
def test_unfit_folders_are_refused_by_name(tmp_path: Path, names: list[str], named: str) -> None:
    with pytest.raises(SourceError, match=named):
        scan(folder(tmp_path, *names))


def test_a_wrapping_folder_is_guessed_in_the_hint(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        scan(folder(tmp_path, "flower_photos/rose/1.jpg", "flower_photos/tulip/1.jpg"))
    assert str(tmp_path / "flower_photos") in caught.value.hint


# Folders in class folders


def test_folders_in_class_folders_belong_to_the_class_and_are_named(tmp_path: Path) -> None:
    found = scan(folder(tmp_path, "cat/1.jpg", "dog/1.jpg", "dog/cat/2.jpg", "dog/cat/deep/3.jpg", "dog/old/4.jpg"))
    assert {entry.label for entry in found.entries if entry.relative.startswith("dog/")} == {"dog"}
    assert found.nested == {"dog/cat": 2, "dog/old": 1}
    (note,) = found.notes
    assert all(words in note for words in ("dog/cat (2)", "dog/old (1)", "'cat'", "--class-level 2"))
    assert not scan(folder(tmp_path / "flat", "a/1.jpg", "b/1.jpg")).notes


def test_the_level_of_the_classes_is_chosen(tmp_path: Path) -> None:
    names = [f"{place}/{n}.jpg" for place in ("birds/owl", "birds/hen", "fish/cod", "fish/eel/big") for n in range(2)]
    folder(tmp_path, *names, "birds/loose.jpg")
    found = scan(tmp_path, reading=Reading(class_level=2))
    assert found.classes == {"owl", "hen", "cod", "eel"} and len(found.entries) == 8
    assert ignored(found) == {"birds/loose.jpg": reasons.OUTSIDE_CLASSES}
    assert found.nested == {"fish/eel/big": 2}
    assert found.fingerprint != scan(tmp_path).fingerprint
    assert scan(tmp_path, reading=Reading(class_level=1)).fingerprint == scan(tmp_path).fingerprint


@pytest.mark.parametrize("sides", [("train", "val"), ("train",)])
def test_levels_count_below_the_folders_of_a_split(tmp_path: Path, sides: tuple[str, ...]) -> None:
    folder(tmp_path, *(f"{side}/{place}/1.jpg" for side in sides for place in ("x/a", "y/b", "y/a")))
    found = scan(tmp_path, reading=Reading(class_level=2))
    assert found.classes == {"a", "b"} and found.splits == (set(sides) if len(sides) > 1 else set())
    assert any("'a' (2 folders)" in note for note in found.notes)


@pytest.mark.parametrize("level", [0, -1, 21])
def test_levels_that_cannot_be(tmp_path: Path, level: int) -> None:
    with pytest.raises(UsageError):
        scan(folder(tmp_path, "x/a/1.jpg", "x/b/1.jpg"), reading=Reading(class_level=level))


def test_a_level_is_for_folders_only(tmp_path: Path) -> None:
    folder(tmp_path, "x/a/1.jpg", "x/b/1.jpg")
    table = write(tmp_path / "labels.csv", b"filename,label\nx/a/1.jpg,p\nx/b/1.jpg,q\n")
    for labels, unlabelled in ((None, True), (table, False)):
        with pytest.raises(UsageError):
            scan(tmp_path, labels, Reading(class_level=2, unlabelled=unlabelled))
    assert scan(tmp_path, reading=Reading(class_level=2)).classes == {"a", "b"}  # the table that lies there isn't meant
    with pytest.raises(SourceError, match="level 3"):
        scan(tmp_path, reading=Reading(class_level=3))


# A table beside the images


@pytest.mark.parametrize(
    ("names", "table", "content"),
    [
        (["images/T_0.jpg", "images/T_1.jpg"], "train.csv", "image_id,rust,scab\nT_0,0.9,0.1\nT_1,0.2,0.8\n"),
        (["image/1.jpg", "image/2.jpg"], "train_list.txt", "0 image\\1.jpg\n1 image\\2.jpg\n"),
        (["1.jpg", "2.jpg"], "which is what.tsv", "pic\tkind\n1.jpg\ta\n2.jpg\tb\n"),
        (["train/1.jpg", "test/2.jpg"], "all.json", '{"1.jpg": 0, "2.jpg": 1}'),
    ],
)
def test_a_table_beside_fewer_than_two_classes_is_the_advice(
    tmp_path: Path, names: list[str], table: str, content: str
) -> None:
    folder(tmp_path, *names)
    write(tmp_path / table, content.encode())
    write(tmp_path / "labels.txt", b"scratch\nhole\n")
    write(tmp_path / "README.txt", b"Pictures of 2 kinds.")
    with pytest.raises(SourceError) as caught:
        scan(tmp_path)
    assert f"--labels {shlex.quote(str(tmp_path / table))}" in caught.value.hint
    assert caught.value.document()["label_file"] == str(tmp_path / table)


@pytest.mark.parametrize(
    ("names", "table", "content", "classes"),
    [
        (
            ["images/T_0.jpg", "images/T_1.jpg"],
            "train.csv",
            "image_id,rust,scab\nT_0,1.0,0.0\nT_1,0.0,1.0\n",
            {"rust", "scab"},
        ),
        (["image/1.jpg", "image/2.jpg"], "train_list.txt", "image\\1.jpg 0\nimage\\2.jpg 1\n", {"scratch", "hole"}),
    ],
)
def test_the_one_table_beside_a_folder_of_images_tells_their_labels(
    tmp_path: Path, names: list[str], table: str, content: str, classes: set[str]
) -> None:
    folder(tmp_path, *names)
    write(tmp_path / table, content.encode())
    write(tmp_path / "labels.txt", b"scratch\nhole\n")
    found = scan(tmp_path)
    assert found.classes == classes
    assert any(table in note for note in found.notes)


def test_no_table_is_advised_that_names_no_image(tmp_path: Path) -> None:
    folder(tmp_path, "images/T_0.jpg", "images/T_1.jpg")
    write(tmp_path / "prices.csv", b"fruit,price\napple,1\n")
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    with pytest.raises(SourceError, match="'images'") as caught:
        scan(tmp_path)
    assert "--labels" not in caught.value.hint


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none"):
        scan(tmp_path / "none")
    with pytest.raises(SourceError, match="is a file"):
        scan(write(tmp_path / "photos.zip", b"PK"))


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = folder(tmp_path / "outside", "secret/1.jpg")
    root = folder(tmp_path / "in", "a/1.jpg", "b/1.jpg")
    (root / "secret").symlink_to(outside / "secret")
    (root / "a" / "2.jpg").symlink_to(outside / "secret" / "1.jpg")
    (root / "a" / "loop").symlink_to(root)
    (root / "b" / "broken.jpg").symlink_to(root / "nothing")
    found = scan(root)
    assert labelled(found) == {"a/1.jpg": "a", "b/1.jpg": "b"}
    assert ignored(found) == dict.fromkeys(["secret", "a/2.jpg", "a/loop", "b/broken.jpg"], reasons.LINK)


def test_foreign_files_are_left_alone_and_reported(tmp_path: Path) -> None:
    root = folder(tmp_path, "a/1.jpg", "b/1.jpg")
    foreign = [
        "__MACOSX/a/._1.jpg", ".thumbs/x.jpg", "a/.hidden.jpg", "train.cache", "a.npy", "a/1.npy", ".ndjson.yaml",
        "data.yaml", "best.pt", "a/x.pkl", "Thumbs.db", "a/1.svg", "photos.zip",
    ]  # fmt: skip
    for name in foreign:
        write(root / name, b"\x80\x04")
    os.mkfifo(root / "a" / "pipe.jpg")
    found = scan(root)
    assert set(labelled(found)) == {"a/1.jpg", "b/1.jpg"}
    why = ignored(found)
    assert set(why) == {"__MACOSX", ".thumbs", "a/pipe.jpg", *foreign[2:]}
    assert {why[name] for name in ("train.cache", "a/1.npy", "best.pt")} == {reasons.CODE}
    assert why["a/pipe.jpg"] == reasons.SPECIAL


def test_names_that_cannot_be_stored(tmp_path: Path) -> None:
    root = folder(tmp_path, "a/1.jpg", "b/1.jpg")
    write(root / "a" / os.fsdecode(b"\xff.jpg"), ONE)
    write(root / "a" / "line\nbreak.jpg", ONE)
    assert ignored(scan(root)) == {
        "a/\\xff.jpg": reasons.NOT_UTF8,
        "a/line\nbreak.jpg": reasons.CONTROL,
    }


def test_very_deep_folders(tmp_path: Path) -> None:
    root = folder(tmp_path, "a/1.jpg", "b/1.jpg", "a/" + "d/" * 40 + "deep.jpg")
    found = scan(root)
    assert len(found.entries) == 2
    assert [reason for _, reason in found.ignored] == [reasons.too_deep(20)]


def test_class_names_are_composed_unicode(tmp_path: Path) -> None:
    """macOS stores `é` as two characters, Linux as one: the class is the same."""
    names = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    found = scan(folder(tmp_path, f"{names[0]}/1.jpg", f"{names[1]}/2.jpg", "tea/1.jpg"))
    assert found.classes == {"café", "tea"}
    assert [entry.relative for entry in found.entries] == ["café/1.jpg", "café/2.jpg", "tea/1.jpg"]


def test_case_of_classes_is_noted(tmp_path: Path) -> None:
    found = scan(folder(tmp_path, "Dog/1.jpg", "dog/1.jpg"))
    assert found.classes == {"Dog", "dog"}
    assert len(found.notes) == 1 and mentions(found.notes[0], "Dog", "dog")


def csv(root: Path, text: str, name: str = "labels.csv") -> Path:
    return write(root / name, text.encode())


def test_label_file(tmp_path: Path) -> None:
    folder(tmp_path, "1.jpg", "sub/2.jpg", "3.jpg", "extra.jpg")
    labels = csv(
        tmp_path,
        "filename,label,plate\n1.jpg,a,p1\nsub/2.jpg,b,p2\n3.jpg,\nmissing.jpg,a,\n".replace("3.jpg,\n", "3.jpg,,\n"),
    )
    found = scan(tmp_path, labels)
    assert (found.layout, labelled(found)) == ("labels-csv", {"1.jpg": "a", "sub/2.jpg": "b"})
    assert found.entries[0].attributes == {"plate": "p1"}
    assert dict(found.rejected) == {
        "3.jpg": reasons.UNANSWERED,
        "missing.jpg": reasons.MISSING,
    }
    assert ignored(found) == {"extra.jpg": reasons.UNNAMED}


def test_label_file_beside_the_folder(tmp_path: Path) -> None:
    folder(tmp_path / "images", "1.jpg", "2.jpg")
    labels = csv(tmp_path, "filename,label\nimages/1.jpg,a\n2.jpg,b\n")
    assert labelled(scan(tmp_path / "images", labels)) == {"1.jpg": "a", "2.jpg": "b"}
    with pytest.raises(SourceError, match=r"'1\.jpg'.*'a', 'b'"):
        scan(tmp_path / "images", csv(tmp_path, "filename,label\nimages/1.jpg,a\n1.jpg,b\n"))


def test_label_file_that_names_a_link_or_a_foreign_file(tmp_path: Path) -> None:
    folder(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "link.jpg").symlink_to("/etc/passwd")
    write(tmp_path / "x.npy", b"")
    found = scan(tmp_path, csv(tmp_path, "filename,label\n1.jpg,a\n2.jpg,b\nlink.jpg,a\nx.npy,b\n"))
    assert dict(found.rejected)["link.jpg"] == reasons.LINK
    assert dict(found.rejected)["x.npy"] == reasons.CODE
    assert found.ignored == []


def test_label_file_with_splits(tmp_path: Path) -> None:
    folder(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    found = scan(tmp_path, csv(tmp_path, "filename,label,split\n1.jpg,a,train\n2.jpg,b,train\n3.jpg,b,val\n"))
    assert found.splits == {"train", "val"}
    with pytest.raises(SourceError, match="1 of 3"):
        scan(tmp_path, csv(tmp_path, "filename,label,split\n1.jpg,a,train\n2.jpg,b,train\n3.jpg,b,\n"))
    with pytest.raises(SourceError, match="`train`"):
        scan(tmp_path, csv(tmp_path, "filename,label,split\n1.jpg,a,val\n2.jpg,b,test\n"))


def test_label_file_with_a_class_that_is_never_taught(tmp_path: Path) -> None:
    folder(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    with pytest.raises(SourceError, match=r"'c'.*training"):
        scan(tmp_path, csv(tmp_path, "filename,label,split\n1.jpg,a,train\n2.jpg,b,train\n3.jpg,c,val\n"))


def test_label_file_of_another_folder(tmp_path: Path) -> None:
    folder(tmp_path, "1.jpg")
    with pytest.raises(SourceError, match="label file") as caught:
        scan(tmp_path, csv(tmp_path, "filename,label\nx.jpg,a\ny.jpg,b\n"))
    assert "x.jpg" in caught.value.message and "1.jpg" in caught.value.message
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["x.jpg", "y.jpg"]


def test_fingerprint_sees_every_change(make_images: MakeImages) -> None:
    root = make_images(a=3, b=3)
    prints = [scan(root).fingerprint]
    assert scan(root).fingerprint == prints[0]
    os.utime(root / "a" / "0.png", ns=(0, 12345))
    prints.append(scan(root).fingerprint)
    (root / "a" / "1.png").rename(root / "b" / "new.png")
    prints.append(scan(root).fingerprint)
    (root / "b" / "new.png").unlink()
    prints.append(scan(root).fingerprint)
    assert len(set(prints)) == 4

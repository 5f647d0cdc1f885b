"""Copies, contradicting labels, and leaks between the splits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.data.audit.pictures import audited, found, keys, photo
from tests.data.conftest import encoded, write
from tests.texts import mentions
from workflows.data.audit.findings import Finding
from workflows.data.audit.run import audit, scores
from workflows.data.catalog import get_version
from workflows.data.importing import add_dataset
from workflows.store.store import Store


def groups_of(store: Store, finding: Finding, name: str = "set") -> set[frozenset[str]]:
    """The groups of a finding by their paths."""
    paths = get_version(store, name).table().set_index("image_id")["path"]
    return {frozenset(paths[list(group)]) for group in finding.facts["groups"]}


def large(seed: int) -> Image.Image:
    return photo(seed, size=(160, 120))


def stored_anew(image: Image.Image) -> bytes:
    return encoded(image.resize((image.width // 2, image.height // 2)), "JPEG", quality=60)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """24 pictures of two classes, no two alike."""
    for number in range(24):
        write(tmp_path / "set" / "ab"[number % 2] / f"{number:02}.png", encoded(large(number)))
    return tmp_path / "set"


def test_no_duplicates_no_findings(store: Store, source: Path) -> None:
    assert keys(audited(store, source)) == {}
    table = scores(store, get_version(store, "set"))
    assert (table["exact_duplicate_score"] == 1).all() and (table["near_duplicate_score"] == 1).all()
    assert not table.filter(like="is_").to_numpy().any()


def test_copies_are_found_and_where_they_are(store: Store, source: Path) -> None:
    shutil.copy(source / "a/00.png", source / "a/copy.png")
    write(source / "b/small.jpg", stored_anew(large(1)))
    report = audited(store, source)
    exact, near = found(report, "exact-duplicates"), found(report, "near-duplicates")
    assert groups_of(store, exact) == {frozenset({"a/00.png", "a/copy.png"})}
    assert groups_of(store, near) == {frozenset({"b/01.png", "b/small.jpg"})}
    assert (exact.severity, exact.facts["surplus"], near.facts["surplus"]) == ("info", 1, 1)
    assert report.find("leak-exact") is report.find("leak-near") is report.find("two-labels") is None
    table = scores(store, get_version(store, "set"))
    assert (table["is_exact_duplicate"].sum(), table["is_near_duplicate"].sum()) == (2, 2)


def test_a_picture_under_two_labels_is_a_warning(store: Store, source: Path) -> None:
    shutil.copy(source / "a/00.png", source / "b/same.png")
    write(source / "a/small.jpg", stored_anew(large(1)))
    report = audited(store, source)
    exact, near = found(report, "two-labels"), found(report, "near-two-labels")
    assert groups_of(store, exact) == {frozenset({"a/00.png", "b/same.png"})}
    assert groups_of(store, near) == {frozenset({"b/01.png", "a/small.jpg"})}
    assert (exact.severity, near.severity, report.errors) == ("warning", "warning", ())
    assert exact.repair is not None and near.repair is None


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    """120 different pictures that came divided: 80 to train, 20 to val, 20 to test."""
    for number in range(120):
        split = "train" if number < 80 else "val" if number < 100 else "test"
        write(tmp_path / "set" / split / "ab"[number % 2] / f"{number:03}.png", encoded(large(number)))
    return tmp_path / "set"


def test_an_exact_leak_is_an_error(store: Store, divided: Path) -> None:
    shutil.copy(divided / "val/a/080.png", divided / "train/a/x.png")
    report = audited(store, divided)
    leak = found(report, "leak-exact")
    assert leak.severity == "error" and report.find("leak-near") is None
    assert mentions(leak.explanation, "validation in training") and "test in" not in leak.explanation
    assert groups_of(store, leak) == {frozenset({"val/a/080.png", "train/a/x.png"})}


def test_near_leaks_are_errors_from_two_and_one_percent_on(store: Store, divided: Path) -> None:
    write(divided / "train/b/x.jpg", stored_anew(large(101)))
    few = found(audited(store, divided, "few"), "leak-near")
    assert (few.severity, few.count, few.facts["copies"]) == ("warning", 1, 1)
    write(divided / "val/a/y.jpg", stored_anew(large(102)))
    leak = found(audited(store, divided), "leak-near")
    assert (leak.severity, leak.count, leak.score) == ("error", 2, round(2 / 41, 5))
    assert mentions(leak.explanation, "test", "training", "validation")
    assert groups_of(store, leak) == {
        frozenset({"train/b/x.jpg", "test/b/101.png"}),
        frozenset({"val/a/y.jpg", "test/a/102.png"}),
    }


def test_a_split_of_our_own_has_no_leaks(store: Store, tmp_path: Path) -> None:
    for number in range(60):
        write(tmp_path / "set" / "ab"[number % 2] / f"{number}.png", encoded(large(number)))
        if number % 2:
            write(tmp_path / "set" / "b" / f"{number}.jpg", stored_anew(large(number)))
    report = audited(store, tmp_path / "set")
    assert found(report, "near-duplicates").count == 60
    assert report.find("leak-near") is None
    table = get_version(store, "set").table()
    assert (table.groupby(table["path"].str.split(".").str[0])["split"].nunique() == 1).all()


@pytest.mark.slow
def test_flowers_hold_one_picture_under_two_labels_and_three_pairs(store: Store, shared: Path) -> None:
    """The known faults of the real set, and no others."""
    add_dataset(store, "set", shared / "data" / "flowers")
    report = audit(store, get_version(store, "set"))
    twice = found(report, "two-labels")
    name = "15922772266_1167a06620.jpg"
    assert groups_of(store, twice) == {frozenset({f"roses/{name}", f"tulips/{name}"})}
    assert twice.severity == "warning" and report.errors == ()
    assert groups_of(store, found(report, "exact-duplicates")) == {
        frozenset({f"roses/{name}", f"tulips/{name}"}),
        frozenset({"sunflowers/14889392928_9742aed45b_m.jpg", "sunflowers/15066430311_fb57fa92b0_m.jpg"}),
        frozenset({"sunflowers/15069459615_7e0fd61914_n.jpg", "sunflowers/15072973261_73e2912ef2_n.jpg"}),
    }
    near = groups_of(store, found(report, "near-duplicates"))
    assert len(near) == 23
    assert frozenset({"roses/1775233884_12ff5a124f.jpg", "roses/2093263381_afd51358a3.jpg"}) in near
    assert report.find("leak-near") is report.find("near-two-labels") is None


@pytest.mark.parametrize("way", ["as they are", "stored anew"])
def test_validation_flowers_that_stand_in_train_are_an_error(
    store: Store, shared: Path, tmp_path: Path, way: str
) -> None:
    for label in ("daisy", "roses"):
        paths = sorted((shared / "data" / "flowers" / label).glob("*.jpg"))[::8]
        for number, path in enumerate(paths):
            split = "val" if number % 4 == 0 else "train"
            write(tmp_path / "set" / split / label / path.name, path.read_bytes())
            if number % 20 == 0:
                content = path.read_bytes()
                if way == "stored anew":
                    with Image.open(path) as image:
                        content = stored_anew(image.convert("RGB"))
                write(tmp_path / "set" / "train" / label / f"again {number}.jpg", content)
    leak = found(audited(store, tmp_path / "set"), "leak-exact" if way == "as they are" else "leak-near")
    assert leak.severity == "error"
    again = {path for group in groups_of(store, leak) for path in group if "again" in path}
    assert len(again) == leak.count == len(list((tmp_path / "set").rglob("again*")))

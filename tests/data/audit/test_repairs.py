"""Repairs: each makes a version in which the finding is gone, and takes photos away where they matter least."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.data.audit.pictures import audited, found, keys, photo, photos
from tests.data.conftest import encoded, write
from tests.texts import mentions
from workflows.data.audit.findings import AuditReport
from workflows.data.audit.repairs import REPAIRS, carry_out, fix, plan_repair
from workflows.data.audit.run import audit
from workflows.data.catalog import get_version
from workflows.data.edits import remove
from workflows.data.undoing import undo
from workflows.data.version import DatasetVersion
from workflows.errors import DatasetError
from workflows.store.store import Store


def given_split(folder: Path) -> Path:
    """Twelve photos of two classes each to train on, six to validate, six to test."""
    photos(folder / "train", cats=12, dogs=12)
    photos(folder / "val", seed=1, cats=6, dogs=6)
    photos(folder / "test", seed=2, cats=6, dogs=6)
    return folder


def copy(folder: Path, source: str, target: str) -> None:
    """Copy a file of the folder."""
    shutil.copyfile(folder / source, folder / target)


def paths(version: DatasetVersion) -> set[str]:
    """The places of all images."""
    return set(version.table()["path"])


def again(store: Store, version: DatasetVersion) -> AuditReport:
    """The audit of a version."""
    return audit(store, version)


def test_copies_leave_and_one_of_each_set_stays(store: Store, tmp_path: Path) -> None:
    source = given_split(tmp_path / "set")
    copy(source, "train/cats/000001.png", "train/cats/copy-1.png")
    copy(source, "train/cats/000001.png", "train/cats/copy-2.png")
    copy(source, "val/dogs/001007.png", "val/dogs/copy.png")
    report = audited(store, source)
    assert found(report, "exact-duplicates").count == 5
    fixed = fix(store, "set", "exact-duplicates", author="Ada")
    assert paths(get_version(store, "set", 1)) - paths(fixed) == {
        "train/cats/copy-1.png",
        "train/cats/copy-2.png",
        "val/dogs/copy.png",
    }
    assert (fixed.action, fixed.author, fixed.parent) == ("fix", "Ada", 1)
    assert mentions(fixed.reason, "exact-duplicates", 3)
    assert "exact-duplicates" not in keys(again(store, fixed))
    assert paths(undo(store, "set")) == paths(get_version(store, "set", 1))


def test_a_leak_is_mended_in_train_alone(store: Store, tmp_path: Path) -> None:
    source = given_split(tmp_path / "set")
    copy(source, "val/cats/001001.png", "train/cats/leak.png")
    copy(source, "test/dogs/002007.png", "train/dogs/leak.png")
    copy(source, "test/dogs/002008.png", "val/dogs/leak.png")
    report = audited(store, source)
    assert keys(report)["leak-exact"] == "error"
    fixed = fix(store, "set", "leak-exact")
    assert paths(get_version(store, "set", 1)) - paths(fixed) == {
        "train/cats/leak.png",
        "train/dogs/leak.png",
        "val/dogs/leak.png",
    }
    assert again(store, fixed).errors == ()


def test_a_leak_of_photos_stored_anew_is_mended_too(store: Store, tmp_path: Path) -> None:
    source = given_split(tmp_path / "set")
    for number in (1001, 1002, 1003):
        large = photo(number, size=(192, 160))
        write(source / "val" / "cats" / f"{number:06d}.png", encoded(large))
        write(source / "train" / "cats" / f"leak-{number}.jpg", encoded(large.resize((96, 80)), "JPEG", quality=85))
    report = audited(store, source)
    assert keys(report)["leak-near"] == "error"
    fixed = fix(store, "set", "leak-near")
    gone = paths(get_version(store, "set", 1)) - paths(fixed)
    assert gone == {f"train/cats/leak-{number}.jpg" for number in (1001, 1002, 1003)}
    assert again(store, fixed).errors == ()


def test_a_picture_under_two_labels_leaves_both(store: Store, tmp_path: Path) -> None:
    source = photos(tmp_path / "set", cats=14, dogs=14)
    copy(source, "cats/000001.png", "dogs/same.png")
    copy(source, "cats/000002.png", "cats/copy.png")
    report = audited(store, source)
    assert keys(report)["two-labels"] == "warning"

    plan = plan_repair(store, "set", "exact-duplicates")
    assert len(plan.remove) == 1  # which label is right is no matter of copies
    assert plan.left == 2

    fixed = fix(store, "set", "two-labels")
    gone = paths(get_version(store, "set", 1)) - paths(fixed)
    assert gone == {"cats/000001.png", "dogs/same.png"}
    assert "two-labels" not in keys(again(store, fixed))


def test_blank_and_tiny_pictures_leave(store: Store, tmp_path: Path) -> None:
    source = photos(tmp_path / "set", cats=14, dogs=14)
    write(source / "cats" / "blank.png", encoded(photo(1, gain=0.0)))
    write(source / "dogs" / "tiny.png", encoded(photo(2, size=(20, 16))))
    audited(store, source)
    assert "cats/blank.png" not in paths(fix(store, "set", "blank"))
    assert "dogs/tiny.png" not in paths(fix(store, "set", "tiny"))


def test_classes_of_nearly_the_same_name_become_the_larger(store: Store, tmp_path: Path) -> None:
    photos(tmp_path / "set", **{"Oxeye Daisy": 12, "oxeye_daisy": 14, "rose": 13})
    audited(store, tmp_path / "set")
    fixed = fix(store, "set", "similar-class-names")
    assert fixed.classes == ("oxeye_daisy", "rose")
    assert fixed.images == 39
    assert mentions(fixed.reason, "similar-class-names", "'Oxeye Daisy'", "'oxeye_daisy'")


def test_what_has_no_safe_repair_says_what_a_person_can_do(store: Store, tmp_path: Path) -> None:
    audited(store, photos(tmp_path / "set", cats=20, dogs=5))
    with pytest.raises(DatasetError, match="tiny-class") as caught:
        fix(store, "set", "tiny-class")
    assert "Add photos" in caught.value.hint
    with pytest.raises(DatasetError, match="'blank'") as caught:
        fix(store, "set", "blank")
    assert "tiny-class" in caught.value.hint


def test_a_repair_that_would_empty_a_class_is_refused(store: Store, tmp_path: Path) -> None:
    source = given_split(tmp_path / "set")
    for path in sorted((source / "val" / "cats").iterdir()):
        copy(source, f"val/cats/{path.name}", f"train/cats/leak-{path.name}")
    for path in sorted((source / "test" / "cats").iterdir()):
        copy(source, f"test/cats/{path.name}", f"train/cats/leak-{path.name}")
    for number in (1, 2, 3):
        (source / "train" / "cats" / f"00000{number}.png").unlink()
    audited(store, source)
    with pytest.raises(DatasetError, match=r"12 of 21 train .*'cats'"):
        fix(store, "set", "leak-exact")
    assert get_version(store, "set").number == 1


def test_a_plan_is_not_carried_out_on_another_version(store: Store, tmp_path: Path) -> None:
    source = photos(tmp_path / "set", cats=14, dogs=14)
    copy(source, "cats/000001.png", "cats/copy.png")
    audited(store, source)
    plan = plan_repair(store, "set", "exact-duplicates")
    table: pd.DataFrame = get_version(store, "set").table()
    remove(store, "set", table.loc[table["path"] == "dogs/000020.png", "image_id"])
    with pytest.raises(DatasetError, match="changed"):
        carry_out(store, plan)


def test_findings_promise_a_repair_exactly_where_there_is_one(store: Store, tmp_path: Path) -> None:
    source = given_split(tmp_path / "set")
    copy(source, "train/cats/000001.png", "val/cats/leak.png")
    copy(source, "train/cats/000002.png", "train/dogs/other.png")
    write(source / "train" / "cats" / "blank.png", encoded(photo(1, gain=0.0)))
    write(source / "train" / "cats" / "large.png", encoded(photo(2, size=(480, 400))))
    report = audited(store, source)
    assert len(report.findings) >= 5
    for finding in report.findings:
        assert (finding.repair is not None) == (finding.key in REPAIRS or finding.key == "similar-class-names")

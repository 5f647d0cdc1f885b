"""Checks of the classes: their sizes, names and splits, and what an import left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.data.audit.pictures import audited, found, keys, photo, photos
from tests.data.conftest import encoded, write
from tests.texts import mentions
from workflows.data.audit.balance import folded_name, similar_names
from workflows.data.audit.run import audit
from workflows.data.catalog import get_version
from workflows.data.edits import remove
from workflows.store.store import Store


def test_nothing_is_said_of_a_sound_set(store: Store, tmp_path: Path) -> None:
    report = audited(store, photos(tmp_path / "sound", cats=12, dogs=14))
    assert keys(report) == {}
    assert report.images == 26


def test_tiny_classes_are_a_warning_and_hopeless_ones_an_error(store: Store, tmp_path: Path) -> None:
    report = audited(store, photos(tmp_path / "few", cats=20, dogs=9))
    finding = found(report, "tiny-class")
    assert (finding.severity, finding.count, finding.facts["classes"]) == ("warning", 9, {"dogs": 9})
    assert mentions(finding.title, 1, "'dogs' 9")

    report = audited(store, photos(tmp_path / "fewer", cats=20, dogs=3), name="fewer")
    finding = found(report, "tiny-class")
    assert (finding.severity, finding.facts["training"]) == ("error", {"dogs": 1})
    assert finding.repair is None


def test_imbalance_is_told_and_from_ten_on_warned_of(store: Store, tmp_path: Path) -> None:
    mild = found(audited(store, photos(tmp_path / "mild", cats=40, dogs=12), "mild"), "class-imbalance")
    assert (mild.severity, mild.score, mild.threshold) == ("info", 3.33, 3.0)
    strong = found(audited(store, photos(tmp_path / "strong", cats=101, dogs=10), "strong"), "class-imbalance")
    assert (strong.severity, strong.score, strong.facts["classes"]) == ("warning", 10.1, {"cats": 101, "dogs": 10})
    assert "class_weighting" in strong.advice


def test_a_class_absent_from_a_given_split(store: Store, tmp_path: Path) -> None:
    photos(tmp_path / "given" / "train", cats=12, dogs=12)
    photos(tmp_path / "given" / "val", seed=1, cats=5, dogs=5)
    photos(tmp_path / "given" / "test", seed=2, cats=5)
    finding = found(audited(store, tmp_path / "given"), "absent-class")
    assert (finding.severity, finding.facts["absent"]) == ("warning", {"test": ["dogs"]})


def test_a_class_that_is_never_taught_is_an_error(store: Store, tmp_path: Path) -> None:
    photos(tmp_path / "given" / "train", cats=12, dogs=12, foxes=2)
    photos(tmp_path / "given" / "val", seed=1, cats=5, dogs=5, foxes=5)
    assert "absent-class" not in keys(audited(store, tmp_path / "given"))
    table = get_version(store, "set").table()
    taught = table[(table["label"] == "foxes") & (table["split"] == "train")]
    finding = found(audit(store, remove(store, "set", taught["image_id"])), "absent-class")
    assert (finding.severity, finding.facts["absent"]) == ("error", {"train": ["foxes"]})


def test_class_names_written_in_several_ways(store: Store, tmp_path: Path) -> None:
    photos(tmp_path / "names", **{"Oxeye Daisy": 14, "oxeye_daisy": 12, "rose": 13})
    finding = found(audited(store, tmp_path / "names"), "similar-class-names")
    assert (finding.severity, finding.facts["classes"]) == ("warning", [["Oxeye Daisy", "oxeye_daisy"]])
    assert finding.count == 12
    assert re.findall("'(.*?)'", finding.repair) == ["oxeye_daisy", "Oxeye Daisy"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Dog", "dog ", True),
        ("oxeye daisy", "Oxeye-Daisy", True),
        ("ﬁg", "FIG", True),
        ("class 1", "class_1", True),
        ("zero\u200bwidth", "zerowidth", True),
        ("cafe\u0301", "café", True),
        ("cat", "cats", False),
        ("1.5", "15", False),
        ("-1", "1", False),
        ("C", "C++", False),
        ("C#", "C", False),
        ("10-20", "1020", False),
    ],
)
def test_what_counts_as_the_same_name(one: str, other: str, same: bool) -> None:
    assert (folded_name(one) == folded_name(other)) is same


def test_single_letters_may_be_classes_of_their_own(store: Store, tmp_path: Path) -> None:
    assert similar_names({"a": 3, "A": 5, "b": 1}) == [["A", "a"]]
    finding = found(audited(store, photos(tmp_path / "letters", **{"a": 12, "A": 12})), "similar-class-names")
    assert (finding.severity, finding.repair) == ("info", None)


def test_what_was_left_out_is_told(store: Store, tmp_path: Path) -> None:
    source = photos(tmp_path / "mixed", cats=12, dogs=12)
    write(source / "cats" / "broken.jpg", b"\xff\xd8\xff no photo")
    finding = found(audited(store, source), "rejected-files")
    assert (finding.severity, finding.score) == ("warning", 0.04)
    assert finding.facts["files"][0][0] == "cats/broken.jpg"


def test_a_rare_broken_file_is_only_told(store: Store, tmp_path: Path) -> None:
    source = photos(tmp_path / "mixed", cats=60, dogs=60)
    write(source / "cats" / "broken.png", encoded(photo(1))[:50])
    assert found(audited(store, source), "rejected-files").severity == "info"

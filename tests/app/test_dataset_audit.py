"""`dataset audit`, `dataset fix` and `train --allow`, as a person types them."""

from __future__ import annotations

import html
import shutil
from pathlib import Path

import pytest

from tests.data.audit.pictures import photos
from tests.processes import fieldguide


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """The home of a data set `leaky`: one validation photo stands in train too."""
    source = tmp_path / "source"
    photos(source / "train", cats=20, dogs=20)
    photos(source / "val", seed=1, cats=9, dogs=9)
    photo = sorted((source / "val" / "cats").iterdir())[0]
    shutil.copyfile(photo, source / "train" / "cats" / "copy.png")
    assert fieldguide(tmp_path / "home", "dataset", "add", "leaky", source).code == 0
    return tmp_path / "home"


def test_an_audit_is_read_mended_and_passed(leaky: Path) -> None:
    shown = fieldguide(leaky, "dataset", "audit", "leaky")
    assert shown.code == 0
    assert "1 error" in shown.stdout
    assert "fieldguide dataset fix leaky leak-exact" in shown.stdout
    assert "--allow leak-exact" in shown.stdout
    assert fieldguide(leaky, "dataset", "audit", "leaky", "--strict").code == 1

    closely = fieldguide(leaky, "dataset", "audit", "leaky", "--finding", "leak-exact")
    assert "train/cats/copy.png" in closely.stdout
    document = fieldguide(leaky, "dataset", "audit", "leaky", "--finding", "leak-exact", "--json").document
    assert [(image["path"], image["group"]) for image in document["images"]] == [
        ("train/cats/copy.png", 1),
        ("val/cats/001001.png", 1),
    ]

    stopped = fieldguide(leaky, "train", "leaky", "--weights", "none", "--device", "cpu", "--json")
    assert stopped.code == 1
    assert "leak-exact" in stopped.document["error"]
    assert "--allow leak-exact" in stopped.document["hint"]

    planned = fieldguide(leaky, "dataset", "fix", "leaky", "leak-exact", "--dry-run")
    assert "1 training photo" in planned.stdout
    assert fieldguide(leaky, "dataset", "show", "leaky", "--json").document["version"] == 1
    mended = fieldguide(leaky, "dataset", "fix", "leaky", "leak-exact", "--json").document
    assert (mended["version"], mended["images"], len(mended["removed"])) == (2, 58, 1)
    report = fieldguide(leaky, "dataset", "audit", "leaky", "--json", "--strict")
    assert report.code == 0
    assert report.document["counts"]["error"] == 0


def test_an_unknown_finding_is_answered_with_those_there_are(leaky: Path) -> None:
    asked = fieldguide(leaky, "dataset", "audit", "leaky", "--finding", "blank")
    assert asked.code == 1
    assert "leak-exact" in asked.stderr
    asked = fieldguide(leaky, "dataset", "fix", "leaky", "blank")
    assert asked.code == 1
    assert "leak-exact" in asked.stderr


@pytest.mark.slow
def test_a_run_in_spite_of_an_error_says_so_in_its_result_and_report(leaky: Path) -> None:
    options = ("--weights", "none", "--size", 32, "--epochs", 1, "--device", "cpu", "--seed", 0)
    trained = fieldguide(leaky, "train", "leaky", *options, "--allow", "leak-exact", "--json")
    assert trained.code == 0, trained.stderr
    findings = {finding["key"]: finding for finding in trained.document["findings"]}
    assert findings["leak-exact"]["severity"] == "error"
    report = Path(trained.document["artifacts"]["report"]).read_text()
    assert findings["leak-exact"]["title"] in html.unescape(report)
    assert "audit: error: 1 photo" in trained.stderr

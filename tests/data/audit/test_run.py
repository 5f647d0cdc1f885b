"""The walk over the checks: made once for a version, kept beside it, made again when it must be."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.data.audit.pictures import audited, keys, photo, photos
from tests.data.conftest import encoded, write
from workflows.data.audit import run
from workflows.data.audit.findings import AuditReport
from workflows.data.audit.gate import noted, refuse_errors
from workflows.data.audit.run import AUDIT_FILE, SCORES_FILE, audit, scores
from workflows.data.catalog import get_version
from workflows.errors import DatasetError
from workflows.store.store import Store


def refuse(*_: object) -> None:
    """Stands in for looking again."""
    raise AssertionError("looked again")


def test_a_report_is_kept_and_read_again(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = audited(store, photos(tmp_path / "set", cats=20, dogs=5))
    version = get_version(store, "set")
    monkeypatch.setattr(run, "audit_input", refuse)
    assert audit(store, version) == report
    assert len(scores(store, version)) == 25
    with pytest.raises(AssertionError, match="looked again"):
        audit(store, version, refresh=True)


@pytest.mark.parametrize("damage", ["other code", "cut", "no scores", "other keys"])
def test_what_is_kept_is_made_again_where_it_can_not_be_used(store: Store, tmp_path: Path, damage: str) -> None:
    report = audited(store, photos(tmp_path / "set", cats=20, dogs=5))
    version = get_version(store, "set")
    kept = version.folder / AUDIT_FILE
    document = json.loads(kept.read_text())
    if damage == "other code":
        kept.write_text(json.dumps({**document, "audit_version": 0, "findings": []}))
    elif damage == "cut":
        kept.write_text(kept.read_text()[:100])
    elif damage == "no scores":
        (version.folder / SCORES_FILE).unlink()
    else:
        kept.write_text(json.dumps({**document, "findings": [{"key": "x"}]}))
    made = audit(store, version)
    assert [finding.key for finding in made.findings] == [finding.key for finding in report.findings]
    assert (version.folder / SCORES_FILE).exists()


def test_an_audit_removes_what_a_killed_one_left_and_nothing_else(store: Store, tmp_path: Path) -> None:
    audited(store, photos(tmp_path / "set", cats=20, dogs=5))
    version = get_version(store, "set")
    left = [version.folder / name for name in (".audit.0123abcd.tmp.json", ".audit.0123abcd.tmp.parquet")]
    written_by_others = version.folder / ".suspects.0123abcd.tmp.parquet"
    for path in (*left, written_by_others):
        path.touch()
    audit(store, version, refresh=True)
    assert written_by_others.exists() and not [path for path in left if path.exists()]


def test_two_audits_at_once_look_once(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = audited(store, photos(tmp_path / "set", cats=20, dogs=5))
    version = get_version(store, "set")
    (version.folder / AUDIT_FILE).rename(tmp_path / AUDIT_FILE)
    looks, look = [], run.audit_input

    def slow(*arguments: Any) -> Any:
        looks.append(arguments)
        time.sleep(1.0)
        return look(*arguments)

    monkeypatch.setattr(run, "audit_input", slow)
    with ThreadPoolExecutor() as threads:
        reports = list(threads.map(lambda _: audit(store, version), range(3)))
    assert len(looks) == 1
    assert [each.findings for each in reports] == [report.findings] * 3


def test_worst_comes_first_and_keys_are_unique(store: Store, tmp_path: Path) -> None:
    source = photos(tmp_path / "set", cats=30, dogs=3)
    write(source / "cats" / "large.png", encoded(photo(900, size=(480, 400))))
    report = audited(store, source)
    assert keys(report)["tiny-class"] == "error"
    levels = [("error", "warning", "info").index(finding.severity) for finding in report.findings]
    assert levels == sorted(levels)
    assert len({finding.key for finding in report.findings}) == len(report.findings)
    assert AuditReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_progress_is_told(store: Store, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    audited(store, photos(tmp_path / "set", cats=12, dogs=12))
    audit(store, get_version(store, "set"), lambda stage, done, total, text="": told.append((stage, done, total)), True)
    assert told[0] == ("audit", 0, len(run.CHECKS))
    assert told[-1] == ("audit", len(run.CHECKS), len(run.CHECKS))


def test_the_gate_names_each_error_its_images_and_what_lets_it_pass(store: Store, tmp_path: Path) -> None:
    report = audited(store, photos(tmp_path / "set", cats=30, dogs=3))
    with pytest.raises(DatasetError) as caught:
        refuse_errors(report)
    assert "tiny-class" in caught.value.message
    assert "(3 photos)" in caught.value.message
    assert "--allow tiny-class" in caught.value.hint
    refuse_errors(report, ["tiny-class"])
    refuse_errors(AuditReport("set", 1, 33, (), 0.1))
    assert {"key": "tiny-class", "severity": "error", "title": report.findings[0].title, "count": 3} in noted(report)

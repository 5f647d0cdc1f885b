"""The environment variables: all that is read is in the table, and the page and the check-up come from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.doctor_checks import check_settings
from workflows.serving.listening import is_loopback
from workflows.settings import SETTINGS, page, unknown

ROOT = Path(__file__).parents[1]
CODE = [path for folder in ("workflows", "flows", "app") for path in (ROOT / folder).rglob("*.py")]
PAGES = [ROOT / "README.md", ROOT / "prefect.yaml", *(ROOT / "docs").glob("*.md")]
NAME = re.compile(r"FIELDGUIDE_[A-Z_]*[A-Z]")


def test_whatever_is_named_anywhere_is_in_the_table() -> None:
    known = {one.variable for one in SETTINGS}
    named = {name: path for path in [*CODE, *PAGES] for name in NAME.findall(path.read_text(encoding="utf-8"))}
    named.pop("FIELDGUIDE_TEST")
    assert set(named) == known, {name: str(named.get(name)) for name in set(named) ^ known}


def test_only_the_table_reads_them() -> None:
    reads = re.compile(r"""(environ|getenv)\b[^\n]*["']FIELDGUIDE_|^[A-Z_]+ = ["']FIELDGUIDE_""", re.MULTILINE)
    found = [path for path in CODE if reads.search(path.read_text(encoding="utf-8"))]
    assert [path for path in found if path.name != "settings.py"] == []


def test_the_page_is_the_table_as_it_is_now() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == page(), "write it anew: see workflows.settings.page"
    assert [name for name in NAME.findall(written) if written.count(f"| `{name}` |") != 1] == []


@pytest.mark.parametrize(
    "name, meant",
    [
        ("FIELDGUIDE_HOEM", "FIELDGUIDE_HOME"),
        ("fieldguide_weights", "FIELDGUIDE_WEIGHTS"),
        ("FIELDGUIDE_MAX_UPLOAD_GB", "FIELDGUIDE_MAX_UPLOAD_MB"),
        ("FIELDGUIDE_XYZZY", None),
    ],
)
def test_a_variable_that_only_looks_like_ours_is_reported(
    name: str, meant: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unknown([name, "PATH", *(one.variable for one in SETTINGS)]) == {name: meant}
    monkeypatch.setenv(name, "1")
    (told,) = [one for one in check_settings() if one.state == "warn"]
    assert name in told.text and (meant is None or meant in told.hint)


def test_the_doctor_shows_what_is_set_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELDGUIDE_PASSWORD", "correct-horse")
    monkeypatch.setenv("FIELDGUIDE_USER", "ada")
    (found,) = [one for one in check_settings() if one.state == "ok"]
    assert "FIELDGUIDE_USER=ada" in found.text and "FIELDGUIDE_PASSWORD" in found.text
    assert "correct-horse" not in found.text


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST"])
def test_only_this_machine_reaches_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "127.0.0.1.example.org", "localhost.example.org", ""])
def test_all_else_may_be_reached_by_others(host: str) -> None:
    assert not is_loopback(host)


def test_there_is_one_check_for_loopback() -> None:
    told = re.compile(r"\.is_loopback\b|in \(.?[\"']127\.0\.0\.1|in _?LOOPBACK\b")
    found = [path.name for path in CODE if told.search(path.read_text(encoding="utf-8"))]
    assert found == ["listening.py"]

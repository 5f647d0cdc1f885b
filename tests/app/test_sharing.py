"""What docs/sharing.md says of letting others in is so."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from app import oidc
from app.password import NAME, SHORTEST
from app.sessions import SECONDS
from app.studio import ListenAddress, check_access
from tests.processes import ROOT
from workflows.errors import UsageError
from workflows.settings import MAX_DROPPED_GB, MAX_UPLOAD_MB, MAX_UPLOADS_MB

PAGE = (ROOT / "docs" / "sharing.md").read_text(encoding="utf-8")


def test_the_readme_leads_there() -> None:
    assert "(docs/sharing.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_example_of_accounts_is_understood(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.S)
    text = example.replace("32 random characters or more", "x" * oidc.SHORTEST_SECRET)
    (tmp_path / oidc.NAME).write_text(text, encoding="utf-8")
    assert oidc.is_configured(tmp_path)
    if find_spec("authlib") is None:  # which is the last thing that it looks at
        with pytest.raises(UsageError, match="Authlib"):
            oidc.check(tmp_path)
    else:
        oidc.check(tmp_path)


def test_other_machines_need_a_login(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--set-password"):
        check_access(tmp_path, ListenAddress("0.0.0.0", 8501))
    (tmp_path / NAME).write_text("{}")
    check_access(tmp_path, ListenAddress("0.0.0.0", 8501))


def test_its_numbers_are_those_of_the_programme() -> None:
    limits = {one.variable: one.default for one in (MAX_UPLOAD_MB, MAX_UPLOADS_MB, MAX_DROPPED_GB)}
    assert dict(re.findall(r"\| `(\w+)` \| (\d+) \|", PAGE)) == limits
    assert f"({SHORTEST} characters or more)" in PAGE and SECONDS == 7 * 24 * 3600

"""What docs/sharing.md says of letting others in is so."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from app import oidc, upload_caps, web_server
from app.password import NAME, SHORTEST
from app.sessions import SECONDS
from app.studio import Door, check_door
from tests.processes import ROOT
from workflows.errors import UsageError

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


def test_nobody_else_is_let_in_before_there_is_a_login(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="everybody on the network"):
        check_door(tmp_path, Door("0.0.0.0", 8501))
    (tmp_path / NAME).write_text("{}")
    check_door(tmp_path, Door("0.0.0.0", 8501))


def test_its_numbers_are_those_of_the_programme() -> None:
    limits = {
        web_server.UPLOAD_VARIABLE: web_server.UPLOAD_MB,
        upload_caps.TOTAL_VARIABLE: upload_caps.TOTAL_MB,
        upload_caps.DROPPED_VARIABLE: upload_caps.DROPPED_GB,
    }
    assert dict(re.findall(r"\| `(\w+)` \| (\d+) \|", PAGE)) == {name: str(most) for name, most in limits.items()}
    assert f"({SHORTEST} characters or more)" in PAGE and SECONDS == 7 * 24 * 3600

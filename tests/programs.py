"""Programs of the system that some tests need: a browser, PostgreSQL."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

COMPLETE_VARIABLE = "FIELDGUIDE_TESTS_COMPLETE"
"""Where it is set to 1, as CI does, a missing program is a failure; else the test is skipped, loudly."""


def needed_program(name: str, *patterns: str) -> Path:
    """Return a program's path: from the PATH, or from the newest of the folders that `patterns` name."""
    found = shutil.which(name)
    if found:
        return Path(found)
    for pattern in patterns:
        for folder in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if (folder / name).is_file():
                return folder / name
    message = f"{name.upper()} IS MISSING: what this test proves was NOT tested here"
    if os.environ.get(COMPLETE_VARIABLE) == "1":
        pytest.fail(message)
    pytest.skip(message)

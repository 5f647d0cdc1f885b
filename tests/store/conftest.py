"""A store of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflows.store.store import Store


@pytest.fixture
def store(home: Path) -> Store:
    """A fresh store."""
    return Store()

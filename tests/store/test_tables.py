"""Records: rows as values that never change."""

from __future__ import annotations

import copy
from dataclasses import FrozenInstanceError
from datetime import datetime
from pathlib import Path

import pytest

from workflows.store.store import Store
from workflows.store.tables import now


def test_a_record_never_changes(store: Store) -> None:
    run = store.runs.create("a", {})
    with pytest.raises(FrozenInstanceError, match="state"):
        run.state = run.state
    assert store.runs.get(run.run_id) == run


def test_a_record_is_a_value(store: Store) -> None:
    run = store.runs.create("a", {"source": Path("/photos")})
    assert run.request == {"source": "/photos"}, "what is stored is made of JSON's own types"
    assert copy.deepcopy(run) == run
    assert list(run.values())[:3] == ["run_id", "kind", "state"]
    assert run != store.runs.create("a", {"source": Path("/photos")})


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    run = store.runs.create("a", {})
    with pytest.raises(Exception, match="needs a time zone"):
        store.runs.update(run.run_id, started_at=datetime.now())
    assert store.runs.update(run.run_id, started_at=now()).started_at is not None

"""Runs as a list shows them: without their large documents, so that a thousand of them cost little."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from workflows.store.database import Database
from workflows.store.runs import RunState
from workflows.store.tables import metrics, runs


@dataclass(frozen=True)
class RunBrief:
    """One run as one line."""

    run_id: str
    state: RunState
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    dataset: str | None
    version: int | None
    goal: str | None
    device: str | None
    error: str | None
    test_top1: float | None
    """Top-1 accuracy on the test photos, 0 to 1; None before the end, or without test photos."""
    val_top1: float | None
    """The same on the validation photos."""


_PLAIN = (
    runs.c.run_id,
    runs.c.state,
    runs.c.created_at,
    runs.c.started_at,
    runs.c.finished_at,
    runs.c.heartbeat_at,
    runs.c.dataset,
    runs.c.version,
    runs.c.goal,
    runs.c.device,
    runs.c.error,
)


def newest_runs(database: Database, limit: int, states: Collection[str] = ()) -> list[RunBrief]:
    """Return the newest runs, newest first.

    Args:
        database: of the store.
        limit: how many at most.
        states: only runs in these states; all if empty.
    """
    top1 = [runs.c.result[("metrics", split, "top1")].as_float().label(f"{split}_top1") for split in ("test", "val")]
    query = _in_states(select(*_PLAIN, *top1), states)
    query = query.order_by(runs.c.created_at.desc(), runs.c.run_id.desc()).limit(limit)
    with database.read() as connection:
        return [RunBrief(**row._mapping) for row in connection.execute(query)]


def newest_ids(database: Database, limit: int, states: Collection[str] = (), besides: str | None = None) -> list[str]:
    """Return the ids of the newest runs, newest first, and behind them `besides` if such a run exists."""
    query = _in_states(select(runs.c.run_id), states)
    query = query.order_by(runs.c.created_at.desc(), runs.c.run_id.desc()).limit(limit)
    with database.read() as connection:
        ids = list(connection.execute(query).scalars())
        if besides is not None and besides not in ids:
            one = _in_states(select(runs.c.run_id), states).where(runs.c.run_id == besides)
            ids += connection.execute(one).scalars()
    return ids


def count_runs(database: Database) -> dict[str, int]:
    """Return how many runs are in each state, without the trials of tunings."""
    query = _in_states(select(runs.c.state, func.count()), ()).group_by(runs.c.state)
    with database.read() as connection:
        rows = connection.execute(query).all()
    return {str(row[0]): int(row[1]) for row in rows}


def curves(database: Database, run_ids: Sequence[str], name: str) -> dict[str, list[float]]:
    """Return the course of metric `name` over the steps of each run; runs without a step are left out."""
    query = select(metrics.c.run_id, metrics.c.value).where(metrics.c.run_id.in_(run_ids), metrics.c.name == name)
    found: dict[str, list[float]] = {}
    with database.read() as connection:
        for run_id, value in connection.execute(query.order_by(metrics.c.run_id, metrics.c.step)):
            if value is not None:
                found.setdefault(run_id, []).append(value)
    return found


def _in_states(query: Select[Any], states: Collection[str]) -> Select[Any]:
    query = query.where(runs.c.kind != "trial")
    return query.where(runs.c.state.in_(states)) if states else query

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


def newest_runs(
    database: Database,
    limit: int,
    states: Collection[str] = (),
    *,
    dataset: str | None = None,
    text: str = "",
    skip: int = 0,
) -> list[RunBrief]:
    """Return the newest runs, newest first.

    Args:
        database: of the store.
        limit: how many at most.
        states: only runs in these states; all if empty.
        dataset: only runs on this data set.
        text: only runs whose id holds this, in any case.
        skip: how many to leave out, for pages.
    """
    top1 = [runs.c.result[("metrics", split, "top1")].as_float().label(f"{split}_top1") for split in ("test", "val")]
    query = _matching(_in_states(select(*_PLAIN, *top1), states), dataset, text)
    query = query.order_by(runs.c.created_at.desc(), runs.c.run_id.desc()).limit(limit).offset(skip)
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


def count_runs(database: Database, *, dataset: str | None = None, text: str = "") -> dict[str, int]:
    """Return how many runs are in each state, without the trials of tunings; narrowed as in `newest_runs`."""
    query = _matching(_in_states(select(runs.c.state, func.count()), ()), dataset, text).group_by(runs.c.state)
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


def step_values(
    database: Database, run_id: str, names: Collection[str], after: int = 0
) -> list[tuple[int, str, float]]:
    """Return (step, name, value) of the metrics `names` at a run's steps behind `after`; those not finite are left out."""
    query = select(metrics.c.step, metrics.c.name, metrics.c.value)
    query = query.where(metrics.c.run_id == run_id, metrics.c.name.in_(names), metrics.c.step > after)
    with database.read() as connection:
        rows = connection.execute(query.order_by(metrics.c.step)).all()
    return [(int(row[0]), str(row[1]), float(row[2])) for row in rows if row[2] is not None]


def _matching(query: Select[Any], dataset: str | None, text: str) -> Select[Any]:
    if dataset is not None:
        query = query.where(runs.c.dataset == dataset)
    return query.where(runs.c.run_id.icontains(text, autoescape=True)) if text else query


def _in_states(query: Select[Any], states: Collection[str]) -> Select[Any]:
    query = query.where(runs.c.kind != "trial")
    return query.where(runs.c.state.in_(states)) if states else query

"""Runs as a list shows them: without their large documents, so that a thousand of them cost little."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Row, Select, func, select, type_coerce

from workflows.state import State
from workflows.store.database import Database
from workflows.store.marks import MarkRecords
from workflows.store.run_record import Metric, RunRecord
from workflows.targets.judged import HeldOut, Judged, judged_by
from workflows.targets.metrics import SUPPORT, TOP1


@dataclass(frozen=True)
class RunBrief:
    """One run as one line."""

    run_id: str
    state: State
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    dataset: str | None
    version: int | None
    goal: str | None
    device: str | None
    error: str | None
    judged: Judged | None
    """Its final accuracy; None before the end, or if it was not evaluated."""


_PLAIN = tuple(getattr(RunRecord, name) for name in RunRecord.names() if name in RunBrief.__annotations__)
_SPLITS: tuple[HeldOut, ...] = ("test", "val")
_PATHS: dict[str, tuple[str | int, ...]] = {
    TOP1.name: (TOP1.name,),
    SUPPORT.name: (SUPPORT.name,),
    "low": (f"{TOP1.name}_ci95", 0),
    "high": (f"{TOP1.name}_ci95", 1),
}
"""Where a split's figures are in the metrics of a result."""
_FIGURES = tuple(
    type_coerce(RunRecord.result, JSON)[("metrics", split, *path)].as_float().label(f"{split}_{name}")
    for split in _SPLITS
    for name, path in _PATHS.items()
)


def newest_runs(
    database: Database,
    limit: int,
    states: Collection[State] = (),
    *,
    dataset: str | None = None,
    text: str = "",
    tags: Collection[str] = (),
    starred: bool = False,
    skip: int = 0,
) -> list[RunBrief]:
    """Return the newest runs, newest first.

    Args:
        database: of the store.
        limit: how many at most.
        states: only runs in these states; all if empty.
        dataset: only runs on this data set.
        text: only runs whose id, title, note or tags contain this, in any case.
        tags: only runs with all these tags.
        starred: only runs with a star.
        skip: how many to leave out, for pages.
    """
    query = _in_states(select(*_PLAIN, *_FIGURES), states).where(*_matching(database, dataset, text, tags, starred))
    query = query.order_by(RunRecord.created_at.desc(), RunRecord.run_id.desc()).limit(limit).offset(skip)
    with database.read() as connection:
        return [_brief(row) for row in connection.execute(query)]


def _brief(row: Row[Any]) -> RunBrief:
    """Return a row as one line; of its result, only the figures that judge it were read."""
    values = dict(row._mapping)
    metrics = {split: {name: values.pop(f"{split}_{name}") for name in _PATHS} for split in _SPLITS}
    judged = judged_by(
        {
            split: {**found, f"{TOP1.name}_ci95": (found.pop("low"), found.pop("high"))}
            for split, found in metrics.items()
        }
    )
    return RunBrief(**values, judged=judged)


def newest_ids(database: Database, limit: int, states: Collection[State] = (), besides: str | None = None) -> list[str]:
    """Return the ids of the newest runs, newest first, and behind them `besides` if such a run exists."""
    query = _in_states(select(RunRecord.run_id), states)
    query = query.order_by(RunRecord.created_at.desc(), RunRecord.run_id.desc()).limit(limit)
    with database.read() as connection:
        ids = list(connection.execute(query).scalars())
        if besides is not None and besides not in ids:
            one = _in_states(select(RunRecord.run_id), states).where(RunRecord.run_id == besides)
            ids += connection.execute(one).scalars()
    return ids


def count_runs(
    database: Database,
    *,
    dataset: str | None = None,
    text: str = "",
    tags: Collection[str] = (),
    starred: bool = False,
) -> dict[State, int]:
    """Return how many runs are in each state, without the trials of tunings; narrowed as in `newest_runs`."""
    query = _in_states(select(RunRecord.state, func.count()), ()).group_by(RunRecord.state)
    query = query.where(*_matching(database, dataset, text, tags, starred))
    with database.read() as connection:
        rows = connection.execute(query).all()
    return {row[0]: int(row[1]) for row in rows}


def curves(database: Database, run_ids: Sequence[str], name: str) -> dict[str, list[float]]:
    """Return metric `name` at every step of each run; runs without a step are left out."""
    query = select(Metric.run_id, Metric.value).where(Metric.run_id.in_(run_ids), Metric.name == name)
    found: dict[str, list[float]] = {}
    with database.read() as connection:
        for run_id, value in connection.execute(query.order_by(Metric.run_id, Metric.step)):
            if value is not None:
                found.setdefault(run_id, []).append(value)
    return found


def step_values(
    database: Database, run_id: str, names: Collection[str], after: int = 0
) -> list[tuple[int, str, float]]:
    """Return (step, name, value) of the metrics `names` at a run's steps behind `after`; those not finite are left out."""
    query = select(Metric.step, Metric.name, Metric.value)
    query = query.where(Metric.run_id == run_id, Metric.name.in_(names), Metric.step > after)
    with database.read() as connection:
        rows = connection.execute(query.order_by(Metric.step)).all()
    return [(int(row[0]), str(row[1]), float(row[2])) for row in rows if row[2] is not None]


def _matching(
    database: Database, dataset: str | None, text: str, tags: Collection[str], starred: bool
) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter. Marks are few, and read here, because SQLite ignores case only in ASCII."""
    marks = MarkRecords(database)
    conditions: list[ColumnElement[bool]] = []
    if dataset is not None:
        conditions.append(RunRecord.dataset == dataset)
    if text:
        called = RunRecord.run_id.in_(marks.matching("run", text))
        conditions.append(RunRecord.run_id.icontains(text, autoescape=True) | called)
    if tags or starred:
        conditions.append(RunRecord.run_id.in_(marks.matching("run", tags=tags, starred=starred)))
    return conditions


def _in_states(query: Select[Any], states: Collection[State]) -> Select[Any]:
    query = query.where(RunRecord.kind != "trial")
    return query.where(RunRecord.state.in_(states)) if states else query

"""The records of models: their versions, which of them was champion when, and why.

Nothing here is ever changed: the champion is what the newest line of the promotions' log names.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select

from workflows.store.database import Database
from workflows.store.files import to_plain
from workflows.store.tables import decisions, model_versions, models, now, promotions

PromotionAction = Literal["register", "promote", "rollback"]
Outcome = Literal["promoted", "kept", "unchanged", "stopped"]
"""What a retraining came to: a new champion; the old one; too little was new to train; something forbade it."""


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model: a finished run under a name that people rely on.

    Attributes:
        run_id: the run that trained it; its folder holds the weights.
        dataset: the data set and (`version`) its version that it was trained on.
        card: what turns the weights into a classifier: classes, image size, way to a square, mean and std.
        metrics: by split, as the run found them, with intervals.
    """

    model: str
    number: int
    run_id: str
    dataset: str
    version: int
    card: dict[str, Any]
    metrics: dict[str, Any]
    author: str
    reason: str
    created_at: datetime

    def __str__(self) -> str:
        return f"{self.model} v{self.number}"


@dataclass(frozen=True)
class Promotion:
    """One line of the log: version `number` became champion, after `previous`."""

    model: str
    number: int
    previous: int | None
    action: str
    author: str
    reason: str
    decision_id: str | None
    created_at: datetime


@dataclass(frozen=True)
class DecisionRecord:
    """What one retraining came to, and why."""

    decision_id: str
    model: str
    trigger: str
    outcome: str
    reason: str
    champion: int | None
    challenger: int | None
    challenger_run: str | None
    document: dict[str, Any]
    created_at: datetime


class ModelRecords:
    """What the database knows of models."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def names(self) -> list[str]:
        """Return the names of all models."""
        with self._database.read() as connection:
            return [str(name) for (name,) in connection.execute(select(models.c.name).order_by(models.c.name))]

    def versions(self, model: str | None = None) -> list[ModelVersion]:
        """Return the versions of a model (of all models), oldest first."""
        query = select(model_versions).order_by(model_versions.c.model, model_versions.c.number)
        if model is not None:
            query = query.where(model_versions.c.model == model)
        with self._database.read() as connection:
            return [ModelVersion(*row) for row in connection.execute(query)]

    def add(self, model: str, **fields: Any) -> ModelVersion:
        """Record the next version of a model (and the model, if this is its first); return it."""
        with self._database.write() as connection:
            if connection.execute(select(models.c.name).where(models.c.name == model)).one_or_none() is None:
                connection.execute(models.insert().values(name=model, created_at=now()))
            last = select(func.max(model_versions.c.number)).where(model_versions.c.model == model)
            number = (connection.execute(last).scalar() or 0) + 1
            values = {**fields, "card": to_plain(fields["card"]), "metrics": to_plain(fields["metrics"])}
            connection.execute(model_versions.insert().values(model=model, number=number, created_at=now(), **values))
        return next(version for version in self.versions(model) if version.number == number)

    def promotions(self, model: str) -> list[Promotion]:
        """Return the log of a model's champions, oldest first."""
        columns = [column for column in promotions.c if column.name != "id"]
        query = select(*columns).where(promotions.c.model == model).order_by(promotions.c.id)
        with self._database.read() as connection:
            return [Promotion(*row) for row in connection.execute(query)]

    def champions(self) -> dict[str, int]:
        """Return the number of the champion of every model that has one."""
        newest = select(func.max(promotions.c.id)).group_by(promotions.c.model)
        query = select(promotions.c.model, promotions.c.number).where(promotions.c.id.in_(newest))
        with self._database.read() as connection:
            return {str(model): int(number) for model, number in connection.execute(query)}

    def record_promotion(
        self,
        model: str,
        number: int,
        *,
        expected: int | None,
        action: PromotionAction,
        author: str,
        reason: str,
        decision_id: str | None = None,
    ) -> bool:
        """Make a version the champion if `expected` still is; return whether it was (nobody came in between)."""
        newest = (
            select(promotions.c.number).where(promotions.c.model == model).order_by(promotions.c.id.desc()).limit(1)
        )
        with self._database.write() as connection:
            current = connection.execute(newest).scalar()
            if current != expected:
                return False
            values = {"number": number, "previous": current, "action": action, "author": author, "reason": reason}
            line = promotions.insert().values(model=model, decision_id=decision_id, created_at=now(), **values)
            connection.execute(line)
        return True

    def new_decision_id(self, model: str) -> str:
        """Return an id for a decision; its files may be written before its record is."""
        return f"{model}-{now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"

    def add_decision(self, decision: DecisionRecord) -> None:
        """Record a decision."""
        values = {**vars(decision), "document": to_plain(decision.document)}
        with self._database.write() as connection:
            connection.execute(decisions.insert().values(**values))

    def decisions(self, model: str | None = None, limit: int | None = None) -> list[DecisionRecord]:
        """Return the decisions about a model (about all models), newest first."""
        query = select(decisions).order_by(decisions.c.created_at.desc(), decisions.c.decision_id.desc()).limit(limit)
        if model is not None:
            query = query.where(decisions.c.model == model)
        with self._database.read() as connection:
            return [DecisionRecord(*row) for row in connection.execute(query)]

    def decision(self, decision_id: str) -> DecisionRecord | None:
        """Return one decision, or None if there is none of this id."""
        query = select(decisions).where(decisions.c.decision_id == decision_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return DecisionRecord(*row) if row else None

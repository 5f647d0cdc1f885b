"""The records of models: their versions, which of them was champion when, and why.

Nothing here is ever changed: the champion is what the newest line of the promotions' log names.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, ForeignKey, UniqueConstraint, func, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from workflows.store.database import Database
from workflows.store.tables import Record, Str16, Str80, Str120, now

PromotionAction = Literal["register", "promote", "rollback"]
Outcome = Literal["promoted", "kept", "unchanged", "stopped"]
"""What a retraining came to: a new champion; the old one; too little was new to train; something forbade it."""


class Model(Record):
    """A name that people rely on."""

    __tablename__ = "models"

    name: Mapped[Str80] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]


class ModelVersion(Record):
    """One version of a model: a finished run under a name that people rely on.

    Attributes:
        run_id: the run that trained it; its folder has the weights.
        dataset: the data set and (`version`) its version that it was trained on.
        card: what turns the weights into a classifier: classes, image size, way to a square, mean and std.
        metrics: by split, as the run found them, with intervals.
    """

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("model", "run_id"),)

    model: Mapped[Str80] = mapped_column(ForeignKey("models.name"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[Str80] = mapped_column(ForeignKey("runs.run_id"))
    dataset: Mapped[Str80]
    version: Mapped[int]
    card: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    author: Mapped[Str120]
    reason: Mapped[str]
    created_at: Mapped[datetime]

    def __str__(self) -> str:
        return f"{self.model} v{self.number}"


class Promotion(Record):
    """One line of the log: version `number` became champion, after `previous`."""

    __tablename__ = "promotions"

    id: Mapped[int] = mapped_column(primary_key=True, init=False, repr=False, compare=False)
    model: Mapped[Str80] = mapped_column(ForeignKey("models.name"), index=True)
    number: Mapped[int]
    previous: Mapped[int | None]
    action: Mapped[Str16]
    author: Mapped[Str120]
    reason: Mapped[str]
    decision_id: Mapped[Str80 | None]
    created_at: Mapped[datetime]


class DecisionRecord(Record):
    """What one retraining came to, and why."""

    __tablename__ = "decisions"

    decision_id: Mapped[Str80] = mapped_column(primary_key=True)
    model: Mapped[Str80] = mapped_column(ForeignKey("models.name"), index=True)
    trigger: Mapped[Str120]
    outcome: Mapped[Str16]
    reason: Mapped[str]
    champion: Mapped[int | None]
    challenger: Mapped[int | None]
    challenger_run: Mapped[Str80 | None]
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ModelRecords:
    """What the database knows of models."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def names(self) -> list[str]:
        """Return the names of all models."""
        with self._database.read() as connection:
            return [str(name) for (name,) in connection.execute(select(Model.name).order_by(Model.name))]

    def versions(self, model: str | None = None) -> list[ModelVersion]:
        """Return the versions of a model (of all models), oldest first."""
        query = select(ModelVersion).order_by(ModelVersion.model, ModelVersion.number)
        if model is not None:
            query = query.where(ModelVersion.model == model)
        with self._database.read() as connection:
            return [ModelVersion.of(row) for row in connection.execute(query)]

    def add(self, model: str, **fields: Any) -> ModelVersion:
        """Record the next version of a model (and the model, if this is its first); return it."""
        with self._database.write() as connection:
            if connection.execute(select(Model.name).where(Model.name == model)).one_or_none() is None:
                connection.execute(insert(Model).values(name=model, created_at=now()))
            last = select(func.max(ModelVersion.number)).where(ModelVersion.model == model)
            number = (connection.execute(last).scalar() or 0) + 1
            connection.execute(insert(ModelVersion).values(model=model, number=number, created_at=now(), **fields))
        return next(version for version in self.versions(model) if version.number == number)

    def promotions(self, model: str) -> list[Promotion]:
        """Return the log of a model's champions, oldest first."""
        query = select(Promotion).where(Promotion.model == model).order_by(Promotion.id)
        with self._database.read() as connection:
            return [Promotion.of(row) for row in connection.execute(query)]

    def champions(self) -> dict[str, int]:
        """Return the number of the champion of every model that has one."""
        newest = select(func.max(Promotion.id)).group_by(Promotion.model)
        query = select(Promotion.model, Promotion.number).where(Promotion.id.in_(newest))
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
    ) -> bool:
        """Make a version the champion if `expected` still is; return whether it was (nobody came in between)."""
        values = {"number": number, "action": action, "author": author, "reason": reason}
        with self._database.write() as connection:
            return _crown(connection, model=model, previous=expected, **values)

    def new_decision_id(self, model: str) -> str:
        """Return an id for a decision; its files may be written before its record is."""
        return f"{model}-{now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"

    def add_decision(self, decision: DecisionRecord, promoted: Mapping[str, str] | None = None) -> bool:
        """Record a decision, and in the same transaction the promotion of its challenger.

        Args:
            promoted: `author` and `reason` of the promotion; None if the champion stays.

        Returns:
            Whether it was recorded: not if its champion isn't the champion any more, and the challenger was to be.
        """
        with self._database.write() as connection:
            if promoted is not None:
                line = {"model": decision.model, "decision_id": decision.decision_id, "action": "promote", **promoted}
                if not _crown(connection, number=decision.challenger, previous=decision.champion, **line):
                    return False
            connection.execute(insert(DecisionRecord).values(**decision.values()))
        return True

    def decisions(self, model: str | None = None, limit: int | None = None) -> list[DecisionRecord]:
        """Return the decisions about a model (about all models), newest first."""
        query = (
            select(DecisionRecord)
            .order_by(DecisionRecord.created_at.desc(), DecisionRecord.decision_id.desc())
            .limit(limit)
        )
        if model is not None:
            query = query.where(DecisionRecord.model == model)
        with self._database.read() as connection:
            return [DecisionRecord.of(row) for row in connection.execute(query)]

    def decision(self, decision_id: str) -> DecisionRecord | None:
        """Return one decision, or None if there is none of this id."""
        query = select(DecisionRecord).where(DecisionRecord.decision_id == decision_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return DecisionRecord.of(row) if row else None


def _crown(connection: Connection, *, model: str, previous: int | None, **values: Any) -> bool:
    """Make a version the champion if `previous` still is; return whether it was."""
    newest = select(Promotion.number).where(Promotion.model == model).order_by(Promotion.id.desc()).limit(1)
    if connection.execute(newest).scalar() != previous:
        return False
    connection.execute(insert(Promotion).values(model=model, previous=previous, created_at=now(), **values))
    return True

"""What every SQL table is made of. Each module of records declares its own: a class is a table and its rows' type.

A changed table needs a migration beside this file.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from sqlalchemy import JSON, DateTime, Dialect, MetaData, Row, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass, mapped_column

from workflows.state import State
from workflows.store.files import to_plain
from workflows.store.run_result import RunResult


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, stored in UTC; SQLite itself knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; a time without a zone is a bug of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class StateText(TypeDecorator[State]):
    """A state, stored in the words of its table."""

    impl = String(16)
    cache_ok = True

    def __init__(self, words: tuple[tuple[State, str], ...] = ()) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: State | None, dialect: Dialect) -> str | None:
        """Return the word that is stored."""
        return None if value is None else dict(self.words).get(State(value), State(value).value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> State | None:
        """Return the state that is meant."""
        return None if value is None else State(value)


class Plain(TypeDecorator[Any]):
    """A JSON document, made of JSON's own types when it is stored."""

    impl = JSON
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(none_as_null=True)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return the document in JSON's own types."""
        return to_plain(value)


class Names(Plain):
    """A list of names, read as a tuple."""

    cache_ok = True

    def process_result_value(self, value: list[str] | None, dialect: Dialect) -> tuple[str, ...] | None:
        """Return the names."""
        return None if value is None else tuple(value)


class ResultDocument(Plain):
    """The result of a run."""

    cache_ok = True

    def process_bind_param(self, value: RunResult | dict[str, Any] | None, dialect: Dialect) -> Any:
        """Return the document that is stored."""
        return to_plain(value.document() if isinstance(value, RunResult) else value)

    def process_result_value(self, value: dict[str, Any] | None, dialect: Dialect) -> RunResult | None:
        """Return the result; None where there is none yet."""
        return RunResult.model_validate(value) if value else None


def now() -> datetime:
    """Return the present time, aware, in UTC."""
    return datetime.now(UTC)


Str16 = Annotated[str, mapped_column(String(16))]
Str40 = Annotated[str, mapped_column(String(40))]
Str64 = Annotated[str, mapped_column(String(64))]
Str80 = Annotated[str, mapped_column(String(80))]
Str120 = Annotated[str, mapped_column(String(120))]


class Record(MappedAsDataclass, DeclarativeBase, kw_only=True):
    """A row of a table as a value: it belongs to no session, never changes, and may be shared by threads."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        str: Text(),
        datetime: UtcDateTime(),
        State: StateText(),
        RunResult: ResultDocument(),
        dict[str, Any]: Plain(),
        list[str]: Plain(),
        tuple[str, ...]: Names(),
    }

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """Return the record of a row that was selected."""
        return cls(**{name: row._mapping[name] for name in cls.names()})

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the fields, in order."""
        return [field.name for field in fields(cls) if field.init]

    def values(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {name: getattr(self, name) for name in self.names()}

    def __post_init__(self) -> None:
        object.__setattr__(self, "_made", True)

    def __setattr__(self, name: str, value: object) -> None:
        if "_made" in self.__dict__:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super().__setattr__(name, value)

"""The database connection: SQLite in the state folder by default, PostgreSQL by FIELDGUIDE_DATABASE_URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

from workflows import settings
from workflows.errors import StorageError
from workflows.store.files import storage_errors
from workflows.store.locks import hold

HEAD = "0009"  # the newest migration; compared at every start without importing Alembic
BUSY_SECONDS = 30.0


class Database:
    """Transactions on the store's database, migrated to the newest schema when it is opened."""

    def __init__(self, home: Path) -> None:
        """Open or make the database.

        Raises:
            StorageError: it can't be opened, is damaged, or was made by a newer Fieldguide.
        """
        self._home = home
        with storage_errors(home):
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.engine = _engine(settings.DATABASE_URL.read() or f"sqlite:///{home / 'fieldguide.db'}")
        if self._revision() != HEAD:
            with hold(home / "locks" / "migrate.lock"):  # two processes may start at once in an empty folder
                self._migrate()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection for reading."""
        with self._in_words(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in a transaction, committed if the body succeeds."""
        # SQLite: take the write lock at once, because a reader that turns writer fails without waiting
        immediate = self.engine.execution_options(immediate=True)
        with self._in_words(), immediate.begin() as connection:
            yield connection

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            reason = str(error.orig or error)
            if type(error).__name__ not in ("DatabaseError", "OperationalError"):
                raise  # a wrong statement or a broken constraint is not the disk's fault
            raise StorageError(
                f"The database {self.engine.url.render_as_string()} fails: {reason}.",
                "Check that the disk is not full and may be written, and that the server (if any) is up.",
            ) from error

    def _revision(self) -> str | None:
        with self.read() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def _migrate(self) -> None:
        from alembic import command
        from alembic.util import CommandError

        config = migration_config()
        with self.write() as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise StorageError(
                    f"The database in {self._home} was made by another version of Fieldguide ({error}).",
                    "Install the newest Fieldguide, or set FIELDGUIDE_HOME to another folder.",
                ) from error


def migration_config() -> Any:
    """Return Alembic's configuration; the migrations ship inside the package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def _engine(url: str) -> Engine:
    try:
        if not url.startswith("sqlite"):
            return create_engine(url, pool_pre_ping=True)
        # no pool: a connection must never cross a fork, and opening one costs well under a millisecond
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS})
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise StorageError(
            f"{settings.DATABASE_URL.variable} can't be used: {error}.",
            "Example: postgresql+psycopg://user:password@host/fieldguide, with its driver installed.",
        ) from error
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by us, see _begin_sqlite
    for pragma in (
        f"busy_timeout = {int(BUSY_SECONDS * 1000)}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

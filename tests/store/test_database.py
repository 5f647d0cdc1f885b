"""The database: durable settings, migrations, and failures in words."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from workflows.errors import StorageError
from workflows.settings import DATABASE_URL
from workflows.store.database import HEAD, migration_config
from workflows.store.store import Store
from workflows.store.tables import Record


def test_sqlite_is_durable(store: Store) -> None:
    with store.database.read() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000, "foreign_keys": 1}


def test_migrations_make_exactly_the_tables_in_use(store: Store) -> None:
    with store.database.read() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Record.metadata) == []
        assert context.get_current_revision() == HEAD


def test_head_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(migration_config()).get_current_head() == HEAD


def test_opening_again_keeps_everything(store: Store) -> None:
    run = store.runs.create("a", {})
    assert Store(store.home).runs.get(run.run_id) == run


def test_many_processes_open_a_fresh_home_at_once(home: Path) -> None:
    program = "from workflows.store.store import Store; Store().runs.create('same', {})"
    processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert len({run.run_id for run in Store().runs.list()}) == 4


def test_writers_wait_for_each_other(store: Store) -> None:
    run = store.runs.create("a", {}).run_id
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda step: store.runs.record_step(run, step, {"a": 1.0, "b": 2.0}), range(40)))
    assert len(store.runs.steps(run)) == 80


def test_writer_waits_for_another_process(store: Store) -> None:
    program = """
        import sys, time, sqlite3
        connection = sqlite3.connect(sys.argv[1], isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        print("locked", flush=True)
        time.sleep(1)
        connection.execute("COMMIT")
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(store.home / "fieldguide.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "locked\n"
        assert store.runs.create("a", {}).state == "pending"
    assert other.returncode == 0


def test_database_of_a_newer_version(store: Store) -> None:
    with sqlite3.connect(store.home / "fieldguide.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match="another version"):
        Store()


def test_damaged_database(home: Path) -> None:
    home.mkdir()
    (home / "fieldguide.db").write_bytes(b"no database at all" * 500)
    with pytest.raises(StorageError, match="not a database"):
        Store()


def test_home_is_a_file(home: Path) -> None:
    home.write_text("")
    with pytest.raises(StorageError, match="file"):
        Store()


def test_full_disk(small_disk: Path) -> None:
    store = Store(small_disk)
    run = store.runs.create("a", {})
    (small_disk / "ballast").write_bytes(bytes(_free(small_disk)))
    with pytest.raises(StorageError, match="full"):
        for step in range(1000):
            store.runs.record_step(run.run_id, step, {f"name {number}": 1.0 for number in range(100)})
    (small_disk / "ballast").unlink()
    assert Store(small_disk).runs.get(run.run_id) == run


def _free(folder: Path) -> int:
    from workflows.store.files import free_bytes

    return max(0, free_bytes(folder) - 8192)


@pytest.mark.parametrize("url", ["nonsense", "oracle+nodriver://x", "nothing://x/y"])
def test_unusable_url(home: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv(DATABASE_URL.variable, url)
    with pytest.raises(StorageError, match=DATABASE_URL.variable):
        Store()


def test_database_elsewhere_by_url(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE_URL.variable, f"sqlite:///{tmp_path / 'other.db'}")
    Store().runs.create("a", {})
    assert (tmp_path / "other.db").exists() and not (home / "fieldguide.db").exists()

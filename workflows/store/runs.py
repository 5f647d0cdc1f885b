"""The records of runs: what was asked, what happened, and whether the process still lives.

A run's record is the truth about it; whoever dispatches runs (Prefect) is only asked to start and stop
them. Life is proven by a lock that the kernel drops with the process, not by a recorded state.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import secrets
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import psutil
from sqlalchemy import ColumnElement, Row, delete, select

from workflows.errors import RunError, StorageError
from workflows.store.database import Database
from workflows.store.files import storage_errors, to_plain, write_atomic
from workflows.store.locks import FileLock
from workflows.store.names import slug
from workflows.store.tables import metrics, now, runs

if TYPE_CHECKING:
    import pandas as pd

RunKind = Literal["train", "trial"]
"""What somebody asked for, and the many short trainings of a tuning, which lists leave out."""
RunState = Literal["pending", "running", "finished", "failed", "cancelled", "interrupted"]
ENDED: tuple[RunState, ...] = ("finished", "failed", "cancelled", "interrupted")
HEARTBEAT_SECONDS = 5.0
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_CANCEL_FILE = "cancel"
_INTERRUPT = b"interrupt"
"""What the cancel file holds if the run is only to be interrupted: nobody wants it cancelled."""
_FINISH_FILE = "finish-early"
_LOCK_FILE = "run.lock"


@dataclass(frozen=True)
class RunRecord:
    """One run, as it stands in the database. All times are aware and in UTC."""

    run_id: str
    kind: RunKind
    state: RunState
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    dataset: str | None
    version: int | None
    goal: str | None
    device: str | None
    request: dict[str, Any]
    workflow: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str | None
    pid: int | None
    host: str | None
    flow_run_id: str | None


_Runs = list[RunRecord]  # inside the class below, `list` is its method
_Names = list[str]


class RunRecords:
    """What the database and the run folders know of runs."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def folder(self, run_id: str) -> Path:
        """Return the folder of a run's files.

        Raises:
            RunError: this can't be a run's id (so no id can lead outside the folder of runs).
        """
        if not _PLAIN_ID.fullmatch(run_id):
            raise RunError(f"{run_id!r} is not a run's id.", "`fieldguide runs list` shows them.")
        return self._folder / run_id

    def create(self, name_hint: str, request: dict[str, Any], kind: RunKind = "train") -> RunRecord:
        """Record a new run, in state `pending`, and make its folder.

        Args:
            name_hint: goes into the id, e.g. the data set's name.
            request: everything that was asked, so that the run can be done again or resumed.
            kind: whether lists show it.
        """
        created = now()
        stem = f"{slug(name_hint, 'run')}-{created:%Y%m%d-%H%M%S}"
        run_id = self._claim_folder(stem)
        values = {"run_id": run_id, "kind": kind, "created_at": created, "request": to_plain(request)}
        with self._database.write() as connection:
            connection.execute(runs.insert().values(state="pending", **values))
        return self._exactly(run_id)

    def _claim_folder(self, stem: str) -> str:
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            while True:
                run_id = f"{stem}-{secrets.token_hex(2)}"
                try:
                    (self._folder / run_id).mkdir()  # only one of two runs of the same second gets the name
                except FileExistsError:
                    continue
                return run_id

    def get(self, name: str) -> RunRecord:
        """Return a run by its id, by the beginning of its id if no other begins so, or by `latest`.

        Raises:
            RunError: no run, or more than one, is meant by `name`.
        """
        if name == "latest":
            newest = self._select(runs.c.kind != "trial", limit=1)
            if not newest:
                raise RunError("There are no runs yet.", "Start one with `fieldguide train FOLDER`.")
            return newest[0]
        found = self._select(runs.c.run_id.startswith(name, autoescape=True)) if name else []
        exact = [run for run in found if run.run_id == name]
        if len(exact or found) != 1:
            raise self._not_one(name, [run.run_id for run in found])
        return (exact or found)[0]

    def _not_one(self, name: str, found: _Names) -> RunError:
        if found:
            return RunError(f"{len(found)} runs begin with {name!r}: {_some(found)}.", "Give more of the id.")
        known = [run.run_id for run in self._select(limit=200)]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Did you mean {_some(near)}? " if near else ""
        return RunError(f"There is no run {name!r}.", f"{hint}`fieldguide runs list` shows all.")

    def list(self) -> _Runs:
        """Return all runs but the trials of tunings, newest first."""
        return self._select(runs.c.kind != "trial")

    def _select(self, condition: ColumnElement[bool] | None = None, limit: int | None = None) -> _Runs:
        query = select(runs).order_by(runs.c.created_at.desc(), runs.c.run_id.desc()).limit(limit)
        if condition is not None:
            query = query.where(condition)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def _exactly(self, run_id: str) -> RunRecord:
        found = self._select(runs.c.run_id == run_id)
        if not found:
            raise self._not_one(run_id, [])
        return found[0]

    def update(self, run_id: str, **columns: Any) -> RunRecord:
        """Change columns of a run's record; a run that ends gets its end time.

        Raises:
            RunError: unknown run.
            ValueError: unknown column or state.
        """
        unknown = set(columns) - set(runs.c.keys()) | ({"run_id"} & set(columns))
        if unknown or columns.get("state", "pending") not in get_args(RunState):
            raise ValueError(f"can't set {sorted(unknown) or columns['state']!r} of a run")
        if columns.get("state") in ENDED:
            columns.setdefault("finished_at", now())
        for name in ("request", "workflow", "result"):
            if name in columns:
                columns[name] = to_plain(columns[name])
        if columns:
            with self._database.write() as connection:
                connection.execute(runs.update().where(runs.c.run_id == run_id).values(**columns))
        return self._exactly(run_id)

    def record_step(self, run_id: str, step: int, values: dict[str, float]) -> None:
        """Record the metrics of one evaluation step; a name recorded before for the step is replaced."""
        time = now()
        rows = [
            {"run_id": run_id, "step": step, "name": name, "value": _finite(value), "time": time}
            for name, value in values.items()
        ]
        if not rows:
            return
        same = (metrics.c.run_id == run_id) & (metrics.c.step == step) & metrics.c.name.in_(values)
        with self._database.write() as connection:
            connection.execute(delete(metrics).where(same))
            connection.execute(metrics.insert(), rows)

    def steps(self, run_id: str) -> pd.DataFrame:
        """Return the metrics of a run: columns step, name, value (NaN where not finite), time; by step and name."""
        import pandas as pd

        columns = [metrics.c.step, metrics.c.name, metrics.c.value, metrics.c.time]
        query = select(*columns).where(metrics.c.run_id == run_id).order_by(metrics.c.step, metrics.c.name)
        with self._database.read() as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        frame = pd.DataFrame(rows, columns=["step", "name", "value", "time"])
        return frame.astype({"step": "int64", "name": "str", "value": "float64", "time": "datetime64[us, UTC]"})

    def forget_steps(self, run_id: str, after: int) -> None:
        """Remove the metrics of all steps behind `after`, which a resumed training will do again."""
        with self._database.write() as connection:
            connection.execute(delete(metrics).where((metrics.c.run_id == run_id) & (metrics.c.step > after)))

    def delete(self, run_id: str) -> None:
        """Remove a run that has ended: its record and metrics, then its files.

        Raises:
            RunError: unknown run, or it has not ended.
            StorageError: the files can't be removed.
        """
        record = self._exactly(run_id)
        if record.state not in ENDED:
            raise RunError(f"Run {run_id} is {record.state}.", f"Stop it first: fieldguide runs cancel {run_id}")
        with self._database.write() as connection:
            connection.execute(delete(metrics).where(metrics.c.run_id == run_id))
            connection.execute(delete(runs).where(runs.c.run_id == run_id))
        with storage_errors(self.folder(run_id)):
            shutil.rmtree(self.folder(run_id), ignore_errors=False)

    @contextmanager
    def alive(self, run_id: str) -> Iterator[RunRecord]:
        """Be the living process of a run for the body: hold its lock, be recorded, beat every 5 seconds.

        The record goes to `running`; its end state is left to the body. A request to cancel that an
        earlier life of the run left behind is dropped.

        Raises:
            RunError: unknown run, or another process is alive in it.
        """
        before = self._exactly(run_id)
        lock = FileLock(self.folder(run_id) / _LOCK_FILE)
        # a moment's patience, because looking whether a lock is held takes it for an instant
        if not lock.acquire(run_id, timeout=2.0):
            holder = lock.holder()
            where = f"process {holder.pid}" if holder else "another process"
            raise RunError(f"Run {run_id} is already running in {where}.", "Wait for it, or cancel it first.")
        try:
            if before.state != "pending":
                self._forget_wishes(run_id)
            record = self._begin(before)
            with self._heart(run_id):
                yield record
        finally:
            lock.release()

    def _begin(self, before: RunRecord) -> RunRecord:
        time = now()
        return self.update(
            before.run_id,
            state="running",
            started_at=before.started_at or time,
            finished_at=None,
            heartbeat_at=time,
            error=None,
            pid=os.getpid(),
            host=socket.gethostname(),
        )

    @contextmanager
    def _heart(self, run_id: str) -> Iterator[None]:
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(HEARTBEAT_SECONDS):
                try:
                    self.update(run_id, heartbeat_at=now())
                except (StorageError, RunError):
                    continue  # a busy or full disk must not end a healthy training; the next beat tries again

        thread = threading.Thread(target=beat, name=f"heartbeat {run_id}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=HEARTBEAT_SECONDS)

    def request_cancel(self, run_id: str, *, interrupt: bool = False) -> None:
        """Ask a pending or running run to stop; its checkpoint stays.

        Args:
            run_id: the run, exactly.
            interrupt: it is not unwanted, only in the way (the studio ends): its state will be `interrupted`.

        Raises:
            RunError: unknown run, or it has ended already.
        """
        self._not_ended(run_id)
        write_atomic(self.folder(run_id) / _CANCEL_FILE, _INTERRUPT if interrupt else b"")

    def request_finish(self, run_id: str) -> None:
        """Ask a pending or running run to end its training with the present epoch, keep the best weights and go on.

        Raises:
            RunError: unknown run, or it has ended already.
        """
        self._not_ended(run_id)
        write_atomic(self.folder(run_id) / _FINISH_FILE, b"")

    def _not_ended(self, run_id: str) -> None:
        record = self._exactly(run_id)
        if record.state in ENDED:
            raise RunError(f"Run {run_id} is not running: it is {record.state}.")

    def cancel_requested(self, run_id: str) -> bool:
        """Return whether somebody asked the run to stop. Cheap: one look at the file system."""
        return (self.folder(run_id) / _CANCEL_FILE).exists()

    def finish_requested(self, run_id: str) -> bool:
        """Return whether somebody asked the run to end its training early. Cheap, too."""
        return (self.folder(run_id) / _FINISH_FILE).exists()

    def stopped_state(self, run_id: str) -> RunState:
        """Return the state of a run that has stopped because it was asked to: `cancelled` or `interrupted`."""
        path = self.folder(run_id) / _CANCEL_FILE
        with storage_errors(path, "read"), contextlib.suppress(FileNotFoundError):
            return "interrupted" if path.read_bytes() == _INTERRUPT else "cancelled"
        return "cancelled"

    def requeue(self, run_id: str) -> RunRecord:
        """Make a run that was cut off, cancelled or failed `pending` again, to go on from its last checkpoint.

        Raises:
            RunError: unknown run, or it is finished or has not ended.
        """
        record = self._exactly(run_id)
        if record.state not in ENDED or record.state == "finished":
            raise RunError(f"Run {run_id} can't be resumed: it is {record.state}.")
        self._forget_wishes(run_id)
        return self.update(run_id, state="pending", pid=None, host=None, finished_at=None, error=None)

    def _forget_wishes(self, run_id: str) -> None:
        for name in (_CANCEL_FILE, _FINISH_FILE):
            (self.folder(run_id) / name).unlink(missing_ok=True)

    def reconcile(self) -> _Names:
        """Mark runs whose process died without a word as `interrupted`; return their ids.

        A run counts as dead if its record says that a process has it, but nobody holds its lock.
        """
        begun = (runs.c.state == "running") | ((runs.c.state == "pending") & runs.c.pid.is_not(None))
        return [run.run_id for run in self._select(begun) if self._bury(run)]

    def _bury(self, run: RunRecord) -> bool:
        lock = FileLock(self.folder(run.run_id) / _LOCK_FILE)
        here = run.host in (None, socket.gethostname())
        if not lock.path.exists() and not here:
            return False  # lives on a machine whose files we don't see
        if run.state == "pending" and here and _process_lives(run):
            return False  # between being recorded and taking its lock
        # the moment's patience is for children of a killed process that still hold what it left
        if not lock.acquire(run.run_id, timeout=0.1):
            return False
        try:
            unchanged = (runs.c.run_id == run.run_id) & (runs.c.state == run.state) & (runs.c.pid == run.pid)
            values = {
                "state": "interrupted",
                "finished_at": run.heartbeat_at or now(),
                "error": "The process ended without a word: it was killed, or the machine stopped.",
            }
            with self._database.write() as connection:
                return bool(connection.execute(runs.update().where(unchanged).values(**values)).rowcount)
        finally:
            lock.release()


def _process_lives(run: RunRecord) -> bool:
    """Return whether the recorded process exists; a number given anew to a younger process doesn't count."""
    if run.pid is None:
        return False
    try:
        return psutil.Process(run.pid).create_time() <= run.created_at.timestamp() + 60.0
    except psutil.Error:
        return False


def _record(row: Row[Any]) -> RunRecord:
    return RunRecord(**row._mapping)


def _finite(value: float) -> float | None:
    plain = to_plain(float(value))
    return None if plain is None else float(plain)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")

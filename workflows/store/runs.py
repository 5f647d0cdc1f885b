"""The records of runs: the request, what happened, and whether the process is alive.

A run's record is the truth about it; Prefect only starts and stops
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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from sqlalchemy import ColumnElement, delete, insert, select, update

from workflows.errors import RunError, StorageError
from workflows.state import RUN_STATES, State
from workflows.store.database import Database
from workflows.store.files import remove_temporaries, storage_errors, to_plain, write_atomic
from workflows.store.locks import FileLock
from workflows.store.marks import Mark, MarkRecords
from workflows.store.names import slug
from workflows.store.run_folder import RunFolder
from workflows.store.run_record import Metric, RunKind, RunRecord
from workflows.store.tables import now
from workflows.store.thresholds import SavedThreshold
from workflows.words import listed

if TYPE_CHECKING:
    import pandas as pd

HEARTBEAT_SECONDS = 5.0
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_INTERRUPT = b"interrupt"
"""The content of the cancel file if the run is only to be interrupted, not cancelled."""


_Runs = list[RunRecord]  # inside the class below, `list` is its method
_Names = list[str]


class RunRecords:
    """What the database and the run folders know of runs."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def folder(self, run_id: str) -> RunFolder:
        """Return the folder of a run's files.

        Raises:
            RunError: this can't be a run's id (so no id can lead outside the folder of runs).
        """
        if not _PLAIN_ID.fullmatch(run_id):
            raise RunError(f"{run_id!r} is not a run's id.", "`fieldguide runs list` shows them.")
        return RunFolder(self._folder / run_id)

    def create(self, name_hint: str, request: dict[str, Any], kind: RunKind = "train") -> RunRecord:
        """Record a new run, in state `pending`, and make its folder.

        Args:
            name_hint: goes into the id, e.g. the data set's name.
            request: the complete request, so that the run can be repeated or resumed.
            kind: whether lists show it.
        """
        created = now()
        stem = f"{slug(name_hint, 'run')}-{created:%Y%m%d-%H%M%S}"
        run_id = self._claim_folder(stem)
        values = {"run_id": run_id, "kind": kind, "created_at": created, "request": request}
        with self._database.write() as connection:
            connection.execute(insert(RunRecord).values(state=State.PENDING, **values))
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
        """Return a run by its id, by the beginning of its id if no other begins so, by its title, or by `latest`.

        Raises:
            RunError: no run, or more than one, is meant by `name`.
        """
        if name == "latest":
            newest = self._select(RunRecord.kind != "trial", limit=1)
            if not newest:
                raise RunError("There are no runs yet.", "Start one with `fieldguide train FOLDER`.")
            return newest[0]
        found = self._select(RunRecord.run_id.startswith(name, autoescape=True)) if name else []
        exact = [run for run in found if run.run_id == name]
        if name and not found:
            found = self._select(RunRecord.run_id.in_(self._titled(name)))
            if len(found) > 1:
                raise RunError(
                    f"{len(found)} runs are called {name!r}:", "Give an id.", problems=[r.run_id for r in found]
                )
        if len(exact or found) != 1:
            raise self._not_one(name, [run.run_id for run in found])
        return (exact or found)[0]

    def _titled(self, title: str) -> _Names:
        titles = MarkRecords(self._database).titles("run")
        return [run_id for run_id, each in titles.items() if each.casefold() == title.casefold()]

    def _not_one(self, name: str, found: _Names) -> RunError:
        if found:
            return RunError(f"{len(found)} runs begin with {name!r}:", "Give more of the id.", problems=found)
        known = [run.run_id for run in self._select(limit=200)]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Did you mean {listed(near, full='fieldguide runs list')}? " if near else ""
        return RunError(f"There is no run {name!r}.", f"{hint}`fieldguide runs list` shows all.")

    def list(self) -> _Runs:
        """Return all runs but the trials of tunings, newest first."""
        return self._select(RunRecord.kind != "trial")

    def _select(self, condition: ColumnElement[bool] | None = None, limit: int | None = None) -> _Runs:
        query = select(RunRecord).order_by(RunRecord.created_at.desc(), RunRecord.run_id.desc()).limit(limit)
        if condition is not None:
            query = query.where(condition)
        with self._database.read() as connection:
            return [RunRecord.of(row) for row in connection.execute(query)]

    def _exactly(self, run_id: str) -> RunRecord:
        found = self._select(RunRecord.run_id == run_id)
        if not found:
            raise self._not_one(run_id, [])
        return found[0]

    def update(self, run_id: str, **columns: Any) -> RunRecord:
        """Change columns of a run's record; a run that ends gets its end time.

        Raises:
            RunError: unknown run.
            ValueError: unknown column or state.
        """
        unknown = set(columns) - set(RunRecord.names()) | ({"run_id"} & set(columns))
        state = columns.get("state", State.PENDING)
        if unknown or state not in RUN_STATES:
            raise ValueError(f"can't set {sorted(unknown) or state!r} of a run")
        if not State(state).alive:
            columns.setdefault("finished_at", now())
        if columns:
            with self._database.write() as connection:
                connection.execute(update(RunRecord).where(RunRecord.run_id == run_id).values(**columns))
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
        same = (Metric.run_id == run_id) & (Metric.step == step) & Metric.name.in_(values)
        with self._database.write() as connection:
            connection.execute(delete(Metric).where(same))
            connection.execute(insert(Metric), rows)

    def steps(self, run_id: str) -> pd.DataFrame:
        """Return the metrics of a run: columns step, name, value (NaN where not finite), time; by step and name."""
        import pandas as pd

        columns = [Metric.step, Metric.name, Metric.value, Metric.time]
        query = select(*columns).where(Metric.run_id == run_id).order_by(Metric.step, Metric.name)
        with self._database.read() as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        frame = pd.DataFrame(rows, columns=["step", "name", "value", "time"])
        return frame.astype({"step": "int64", "name": "str", "value": "float64", "time": "datetime64[us, UTC]"})

    def forget_steps(self, run_id: str, after: int) -> None:
        """Remove the metrics of all steps behind `after`, which a resumed training will do again."""
        with self._database.write() as connection:
            connection.execute(delete(Metric).where((Metric.run_id == run_id) & (Metric.step > after)))

    def delete(self, run_id: str) -> None:
        """Remove a run that has ended: its record and metrics, then its files.

        Raises:
            RunError: unknown run, or it has not ended.
            StorageError: the files can't be removed.
        """
        record = self._exactly(run_id)
        if record.state.alive:
            raise RunError(f"Run {run_id} is {record.state}.", f"Stop it first: fieldguide runs cancel {run_id}")
        with self._database.write() as connection:
            for part in (Metric, SavedThreshold):
                connection.execute(delete(part).where(part.run_id == run_id))
            connection.execute(delete(Mark).where(Mark.subject == "run", Mark.key == run_id))
            connection.execute(delete(RunRecord).where(RunRecord.run_id == run_id))
        with storage_errors(self.folder(run_id).path):
            shutil.rmtree(self.folder(run_id).path)

    @contextmanager
    def alive(self, run_id: str) -> Iterator[RunRecord]:
        """Be the living process of a run for the body: hold its lock, be recorded, beat every 5 seconds.

        The record goes to `running`; its end state is left to the body. A request to cancel that an
        earlier life of the run left behind is dropped, and so are its half-written files.

        Raises:
            RunError: unknown run, or another process is alive in it.
        """
        before = self._exactly(run_id)
        lock = FileLock(self.folder(run_id).lock)
        # a moment's patience, because a check of a lock takes it for an instant
        if not lock.acquire(run_id, timeout=2.0):
            holder = lock.holder()
            where = f"process {holder.pid}" if holder else "another process"
            raise RunError(f"Run {run_id} is already running in {where}.", "Wait for it, or cancel it first.")
        try:
            if before.state != State.PENDING:
                self._forget_wishes(run_id)
            remove_temporaries(self.folder(run_id).path)  # of an earlier life that was killed
            record = self._begin(before)
            with self._heart(run_id):
                yield record
        finally:
            lock.release()

    def _begin(self, before: RunRecord) -> RunRecord:
        time = now()
        return self.update(
            before.run_id,
            state=State.RUNNING,
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
        write_atomic(self.folder(run_id).cancel, _INTERRUPT if interrupt else b"")

    def request_finish(self, run_id: str) -> None:
        """Request a pending or running run to end its training with the present epoch, save the best weights and continue.

        Raises:
            RunError: unknown run, or it has ended already.
        """
        self._not_ended(run_id)
        write_atomic(self.folder(run_id).finish_early, b"")

    def _not_ended(self, run_id: str) -> None:
        record = self._exactly(run_id)
        if not record.state.alive:
            raise RunError(f"Run {run_id} is not running: it is {record.state}.")

    def cancel_requested(self, run_id: str) -> bool:
        """Return whether the run was requested to stop. Cheap: one check of the file system."""
        return self.folder(run_id).cancel.exists()

    def finish_requested(self, run_id: str) -> bool:
        """Return whether the run was requested to end its training early. Cheap, too."""
        return self.folder(run_id).finish_early.exists()

    def stopped_state(self, run_id: str) -> State:
        """Return the state of a run that has stopped on request: `cancelled` or `interrupted`."""
        path = self.folder(run_id).cancel
        with storage_errors(path, "read"), contextlib.suppress(FileNotFoundError):
            return State.INTERRUPTED if path.read_bytes() == _INTERRUPT else State.CANCELLED
        return State.CANCELLED

    def requeue(self, run_id: str) -> RunRecord:
        """Make a run that was cut off, cancelled or failed `pending` again, to continue from its last checkpoint.

        Raises:
            RunError: unknown run, or it is finished or has not ended.
        """
        record = self._exactly(run_id)
        if not record.state.resumable:
            raise RunError(f"Run {run_id} can't be resumed: it is {record.state}.")
        self._forget_wishes(run_id)
        return self.update(run_id, state=State.PENDING, pid=None, host=None, finished_at=None, error=None)

    def _forget_wishes(self, run_id: str) -> None:
        folder = self.folder(run_id)
        for path in (folder.cancel, folder.finish_early):
            path.unlink(missing_ok=True)

    def reconcile(self) -> _Names:
        """Mark runs whose process died without a word as `interrupted`; return their ids.

        A run counts as dead if its record says that a process has it, but nobody holds its lock.
        """
        begun = (RunRecord.state == State.RUNNING) | ((RunRecord.state == State.PENDING) & RunRecord.pid.is_not(None))
        return [run.run_id for run in self._select(begun) if self._reap(run)]

    def _reap(self, run: RunRecord) -> bool:
        lock = FileLock(self.folder(run.run_id).lock)
        here = run.host in (None, socket.gethostname())
        if not lock.path.exists() and not here:
            return False  # lives on a machine whose files we don't see
        if run.state == State.PENDING and here and _process_is_alive(run):
            return False  # between being recorded and taking its lock
        # the moment's patience is for children of a killed process that still hold its lock
        if not lock.acquire(run.run_id, timeout=0.1):
            return False
        try:
            unchanged = (RunRecord.run_id == run.run_id) & (RunRecord.state == run.state) & (RunRecord.pid == run.pid)
            values = {
                "state": State.INTERRUPTED,
                "finished_at": run.heartbeat_at or now(),
                "error": "The process ended without a word: it was killed, or the machine stopped.",
            }
            with self._database.write() as connection:
                return bool(connection.execute(update(RunRecord).where(unchanged).values(**values)).rowcount)
        finally:
            lock.release()


def _process_is_alive(run: RunRecord) -> bool:
    """Return whether the recorded process exists; a number reused by a younger process doesn't count."""
    if run.pid is None:
        return False
    try:
        return psutil.Process(run.pid).create_time() <= run.created_at.timestamp() + 60.0
    except psutil.Error:
        return False


def _finite(value: float) -> float | None:
    plain = to_plain(float(value))
    return None if plain is None else float(plain)

"""The studio's processes, and starting, stopping and resuming runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import psutil

from app.digits import DEMO
from flows.progress_file import WorkProgress, read_progress
from flows.runner_devices import hardware_path
from flows.runner_queue import Order, Queue
from flows.studio_file import Part, StudioFile, read_studio
from workflows.errors import FieldguideError, StorageError
from workflows.goals import DEFAULT_GOAL
from workflows.requests import validated
from workflows.state import State
from workflows.store.files import read_json
from workflows.store.store import Store

DEMO_SECONDS = 120.0


class StudioClient:
    """State of the studio's processes; requests to the runner."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue = Queue(store)

    # ------------------------------------------------------------------ state

    def file(self) -> StudioFile | None:
        """Return addresses and states of the running studio, None if there is none (a page started by hand)."""
        return read_studio(self._store.home)

    def parts(self) -> dict[str, Part]:
        """Return the studio's processes by name."""
        found = self.file()
        return found.parts if found else {}

    def hardware(self) -> dict[str, Any]:
        """Return the training hardware: `kind`, `name`, `device`, `memory_bytes`, `cores`, `torch_version`.

        The last two and `device` are missing until the runner has probed it.
        """
        try:
            return dict(read_json(hardware_path(self._store)))
        except (StorageError, TypeError, ValueError):
            return {"kind": "cpu", "name": "this computer", "memory_bytes": psutil.virtual_memory().total}

    def waiting(self) -> list[Order]:
        """Return the waiting trainings in their order, each with what it waits for."""
        return [order for order in self._queue.orders() if not order.process]

    def waits_for(self, run_id: str) -> str:
        """Return what a pending run waits for; empty if it doesn't wait."""
        order = self._queue.get(run_id)
        if order is None or order.process:
            return ""
        return order.waiting or ("about to start" if "runner" in self.parts() else "waiting for `fieldguide up`")

    def progress(self, run_id: str) -> WorkProgress | None:
        """Return the progress of a run that the studio executes; None before it has reported any."""
        return read_progress(self._store.run_folder(run_id).progress)

    # ----------------------------------------------------------------- requests

    def start_training(self, request: Mapping[str, Any], priority: int = 0) -> str:
        """Record a run and queue it; return its id.

        Args:
            request: fields of `workflows.pipeline.TrainRequest`.
            priority: higher ones run first among those that wait.

        Raises:
            UsageError: the request is invalid.
            StorageError: it can't be recorded.
        """
        from workflows.pipeline import create_run
        from workflows.requests import TrainRequest

        checked = validated(TrainRequest, request, "The training can't be started: ")
        run_id = create_run(self._store, checked).run_id
        self._queue.put(run_id, priority)
        return run_id

    def cancel(self, run_id: str) -> None:
        """Request a run to stop at its next batch; a waiting one leaves the queue. Raises RunError."""
        self._store.runs.request_cancel(run_id)
        if self._queue.get(run_id) is not None and "runner" not in self.parts():
            self._queue.drop(run_id)
            self._store.runs.update(run_id, state=State.CANCELLED, error="cancelled before it started")

    def stop_and_keep(self, run_id: str) -> None:
        """Request a run to end its training with the present epoch, save the best weights and evaluate them. Raises RunError."""
        self._store.runs.request_finish(run_id)

    def resume(self, run_id: str, priority: int = 0) -> str:
        """Queue an interrupted, cancelled or failed run to resume from its last checkpoint. Raises RunError."""
        self._store.runs.requeue(run_id)
        self._queue.put(run_id, priority)
        return run_id

    def try_demo(self) -> str:
        """Start a training on the embedded digits; return the run's id.

        Raises:
            FieldguideError: they can't be written.
        """
        request = {"weights": "none", "goal": DEFAULT_GOAL}
        if self._store.datasets.get(DEMO) is not None:
            return self.start_training({**request, "dataset": DEMO})
        folder = self._store.home / "demo" / DEMO
        # in a process of its own: reading the digits takes memory that a page would never give back
        code = (
            "import sys; from pathlib import Path; from app.digits import write_digits; write_digits(Path(sys.argv[1]))"
        )
        command = [sys.executable, "-P", "-c", code, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEMO_SECONDS, check=False)
        if done.returncode:
            raise FieldguideError("The digits can't be written.", done.stderr.strip().splitlines()[-1])
        return self.start_training({**request, "source": str(folder)})

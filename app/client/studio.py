"""What runs behind the studio, and the orders that a page can give it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import psutil

from app.client.asked import checked
from flows.runner_devices import hardware_path
from flows.runner_queue import Order, Queue
from flows.studio_file import Part, StudioFile, read_studio
from flows.telling import Told, read_told
from workflows.errors import FieldguideError, StorageError
from workflows.store.files import read_json
from workflows.store.store import Store

DEMO = "digits"
DEMO_SECONDS = 120.0


class Studio:
    """State of the studio's processes; orders to the runner."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue = Queue(store)

    # ------------------------------------------------------------------ state

    def file(self) -> StudioFile | None:
        """Return addresses and states of the studio that is up, None if there is none (a page started by hand)."""
        return read_studio(self._store.home)

    def parts(self) -> dict[str, Part]:
        """Return the studio's processes by name: prefect, web, runner, inference."""
        found = self.file()
        return found.parts if found else {}

    def hardware(self) -> dict[str, Any]:
        """Return what there is to train on: `kind`, `name`, `device`, `memory_bytes`, `cores`, `torch_version`.

        The last two and `device` are missing until the runner has looked.
        """
        try:
            return dict(read_json(hardware_path(self._store)))
        except (StorageError, TypeError, ValueError):
            return {"kind": "cpu", "name": "this computer", "memory_bytes": psutil.virtual_memory().total}

    def waiting(self) -> list[Order]:
        """Return the trainings that wait, in their turn; each says for what."""
        return [order for order in self._queue.orders() if not order.process]

    def waits_for(self, run_id: str) -> str:
        """Say in words what a pending run waits for; empty if it doesn't wait."""
        order = self._queue.get(run_id)
        if order is None or order.process:
            return ""
        return order.waiting or ("about to start" if "runner" in self.parts() else "waiting for `fieldguide up`")

    def progress(self, run_id: str) -> Told | None:
        """Return how far a run that the studio executes is; None before it has told anything."""
        return read_told(self._store.run_folder(run_id) / "progress.json")

    # ----------------------------------------------------------------- orders

    def start_training(self, request: Mapping[str, Any], priority: int = 0) -> str:
        """Record a run and order it to be executed; return its id.

        Args:
            request: fields of `workflows.pipeline.TrainRequest`.
            priority: higher goes first among those that wait.

        Raises:
            UsageError: the request is wrong.
            StorageError: it can't be recorded.
        """
        from workflows.pipeline import TrainRequest, create_run

        asked = checked(TrainRequest, request, "The training can't be started: ")
        run_id = create_run(self._store, asked).run_id
        self._queue.put(run_id, priority)
        return run_id

    def cancel(self, run_id: str) -> None:
        """Ask a run to stop at its next batch; one that waits leaves the queue. Raises RunError."""
        self._store.runs.request_cancel(run_id)
        if self._queue.get(run_id) is not None and "runner" not in self.parts():
            self._queue.drop(run_id)
            self._store.runs.update(run_id, state="cancelled", error="cancelled before it began")

    def stop_and_keep(self, run_id: str) -> None:
        """Ask a run to end its training with the present epoch, keep the best weights and evaluate them. Raises RunError."""
        self._store.runs.request_finish(run_id)

    def resume(self, run_id: str, priority: int = 0) -> str:
        """Order that a run that was cut off, cancelled or failed goes on from its last checkpoint. Raises RunError."""
        self._store.runs.requeue(run_id)
        self._queue.put(run_id, priority)
        return run_id

    def try_demo(self) -> str:
        """Start a training on the digits that come with the installation; return the run's id.

        Raises:
            FieldguideError: they can't be written.
        """
        request = {"weights": "none", "goal": "balanced"}
        if self._store.datasets.get(DEMO) is not None:
            return self.start_training({**request, "dataset": DEMO})
        folder = self._store.home / "demo" / DEMO
        # in a process of its own: what reads the digits needs more memory than a page ever gives back
        code = (
            "import sys; from pathlib import Path; from app.digits import write_digits; write_digits(Path(sys.argv[1]))"
        )
        command = [sys.executable, "-P", "-c", code, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEMO_SECONDS, check=False)
        if done.returncode:
            raise FieldguideError("The digits can't be written out.", done.stderr.strip().splitlines()[-1])
        return self.start_training({**request, "source": str(folder)})

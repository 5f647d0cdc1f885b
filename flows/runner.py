"""The studio's runner: executes queued trainings, each in a process of its own.

Why not a Prefect worker: a worker starts a process for every waiting run, each with PyTorch in memory; has no
order among them; and was seen to hang, or to leave its children uncancellable, when the server was down for more
than a minute. Here a waiting run costs one small file, the order is defined, and only one training at a time gets a
device. The flow itself still runs in Prefect, which shows it, retries its stages and caches their results.
A larger installation may run a Prefect worker beside it: `flows/training.py:train` is deployable.

Usage: `python -m flows.runner --studio PID@START`
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from flows.alerts import alert
from flows.process_identity import ProcessIdentity
from flows.runner_devices import Devices
from flows.runner_queue import Order, Queue
from flows.service import serve, start_job
from workflows.errors import FieldguideError, RunError
from workflows.state import State
from workflows.store.store import RunRecord, Store
from workflows.throttle import Throttle

POLL_SECONDS = 0.5
RECONCILE_SECONDS = 10.0
STOP_SECONDS = 12.0
"""Seconds trainings may take to reach their next batch when the studio ends."""
KILLED_SECONDS = 3.0
WORDS_KEPT = 2000


class Runner:
    """Starts a process for each queued run, one training per device."""

    def __init__(self, store: Store, studio: ProcessIdentity) -> None:
        self.store, self.studio = store, studio
        self.queue = Queue(store)
        self.devices = Devices(store)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._reconciles = Throttle(RECONCILE_SECONDS)

    def step(self) -> None:
        """Poll once: reap ended processes, drop unwanted runs, start the next."""
        if self._reconciles.is_due():
            self._reconcile()
            self._reconciles.done()
        for order in self._waiting(self._settled(self.queue.orders())):
            self._start(order)

    def _reconcile(self) -> None:
        """Mark runs whose processes were killed, and send the alerts."""
        for run_id in self.store.runs.reconcile():
            record = self.store.runs.get(run_id)
            if record.kind != "trial":
                self._alert_failure(run_id, f"The training {run_id} was interrupted: {record.error}")

    def _alert_failure(self, run_id: str, text: str) -> None:
        """Send alerts in the background: the queue must not wait for an external server."""
        facts = {"run_id": run_id}
        threading.Thread(target=alert, args=(self.store, "failed", text), kwargs=facts, daemon=True).start()

    def _settled(self, orders: list[Order]) -> list[Order]:
        """Reap what has ended or is unwanted; return the rest."""
        return [order for order in orders if not self._over(order)]

    def _over(self, order: Order) -> bool:
        mark = order.mark
        child = self._children.get(order.run_id)
        if child is not None:
            child.poll()
        if mark is not None and mark.is_alive():
            return False
        if mark is not None:
            self._reap(order)
            return True
        return self._unwanted(order)

    def _reap(self, order: Order) -> None:
        """Its process has ended: make sure that the record shows how."""
        child = self._children.pop(order.run_id, None)
        self.queue.drop(order.run_id)
        self._reconcile()
        record = self._record(order)
        if record is not None and record.state == State.PENDING:  # it died before it could record anything
            code = "" if child is None else f" (code {child.returncode})"
            error = (
                f"The training's process ended before the training started{code}. {_log_tail(self.store, order.run_id)}"
            )
            self.store.runs.update(order.run_id, state=State.FAILED, error=error.strip())
            self._alert_failure(order.run_id, f"The training {order.run_id} failed: {error.strip()}")

    def _unwanted(self, order: Order) -> bool:
        """Drop an obsolete order: cancelled, deleted, or resumed elsewhere."""
        record = self._record(order)
        if record is not None and record.state == State.PENDING and not self.store.runs.cancel_requested(order.run_id):
            return False
        if record is not None and record.state == State.PENDING:
            state = self.store.runs.stopped_state(order.run_id)
            self.store.runs.update(order.run_id, state=state, error="cancelled before it started")
        self.queue.drop(order.run_id)
        return True

    def _record(self, order: Order) -> RunRecord | None:
        try:
            return self.store.runs.get(order.run_id)
        except RunError:
            return None

    def _waiting(self, orders: list[Order]) -> Iterator[Order]:
        """Yield the runs that may start now, with their devices; note for the others what they wait for.

        A later run may overtake only on devices that no earlier run waits for.
        """
        taken = {device: order for order in orders if order.process for device in order.devices}
        for order in orders:
            if order.process:
                continue
            wanted = self.devices.of(self.store.runs.get(order.run_id))
            if wanted is None:
                self.queue.change(order, waiting="detecting this machine's devices")
                continue
            in_the_way = next((device for device in wanted if device in taken), None)
            if in_the_way is None:
                yield self.queue.change(order, devices=wanted)
            else:
                self.queue.change(order, waiting=_words(in_the_way, taken[in_the_way]), devices=wanted)
            taken.update({device: order for device in wanted if device not in taken})

    def _start(self, order: Order) -> None:
        log = self.store.run_folder(order.run_id).log
        try:
            child = start_job("flows.runner_job", order.run_id, "--studio", str(self.studio), log=log)
        except OSError as error:  # its folder is gone, the disk is full, too many processes: the others continue
            self.queue.drop(order.run_id)
            self.store.runs.update(order.run_id, state=State.FAILED, error=f"The training can't be started: {error}.")
            return
        self._children[order.run_id] = child
        mark = ProcessIdentity.of(child.pid)
        self.queue.change(order, process=str(mark or ProcessIdentity(child.pid, time.time())), waiting="")

    def stop(self) -> None:
        """Request all trainings to stop at their next batch, and kill those that don't; they can be resumed."""
        running = [order for order in self.queue.orders() if order.process]
        for order in running:
            try:
                self.store.runs.request_cancel(order.run_id, interrupt=True)
            except FieldguideError:
                continue  # it has just ended, or the disk is full: then it is killed below
        end = time.monotonic() + STOP_SECONDS
        while running and time.monotonic() < end:
            running = self._settled(running)
            time.sleep(POLL_SECONDS / 2)
        for order in running:
            if order.mark is not None:
                order.mark.kill_group()
        end += KILLED_SECONDS
        while self._settled(running) and time.monotonic() < end:
            time.sleep(POLL_SECONDS / 2)


def _words(device: str, before: Order) -> str:
    name = "the CPU" if device == "cpu" else f"GPU {device}"
    return f"waiting for {name}: run {before.run_id} {'has it' if before.process else 'goes first'}"


def _log_tail(store: Store, run_id: str) -> str:
    try:
        text = store.run_folder(run_id).log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return " ".join(text[-WORDS_KEPT:].strip().splitlines()[-1:])


def _looking_ahead(store: Store, studio: ProcessIdentity) -> Runner:
    runner = Runner(store, studio)
    runner.devices.look_ahead()
    return runner


if __name__ == "__main__":
    sys.exit(serve("flows.runner", _looking_ahead, POLL_SECONDS))

"""The studio's runner: executes the trainings that were ordered, each in a process of its own.

Why not a Prefect worker: a worker starts a process for every run that waits, each with PyTorch in memory; knows no
order among them; and was seen to hang, or to leave its children uncancellable, when the server was away for more
than a minute. Here a waiting run costs one small file, the order is ours, and only one training at a time gets a
device. The flow itself still runs in Prefect, which shows it, retries its stages and takes over what others did.
A machine of a larger installation may well run a Prefect worker beside it: `flows/training.py:train` is deployable.

Usage: `python -m flows.runner --studio PID@START`
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from flows.alerts import alert
from flows.leash import Mark
from flows.runner_devices import Devices
from flows.runner_queue import Order, Queue
from flows.service import serve, start_job
from workflows.errors import FieldguideError, RunError
from workflows.store.store import RunRecord, Store

POLL_SECONDS = 0.5
RECONCILE_SECONDS = 10.0
STOP_SECONDS = 12.0
"""How long trainings may take to come to their next batch when the studio ends."""
KILLED_SECONDS = 3.0
WORDS_KEPT = 2000


class Runner:
    """Turns orders into processes, one training per device."""

    def __init__(self, store: Store, studio: Mark) -> None:
        self.store, self.studio = store, studio
        self.queue = Queue(store)
        self.devices = Devices(store)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._reconciled = float("-inf")

    def step(self) -> None:
        """Look once: who has ended, who is unwanted, who is next."""
        if time.monotonic() - self._reconciled > RECONCILE_SECONDS:
            self._reconcile()
            self._reconciled = time.monotonic()
        for order in self._waiting(self._settled(self.queue.orders())):
            self._start(order)

    def _reconcile(self) -> None:
        """See that the runs whose processes were killed are known as such, and that those who asked are told."""
        for run_id in self.store.runs.reconcile():
            record = self.store.runs.get(run_id)
            if record.kind != "trial":
                self._tell_failure(run_id, f"The training {run_id} was cut off: {record.error}")

    def _tell_failure(self, run_id: str, text: str) -> None:
        """Alert in the background: whoever waits for a device does not wait for somebody else's server."""
        facts = {"run_id": run_id}
        threading.Thread(target=alert, args=(self.store, "failed", text), kwargs=facts, daemon=True).start()

    def _settled(self, orders: list[Order]) -> list[Order]:
        """Bury what has ended or is unwanted; return the rest."""
        return [order for order in orders if not self._over(order)]

    def _over(self, order: Order) -> bool:
        mark = order.mark
        child = self._children.get(order.run_id)
        if child is not None:
            child.poll()
        if mark is not None and mark.lives():
            return False
        if mark is not None:
            self._bury(order)
            return True
        return self._unwanted(order)

    def _bury(self, order: Order) -> None:
        """Its process has ended: see that the record says how."""
        child = self._children.pop(order.run_id, None)
        self.queue.drop(order.run_id)
        self._reconcile()
        record = self._record(order)
        if record is not None and record.state == "pending":  # it died before it could say anything
            code = "" if child is None else f" (code {child.returncode})"
            error = f"The training's process ended before it began{code}. {_last_words(self.store, order.run_id)}"
            self.store.runs.update(order.run_id, state="failed", error=error.strip())
            self._tell_failure(order.run_id, f"The training {order.run_id} failed: {error.strip()}")

    def _unwanted(self, order: Order) -> bool:
        """Drop an order that waits for nothing: cancelled, deleted, or taken up by somebody else."""
        record = self._record(order)
        if record is not None and record.state == "pending" and not self.store.runs.cancel_requested(order.run_id):
            return False
        if record is not None and record.state == "pending":
            state = self.store.runs.stopped_state(order.run_id)
            self.store.runs.update(order.run_id, state=state, error="cancelled before it began")
        self.queue.drop(order.run_id)
        return True

    def _record(self, order: Order) -> RunRecord | None:
        try:
            return self.store.runs.get(order.run_id)
        except RunError:
            return None

    def _waiting(self, orders: list[Order]) -> Iterator[Order]:
        """Give those who may start now, with their devices; tell the others for whom they wait.

        Who is later in the queue may overtake only on devices for which nobody before it waits.
        """
        taken = {device: order for order in orders if order.process for device in order.devices}
        for order in orders:
            if order.process:
                continue
            wanted = self.devices.of(self.store.runs.get(order.run_id))
            if wanted is None:
                self.queue.change(order, waiting="looking what this machine can compute on")
                continue
            in_the_way = next((device for device in wanted if device in taken), None)
            if in_the_way is None:
                yield self.queue.change(order, devices=wanted)
            else:
                self.queue.change(order, waiting=_words(in_the_way, taken[in_the_way]), devices=wanted)
            taken.update({device: order for device in wanted if device not in taken})

    def _start(self, order: Order) -> None:
        log = self.store.run_folder(order.run_id) / "training.log"
        try:
            child = start_job("flows.runner_job", order.run_id, "--studio", str(self.studio), log=log)
        except OSError as error:  # its folder is gone, the disk is full, too many processes: the others go on
            self.queue.drop(order.run_id)
            self.store.runs.update(order.run_id, state="failed", error=f"The training can't be started: {error}.")
            return
        self._children[order.run_id] = child
        mark = Mark.of(child.pid)
        self.queue.change(order, process=str(mark or Mark(child.pid, time.time())), waiting="")

    def stop(self) -> None:
        """Ask all trainings to stop at their next batch, and end those that don't; they can be resumed."""
        running = [order for order in self.queue.orders() if order.process]
        for order in running:
            try:
                self.store.runs.request_cancel(order.run_id, interrupt=True)
            except FieldguideError:
                continue  # ended by itself, or the disk is full: then it is ended below
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
    name = "the processor" if device == "cpu" else f"GPU {device}"
    return f"waiting for {name}: run {before.run_id} {'has it' if before.process else 'goes first'}"


def _last_words(store: Store, run_id: str) -> str:
    try:
        text = (store.run_folder(run_id) / "training.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return " ".join(text[-WORDS_KEPT:].strip().splitlines()[-1:])


def _looking_ahead(store: Store, studio: Mark) -> Runner:
    runner = Runner(store, studio)
    runner.devices.look_ahead()
    return runner


if __name__ == "__main__":
    sys.exit(serve("flows.runner", _looking_ahead, POLL_SECONDS))

"""Runs: identity, states, metrics, and knowing the dead from the living."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from workflows.errors import RunError
from workflows.store import runs as runs_module
from workflows.store.store import Store
from workflows.store.tables import now

LIVING = """
    import sys, time
    from workflows.store.store import Store
    with Store().runs.alive(sys.argv[1]):
        print("alive", flush=True)
        time.sleep(60)
"""


@contextmanager
def living_process(run_id: str, program: str = LIVING) -> Iterator[subprocess.Popen[str]]:
    """Another process that is alive in the run."""
    command = [sys.executable, "-c", textwrap.dedent(program), run_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "alive\n"
        try:
            yield process
        finally:
            process.kill()


def test_new_run(store: Store) -> None:
    run = store.runs.create("Flowers (2026)", {"source": Path("/photos"), "epochs": 3})
    assert re.fullmatch(r"flowers-2026-\d{8}-\d{6}-[0-9a-f]{4}", run.run_id)
    assert (run.state, run.request) == ("pending", {"source": "/photos", "epochs": 3})
    assert abs(run.created_at - datetime.now(UTC)) < timedelta(seconds=10)
    assert store.run_folder(run.run_id).path.is_dir()


@pytest.mark.parametrize("hint", ["", "花", "../..", "a" * 300, "=cmd|'!A1"])
def test_any_hint_gives_a_plain_id(store: Store, hint: str) -> None:
    run = store.runs.create(hint, {})
    assert store.run_folder(run.run_id).path.parent == store.home / "runs"
    assert len(run.run_id) < 80


def test_ids_of_one_second_differ(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the random part repeats itself, and from several threads."""
    moment = now()
    parts = iter([f"{number // 3:04x}" for number in range(1000)])
    monkeypatch.setattr(runs_module, "now", lambda: moment)
    monkeypatch.setattr(runs_module.secrets, "token_hex", lambda _bytes: next(parts))
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: store.runs.create("same", {}).run_id, range(30)))
    assert len(set(ids)) == 30


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a" * 81, "x\n", "-x"])
def test_no_name_leads_out_of_the_folder_of_runs(store: Store, name: str) -> None:
    with pytest.raises(RunError):
        store.run_folder(name)
    with pytest.raises(RunError):
        store.runs.get(name)


def test_lookup(store: Store) -> None:
    with pytest.raises(RunError, match="no runs yet"):
        store.runs.get("latest")
    first = store.runs.create("ants", {})
    second = store.runs.create("antelopes", {})
    assert store.runs.get("latest") == second
    assert [run.run_id for run in store.runs.list()] == [second.run_id, first.run_id]
    assert store.runs.get("ants") == store.runs.get(first.run_id) == first
    with pytest.raises(RunError, match="2 runs begin with 'ant'"):
        store.runs.get("ant")
    with pytest.raises(RunError, match="no run 'anst-20") as caught:
        store.runs.get("anst-20" + first.run_id[7:])
    assert first.run_id in caught.value.hint
    for wildcard in ("%", "ant%", "ant_"):
        with pytest.raises(RunError, match="no run"):
            store.runs.get(wildcard)


def test_an_id_that_begins_another_is_itself(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module.RunRecords, "_claim_folder", lambda self, stem: stem)
    short = store.runs.create("a", {})
    monkeypatch.setattr(runs_module.RunRecords, "_claim_folder", lambda self, stem: f"{short.run_id}-0000")
    store.runs.create("a", {})
    assert store.runs.get(short.run_id) == short


def test_update(store: Store) -> None:
    run = store.runs.create("a", {})
    changed = store.runs.update(
        run.run_id, state="finished", result={"top1": np.float32(0.5), "nan": float("nan")}, dataset="a", version=2
    )
    assert changed == store.runs.get(run.run_id)
    assert (changed.state, changed.version) == ("finished", 2)
    assert changed.result is not None and changed.result.document() == {"top1": 0.5, "nan": None}
    assert changed.finished_at is not None
    with pytest.raises(ValueError, match="done"):
        store.runs.update(run.run_id, state="done")
    with pytest.raises(ValueError, match="colour"):
        store.runs.update(run.run_id, colour="red")
    with pytest.raises(RunError, match="no run"):
        store.runs.update("unknown", state="failed")


def test_steps(store: Store) -> None:
    run, other = (store.runs.create("a", {}).run_id for _ in range(2))
    assert store.runs.steps(run).empty
    for step in (1, 2, 3):
        store.runs.record_step(run, step, {"train/loss": 1 / step, "val/top1": np.float32(0.5)})
    store.runs.record_step(other, 3, {"train/loss": 9.0})
    store.runs.record_step(run, 2, {"train/loss": float("nan"), "learning_rate": 1e-3})
    store.runs.record_step(run, 3, {})
    frame = store.runs.steps(run)
    assert frame.columns.tolist() == ["step", "name", "value", "time"]
    assert frame[["step", "name"]].values.tolist() == [
        [1, "train/loss"],
        [1, "val/top1"],
        [2, "learning_rate"],
        [2, "train/loss"],
        [2, "val/top1"],
        [3, "train/loss"],
        [3, "val/top1"],
    ]
    assert np.isnan(frame["value"][3]) and frame["value"][4] == 0.5
    assert str(frame["time"].dt.tz) == "UTC"
    assert frame.dtypes.astype(str).tolist() == store.runs.steps("none").dtypes.astype(str).tolist()


def test_forgetting_steps_cuts_exactly_behind(store: Store) -> None:
    run, other = (store.runs.create("a", {}).run_id for _ in range(2))
    for step in (1, 2, 3, 4):
        store.runs.record_step(run, step, {"a": 1.0, "b": 2.0})
        store.runs.record_step(other, step, {"a": 1.0})
    store.runs.forget_steps(run, after=2)
    assert store.runs.steps(run)["step"].tolist() == [1, 1, 2, 2]
    assert len(store.runs.steps(other)) == 4


def test_life_of_a_run(store: Store) -> None:
    run = store.runs.create("a", {})
    with store.runs.alive(run.run_id) as living:
        assert (living.state, living.pid) == ("running", os.getpid())
        assert living.started_at is not None and living.heartbeat_at is not None
        assert store.runs.reconcile() == []
        store.runs.update(run.run_id, state="finished")
    assert store.runs.reconcile() == []
    assert store.runs.get(run.run_id).state == "finished"


def test_the_heart_beats(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "HEARTBEAT_SECONDS", 0.05)
    run = store.runs.create("a", {})
    with store.runs.alive(run.run_id) as living:
        time.sleep(0.5)
    beat = store.runs.get(run.run_id).heartbeat_at
    assert beat is not None and living.heartbeat_at is not None and beat > living.heartbeat_at
    time.sleep(0.2)
    assert store.runs.get(run.run_id).heartbeat_at == beat


def test_only_one_process_is_alive_in_a_run(store: Store) -> None:
    run = store.runs.create("a", {})
    with living_process(run.run_id) as other:
        with pytest.raises(RunError, match=rf"process {other.pid}\b"), store.runs.alive(run.run_id):
            pass
        assert store.runs.reconcile() == []
    with (
        store.runs.alive(run.run_id),
        pytest.raises(RunError, match=f"process {os.getpid()}"),
        store.runs.alive(run.run_id),
    ):
        pass


def test_killed_run_is_found_and_can_live_again(store: Store) -> None:
    dead = store.runs.create("dead", {})
    finished = store.runs.create("finished", {})
    waiting = store.runs.create("waiting", {})
    store.runs.update(finished.run_id, state="finished")
    with living_process(dead.run_id) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert store.runs.get(dead.run_id).state == "running"
        assert store.runs.reconcile() == [dead.run_id]
    record = store.runs.get(dead.run_id)
    assert record.state == "interrupted" and record.error is not None and "without a word" in record.error
    assert record.finished_at == record.heartbeat_at
    assert store.runs.get(waiting.run_id).state == "pending"
    with store.runs.alive(dead.run_id) as again:
        assert (again.state, again.error, again.finished_at) == ("running", None, None)
        assert again.started_at == record.started_at


def test_half_written_files_of_a_killed_life_are_removed(store: Store) -> None:
    killed_while_writing = """
        import os, signal, sys
        from workflows.store.files import atomic_path
        from workflows.store.store import Store
        store = Store()
        with store.runs.alive(sys.argv[1]), atomic_path(store.run_folder(sys.argv[1]).model.card) as half:
            half.write_bytes(b"half")
            print("alive", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    run = store.runs.create("dead", {})
    folder = store.run_folder(run.run_id)
    with living_process(run.run_id, killed_while_writing) as process:
        process.wait()
    assert len(list(folder.model.path.iterdir())) == 1
    assert store.runs.reconcile() == [run.run_id]
    with store.runs.alive(run.run_id):
        assert not list(folder.model.path.iterdir())


def test_forked_children_do_not_keep_a_dead_run_alive(store: Store) -> None:
    """Loader processes share their parent's open files, and may outlive it for a while."""
    program = """
        import os, sys, time
        from workflows.store.store import Store
        with Store().runs.alive(sys.argv[1]):
            ready, done = os.pipe()
            if os.fork() == 0:
                os.close(1)
                os.write(done, b"1")
                time.sleep(5)
                os._exit(0)
            os.read(ready, 1)
            print("alive", flush=True)
            time.sleep(60)
    """
    run = store.runs.create("a", {})
    with living_process(run.run_id, program) as process:
        process.kill()
        process.wait()
        assert store.runs.reconcile() == [run.run_id]


def test_pending_run_of_a_dead_process(store: Store) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead, starting = (store.runs.create(name, {}).run_id for name in ("dead", "starting"))
    host = os.uname().nodename
    store.runs.update(dead, pid=gone.pid, host=host)
    store.runs.update(starting, pid=os.getpid(), host=host)
    assert store.runs.reconcile() == [dead]


def test_runs_of_another_machine_are_left_alone(store: Store) -> None:
    run = store.runs.create("a", {}).run_id
    store.runs.update(run, state="running", pid=1, host="another-machine")
    assert store.runs.reconcile() == []


def test_cancel(store: Store) -> None:
    run = store.runs.create("a", {}).run_id
    assert not store.runs.cancel_requested(run)
    store.runs.request_cancel(run)
    with store.runs.alive(run):  # asked before it began: still asked
        assert Store().runs.cancel_requested(run)
        store.runs.update(run, state="cancelled")
    with pytest.raises(RunError, match="it is cancelled"):
        store.runs.request_cancel(run)
    with store.runs.alive(run):  # resumed: the old request is over
        assert not store.runs.cancel_requested(run)
        store.runs.request_cancel(run)
        assert store.runs.cancel_requested(run)
    with pytest.raises(RunError, match="no run"):
        store.runs.request_cancel("unknown")

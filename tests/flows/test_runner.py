"""The runner: who goes first, who waits for whom, how trainings end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from app.client import Client
from flows.process_identity import ProcessIdentity
from flows.runner_queue import Queue
from flows.studio_file import StudioFile, read_studio
from tests.app.studio import eventually
from workflows.errors import RunError, UsageError
from workflows.pipeline import create_run
from workflows.requests import TrainRequest
from workflows.store.store import Store

LONG = {"weights": "none", "size": 32, "epochs": 400, "device": "cpu"}


def state(client: Client, run_id: str) -> str:
    return client.store.runs.get(run_id).state


def has_state(client: Client, run_id: str, wanted: str) -> bool:
    return state(client, run_id) == wanted


# ------------------------------------------------------------------ the queue


def test_who_runs_comes_first_then_by_priority_then_by_time(client: Client) -> None:
    queue = Queue(client.store)
    for run_id, priority in (("a", 0), ("b", 0), ("c", 5)):
        queue.put(run_id, priority)
    queue.change(queue.put("d", -1), process=str(ProcessIdentity.current()))
    assert [order.run_id for order in queue.orders()] == ["d", "c", "a", "b"]
    queue.drop("c")
    queue.drop("c")
    assert [order.run_id for order in queue.orders()] == ["d", "a", "b"]


def test_a_damaged_order_is_passed_over(client: Client) -> None:
    queue = Queue(client.store)
    queue.put("a")
    (queue.folder / "b.json").write_text("{")
    (queue.folder / "c.json").write_text('{"who": 1}')
    assert [order.run_id for order in queue.orders()] == ["a"]


def test_a_mark_names_one_process_only() -> None:
    current = ProcessIdentity.current()
    assert ProcessIdentity.parse(str(current)).is_alive()
    assert not ProcessIdentity(current.pid, current.started - 100.0).is_alive(), (
        "a number given anew is not the same process"
    )
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    mark = ProcessIdentity.of(child.pid)
    eventually(lambda: mark is None or not mark.is_alive(), 60)  # ended, though not yet buried by its parent
    child.wait()


def test_what_stands_in_studio_json_counts_only_while_the_studio_lives(tmp_path: Path) -> None:
    tmp_path.mkdir(exist_ok=True)
    file = StudioFile(str(ProcessIdentity.current()), "http://127.0.0.1:1", "", "", "", "", "")
    file.write(tmp_path)
    assert read_studio(tmp_path) == file
    StudioFile("1@1.0", "", "", "", "", "", "").write(tmp_path)
    assert read_studio(tmp_path) is None
    (tmp_path / "studio.json").write_text("[]")
    assert read_studio(tmp_path) is None


def test_a_wrong_request_is_refused_in_words(client: Client) -> None:
    with pytest.raises(UsageError, match="epochs"):
        client.studio.start_training({"dataset": "x", "epochs": 0})
    with pytest.raises(UsageError, match="data set"):
        client.studio.start_training({"epochs": 1})
    assert client.runs.ids() == []


def test_without_a_runner_an_order_waits_and_can_be_cancelled(client: Client) -> None:
    run_id = client.studio.start_training({"dataset": "x"})
    assert "fieldguide up" in client.studio.waits_for(run_id)
    client.studio.cancel(run_id)
    assert state(client, run_id) == "cancelled"
    assert client.studio.waiting() == []
    client.studio.resume(run_id)
    assert state(client, run_id) == "pending"
    assert not client.store.runs.cancel_requested(run_id)


def test_a_finished_or_running_run_is_not_resumed(client: Client) -> None:
    run = create_run(client.store, TrainRequest(dataset="x"))
    with pytest.raises(RunError, match="pending"):
        client.studio.resume(run.run_id)
    client.store.runs.update(run.run_id, state="finished")
    with pytest.raises(RunError, match="finished"):
        client.studio.resume(run.run_id)


# ----------------------------------------------------------- with real runs


def test_one_trains_another_waits_and_both_can_be_cancelled(
    client: Client, runner: subprocess.Popen[bytes], tiny_source: Path
) -> None:
    order = {**LONG, "source": str(tiny_source)}
    first = client.studio.start_training(order)
    eventually(lambda: state(client, first) == "running")
    second, third = client.studio.start_training(order), client.studio.start_training(order, priority=1)
    eventually(lambda: first in client.studio.waits_for(third))
    eventually(lambda: client.studio.waits_for(second).startswith("waiting for the CPU: run"))
    assert [waiting.run_id for waiting in client.studio.waiting()] == [third, second]
    for run_id in (third, second, first):
        client.studio.cancel(run_id)
        eventually(partial(has_state, client, run_id, "cancelled"))
    eventually(lambda: Queue(client.store).orders() == [])


def test_a_run_that_can_not_be_started_does_not_stop_the_others(
    client: Client, runner: subprocess.Popen[bytes], tiny_source: Path
) -> None:
    broken = create_run(client.store, TrainRequest(source=str(tiny_source), device="cpu")).run_id
    shutil.rmtree(client.store.run_folder(broken).path)
    Queue(client.store).put(broken)
    eventually(partial(has_state, client, broken, "failed"))
    assert "start" in (client.store.runs.get(broken).error or "")
    assert runner.poll() is None


@pytest.mark.slow
def test_stop_and_keep_evaluates_the_best_so_far(
    client: Client, runner: subprocess.Popen[bytes], tiny_source: Path
) -> None:
    run_id = client.studio.start_training({**LONG, "source": str(tiny_source)})
    eventually(lambda: len(client.store.runs.steps(run_id)) > 0)
    client.studio.stop_and_keep(run_id)
    eventually(lambda: state(client, run_id) == "finished")
    result = client.store.runs.get(run_id).result
    assert result is not None
    assert result.metrics_of("test")["support"] > 0
    assert client.store.runs.steps(run_id)["step"].max() < LONG["epochs"]


@pytest.mark.slow
def test_the_end_of_the_runner_interrupts_its_trainings(
    client: Client, runner: subprocess.Popen[bytes], tiny_source: Path
) -> None:
    run_id = client.studio.start_training({**LONG, "source": str(tiny_source)})
    eventually(lambda: len(client.store.runs.steps(run_id)) > 0)
    pid = client.store.runs.get(run_id).pid
    assert pid is not None
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(timeout=60) == 0
    assert state(client, run_id) == "interrupted"
    eventually(lambda: not psutil.pid_exists(pid))  # buried by somebody
    assert Queue(client.store).orders() == []


@pytest.mark.slow
def test_a_training_that_is_killed_is_known_to_be_dead(
    client: Client, runner: subprocess.Popen[bytes], tiny_source: Path
) -> None:
    run_id = client.studio.start_training({**LONG, "source": str(tiny_source)})
    eventually(lambda: len(client.store.runs.steps(run_id)) > 0)
    os.kill(client.store.runs.get(run_id).pid or 0, signal.SIGKILL)
    eventually(lambda: state(client, run_id) == "interrupted")
    eventually(lambda: Queue(client.store).orders() == [])
    client.studio.resume(run_id)
    eventually(lambda: state(client, run_id) == "running")


@pytest.mark.slow
def test_a_run_that_can_not_work_fails_in_words(
    client: Client, runner: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    run_id = client.studio.start_training({**LONG, "source": str(tmp_path / "nowhere")})
    eventually(lambda: state(client, run_id) == "failed")
    assert "nowhere" in (Store(client.store.home).runs.get(run_id).error or "")

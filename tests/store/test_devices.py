"""One GPU, one training."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.texts import mentions
from workflows.settings import TURNS
from workflows.store.devices import hold_device

HOLDER = """
    import sys, time
    from pathlib import Path
    from workflows.store.devices import hold_device
    with hold_device(Path(sys.argv[1]), sys.argv[2], print, owner="ants-1"):
        print("held", flush=True)
        sys.stdin.readline()
"""


def _holder(home: Path, device: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(home), device]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


class GaveUpError(Exception):
    """Somebody stopped waiting."""


def test_waits_for_the_holder_and_says_so(tmp_path: Path) -> None:
    told: list[str] = []
    with _holder(tmp_path, "0") as other:

        def end_the_other() -> None:
            assert other.stdin is not None
            other.stdin.close()

        with hold_device(tmp_path, "0,1", told.append, poll=end_the_other):
            pass
    (line,) = told
    assert mentions(line, "waiting for GPU 0", "run ants-1", f"process {other.pid}")


def test_killed_holder_frees_the_device(tmp_path: Path) -> None:
    with _holder(tmp_path, "1") as other:
        other.kill()
        other.wait()
        with hold_device(tmp_path, "1", pytest.fail):
            pass


def test_waiting_can_be_given_up(tmp_path: Path) -> None:
    def give_up() -> None:
        raise GaveUpError

    with hold_device(tmp_path, "1", pytest.fail):
        with pytest.raises(GaveUpError), hold_device(tmp_path, "0,1", lambda text: None, poll=give_up):
            pass
        with hold_device(tmp_path, "0", pytest.fail):  # what it had taken before is free again
            pass


def test_cpu_and_other_gpus_are_free(tmp_path: Path) -> None:
    with ExitStack() as held:
        for device in ("0", "1", "cpu", "cpu"):
            held.enter_context(hold_device(tmp_path, device, pytest.fail))


def test_numbers_are_those_outside_of_visible_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with hold_device(tmp_path, "0", pytest.fail):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
        with hold_device(tmp_path, "0", pytest.fail):
            pass
        held = [path.name for path in (tmp_path / "locks").glob("gpu-?.lock")]
        assert sorted(held) == ["gpu-2.lock", "gpu-3.lock"]


def test_trainings_of_the_studio_take_turns_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TURNS.variable, "1")
    told: list[str] = []
    with _holder(tmp_path, "cpu") as other:

        def end_the_other() -> None:
            assert other.stdin is not None
            other.stdin.close()

        with hold_device(tmp_path, "cpu", told.append, poll=end_the_other):
            (line,) = told
            assert mentions(line, "waiting for the CPU", "run ants-1", f"process {other.pid}")
            with hold_device(tmp_path, "0", pytest.fail):
                pass


def test_who_gives_a_device_back_stands_behind_those_who_wait(tmp_path: Path) -> None:
    """A search takes the device anew for each of its trials; a training must come in between."""
    order: list[str] = []
    with _searcher(tmp_path, 400) as search:
        assert search.stdout is not None and search.stdout.readline() == "held\n"
        with hold_device(tmp_path, "1", order.append):
            pass
        search.kill()
    (line,) = order
    assert mentions(line, "waiting for GPU 1", "run search")


def _searcher(home: Path, times: int) -> subprocess.Popen[str]:
    """Start a process that takes a device again as soon as it has given it back."""
    code = """
        import sys, time
        from pathlib import Path
        from workflows.store.devices import hold_device
        for number in range(int(sys.argv[2])):
            with hold_device(Path(sys.argv[1]), "1", lambda text: None, owner="search"):
                print("held", flush=True)
                time.sleep(1)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(home), str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

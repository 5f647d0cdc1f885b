"""The embedded server: there when needed, for its caller alone, gone with its caller."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from flows.runtime import EmbeddedServer, ServerError, answers, prefect_api
from tests.processes import ROOT, environment

HOLDER = """
import time
from flows.runtime import EmbeddedServer
server = EmbeddedServer()
print(server.wait(), server._process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    started = EmbeddedServer()
    started.wait()
    yield started
    started.stop()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """Another process that has started a server: the process, the server's address and its process number."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env=environment(tmp_path / "home", PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    url, pid = process.stdout.readline().split()
    yield process, url, int(pid)
    if process.poll() is None:
        process.kill()
    process.wait()


def soon(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.1)
    return False


def test_only_the_caller_with_the_token_gets_an_answer(server: EmbeddedServer) -> None:
    assert answers(server.url)
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{server.url}/admin/version", timeout=5)
    assert refused.value.code == 401
    token = base64.b64encode(server.auth.encode()).decode()
    with urlopen(
        Request(f"{server.url}/admin/version", headers={"Authorization": f"Basic {token}"}), timeout=5
    ) as reply:
        assert reply.status == 200


def test_it_listens_on_loopback_only(server: EmbeddedServer) -> None:
    listening = {
        c.laddr.ip for c in psutil.Process(server._process.pid).net_connections() if c.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_no_web_page_may_use_it(server: EmbeddedServer) -> None:
    request = Request(f"{server.url}/health", headers={"Origin": "http://evil.example"})
    with urlopen(request, timeout=5) as reply:
        assert reply.headers.get("Access-Control-Allow-Origin") is None


def test_it_ends_with_a_caller_that_is_killed(holder: tuple[subprocess.Popen[str], str, int]) -> None:
    process, url, pid = holder
    assert answers(url)
    process.kill()
    process.wait()
    assert soon(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert not answers(url)


def test_killing_the_process_group_leaves_nothing(holder: tuple[subprocess.Popen[str], str, int]) -> None:
    process, url, pid = holder
    assert os.getpgid(pid) == os.getpgid(process.pid)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert soon(lambda: not answers(url))


def test_ctrl_c_in_the_terminal_does_not_take_it_away(server: EmbeddedServer) -> None:
    os.kill(server._process.pid, signal.SIGINT)
    time.sleep(1.0)
    assert answers(server.url)


def test_several_can_start_at_once_in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without taking turns they make the same database at once, and all but one may fail."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    servers: list[EmbeddedServer] = []

    def start() -> None:
        server = EmbeddedServer()
        servers.append(server)
        server.wait()

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answers(server.url) for server in servers)
    for server in servers:
        server.stop()


def test_a_configured_server_that_is_gone_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    url = "http://127.0.0.1:9/api"
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(ServerError) as said, prefect_api():
        pass
    assert url in said.value.message
    assert "PREFECT_API_URL" in said.value.hint


def test_a_server_that_cannot_start_says_where_its_log_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:////nowhere/at/all.db")
    failing = EmbeddedServer()
    with pytest.raises(ServerError) as said:
        failing.wait(timeout=60)
    assert "prefect-server.log" in said.value.hint
    failing.stop()

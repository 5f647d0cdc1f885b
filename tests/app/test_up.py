"""`fieldguide up`: what it starts, the login, what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from app.password import is_right, set_password
from tests.app.browser import open_page, settle
from tests.app.studio import StartedStudio, eventually, gone, running_studio
from tests.processes import installed_fieldguide
from tests.texts import mentions
from tests.tiny import write_tiny
from workflows.errors import UsageError

SLOW_TRAINING = {"weights": "none", "size": 32, "epochs": 400, "device": "cpu"}


def ask(url: str, path: str = "/", **headers: str) -> tuple[int, dict[str, str]]:
    """Return status and headers of an answer."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("GET", path, headers=headers)
    reply = connection.getresponse()
    connection.close()
    return reply.status, {name.lower(): value for name, value in reply.getheaders()}


def listening(processes: list[psutil.Process]) -> set[str]:
    """The addresses that processes listen on."""
    found = set()
    for process in processes:
        found |= {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    return found


# ------------------------------------------------------------ with one studio


def test_the_page_answers_on_loopback_alone(studio: StartedStudio) -> None:
    code, headers = ask(studio.url)
    assert code == 200
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert listening(studio.family()) == {"127.0.0.1"}


def test_a_foreign_name_gets_nothing(studio: StartedStudio) -> None:
    """As when somebody's own domain is made to point at this machine."""
    assert ask(studio.url, Host="evil.example")[0] == 400


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_a_foreign_page_can_not_talk_to_a_session(studio: StartedStudio, headers: dict[str, str]) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    assert ask(studio.url, "/_stcore/stream", **upgrade, **headers)[0] == 403


def test_what_it_keeps_for_its_own_processes_nobody_else_can_read(studio: StartedStudio) -> None:
    for name in ("studio.json", "studio/inference-token", "studio/cookie-secret"):
        assert stat.S_IMODE((studio.home / name).stat().st_mode) == 0o600


def test_a_second_start_says_where_the_first_one_is(studio: StartedStudio) -> None:
    second = installed_fieldguide(studio.home, "up", "--port", 0, "--no-browser")
    assert second.code == 1
    assert "already up" in second.stderr
    assert studio.url in second.stderr


def test_home_shows_the_way_in(studio: StartedStudio, page: Page) -> None:
    page.goto(studio.url)
    expect(page.get_by_role("heading", name="Fieldguide")).to_be_visible()
    expect(page.get_by_text("1 · Import")).to_be_visible()
    expect(page.get_by_role("button", name="Try it on the embedded data set")).to_be_visible()
    settle(page)


def test_the_web_process_has_no_pytorch(studio: StartedStudio, page: Page) -> None:
    page.goto(studio.url)
    settle(page)
    pid = studio.file.parts["web"].pid
    maps = Path(f"/proc/{pid}/maps")
    if not maps.exists():
        pytest.skip("NOT LINUX: what a process has loaded can't be seen here")
    assert "libtorch" not in maps.read_text()


def test_a_part_that_dies_is_started_again_and_reported(studio: StartedStudio, page: Page) -> None:
    before = studio.file.parts["web"].pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    eventually(lambda: studio.state("web") == "running" and studio.file.parts["web"].pid != before)
    part = studio.file.parts["web"]
    assert (part.restarts, part.exit_code) == (1, -signal.SIGKILL)
    assert mentions(studio.said.read_text(), "web", "signal 9")
    studio.client.studio.start_training({"source": str(studio.home), "epochs": 1})  # so that Home is no first start
    page.goto(studio.url)
    expect(page.get_by_text("The web process died")).to_be_visible()


def test_ctrl_c_leaves_nothing(studio: StartedStudio) -> None:
    """The last one of this studio."""
    family = studio.family()
    assert studio.end(signal.SIGINT) == 0
    assert not gone(family)
    assert not (studio.home / "studio.json").exists()


# ------------------------------------------------------------ how it refuses


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = installed_fieldguide(tmp_path / "home", "up", "--port", taken.getsockname()[1], "--no-browser")
    assert refused.code == 1
    assert "Address already in use" in refused.stderr
    assert "--port" in refused.stderr


def test_beyond_this_machine_only_with_a_login(tmp_path: Path) -> None:
    refused = installed_fieldguide(tmp_path / "home", "up", "--host", "0.0.0.0", "--port", 0, "--no-browser")
    assert refused.code == 2
    assert "--set-password" in refused.stderr


def test_a_password_is_kept_as_a_hash(tmp_path: Path) -> None:
    home = tmp_path / "home"
    secret = "three plain words"
    done = installed_fieldguide(home, "up", "--set-password", "--json", FIELDGUIDE_PASSWORD=secret)
    assert (done.code, json.loads(done.stdout)["password"]) == (0, "set")
    kept = home / "password"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert secret not in kept.read_text()
    assert is_right(home, secret)
    assert not is_right(home, f"{secret} ")
    with pytest.raises(UsageError):
        set_password(home, "short")


# ------------------------------------------------------------- whole stories


@pytest.mark.slow
def test_the_studio_needs_the_password(tmp_path: Path, chromium: Browser) -> None:
    home = tmp_path / "home"
    set_password(home, "three plain words")
    page = open_page(chromium)
    with closing(page.context), running_studio(home) as studio:
        page.goto(studio.url + "/evaluation")
        page.get_by_label("Password", exact=True).fill("something else")
        page.get_by_role("button", name="Open the studio").click()
        expect(page.get_by_text("That is not the password")).to_be_visible()
        assert page.get_by_role("link", name="Home").count() == 0
        page.get_by_label("Password", exact=True).fill("three plain words")
        page.get_by_role("button", name="Open the studio").click()
        expect(page.get_by_role("link", name="Home")).to_be_visible()
        assert page.url.endswith("/evaluation")
        page.reload()
        expect(page.get_by_role("link", name="Home")).to_be_visible()  # the password is not asked for again
        assert [cookie["httpOnly"] for cookie in page.context.cookies() if cookie["name"].startswith("fieldguide")] == [
            True
        ]
        page.get_by_role("link", name="Sign out").click()
        expect(page.get_by_label("Password", exact=True)).to_be_visible()


@pytest.mark.slow
def test_a_training_outlives_the_page_and_stops_cleanly_with_the_studio(tmp_path: Path) -> None:
    with running_studio(tmp_path / "home", "web", "runner", "prefect") as studio:
        source = write_tiny(tmp_path / "digits")
        runs = studio.client.store.runs
        run_id = studio.client.studio.start_training({**SLOW_TRAINING, "source": str(source)})
        eventually(lambda: len(runs.steps(run_id)) > 0, what=studio.logs())
        assert runs.get(run_id).flow_run_id  # Prefect knows it
        for part in ("web", "runner"):
            pid = studio.file.parts[part].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        step = runs.steps(run_id)["step"].max()
        eventually(lambda: runs.steps(run_id)["step"].max() > step + 2)
        assert runs.get(run_id).state == "running"
        eventually(lambda: studio.state("web") == studio.state("runner") == "running")
        family = studio.family()
        studio.end(signal.SIGTERM)
        assert not gone(family)
        stopped = runs.get(run_id)
        assert (stopped.state, stopped.pid is not None) == ("interrupted", True)
        assert not psutil.pid_exists(stopped.pid or 0)


@pytest.mark.slow
def test_kill_9_of_the_studio_leaves_nothing_and_the_run_can_be_resumed(tmp_path: Path) -> None:
    with running_studio(tmp_path / "home", "web", "runner", "prefect") as studio:
        source = write_tiny(tmp_path / "digits")
        run_id = studio.client.studio.start_training({**SLOW_TRAINING, "source": str(source)})
        runs = studio.client.store.runs
        eventually(lambda: len(runs.steps(run_id)) > 0, what=studio.logs())
        family = studio.family()
        studio.process.kill()
        studio.process.wait()
        assert not gone(family)
        runs.reconcile()
        assert runs.get(run_id).state == "interrupted"

    with running_studio(tmp_path / "home", "web", "runner", "prefect") as again:
        step = runs.steps(run_id)["step"].max()
        again.client.studio.resume(run_id)
        eventually(lambda: runs.steps(run_id)["step"].max() > step + 1, what=again.logs())
        again.client.studio.stop_and_keep(run_id)
        eventually(lambda: runs.get(run_id).state == "finished", what=again.logs())


@pytest.mark.slow
def test_ctrl_c_at_the_whole_group_leaves_nothing(tmp_path: Path) -> None:
    """As a terminal does it."""
    with running_studio(tmp_path / "home") as studio:
        family = studio.family()
        os.killpg(studio.process.pid, signal.SIGINT)
        assert studio.process.wait(timeout=40) == 0
        assert not gone(family)
        done = subprocess.run(["pgrep", "-g", str(studio.process.pid)], capture_output=True, check=False)
        assert done.returncode == 1

"""Alerts: what is posted where, how often it is tried, and what is never shown."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flows.alerts import add_alert, alert, masked, try_alert
from flows.process_identity import ProcessIdentity
from flows.runner import Runner
from tests.app.studio import eventually
from tests.processes import fieldguide
from workflows.errors import UsageError
from workflows.store.store import Store


@dataclass
class Listener:
    """A local address that takes documents, and answers as a test wants."""

    answers: list[int] = field(default_factory=list)
    seen: list[dict[str, object]] = field(default_factory=list)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    listener: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.listener.seen.append({"path": self.path, "type": self.headers["Content-Type"], **json.loads(body)})
        status = self.listener.answers.pop(0) if self.listener.answers else 204
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"listener": made}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/secret?key=hidden"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home)


def test_who_asked_for_an_event_is_told_of_it_alone(store: Store, listener: Listener) -> None:
    hook = add_alert(store, listener.url, ["promoted"])
    alert(store, "failed", "it failed")
    alert(store, "promoted", "birds: promoted", model="birds", challenger=3)
    (document,) = listener.seen
    assert document["path"] == "/hooks/secret?key=hidden" and document["type"] == "application/json"
    assert (document["source"], document["event"], document["model"]) == ("fieldguide", "promoted", "birds")
    assert document["text"] == "birds: promoted" and document["challenger"] == 3
    status = store.webhooks.get(hook.id).last_status
    assert status is not None and status.endswith("promoted: delivered (204)")


def test_a_server_in_trouble_is_tried_again_a_refusal_is_not(store: Store, listener: Listener) -> None:
    hook = add_alert(store, listener.url, ["done"])
    listener.answers = [503, 500]
    assert try_alert(store, hook).arrived
    assert len(listener.seen) == 3
    listener.answers = [404]
    assert try_alert(store, hook).status == "refused (404)"
    listener.answers = [302]
    assert try_alert(store, hook).status == "refused (302)", "redirections are not followed"
    assert len(listener.seen) == 5


def test_an_address_that_is_not_there_costs_no_training(store: Store) -> None:
    add_alert(store, "http://127.0.0.1:9/x", ["done"])
    alert(store, "done", "the training is done")
    (hook,) = store.webhooks.list()
    assert hook.last_status is not None and "not delivered" in hook.last_status


def test_a_training_that_was_killed_is_told_of(store: Store, listener: Listener) -> None:
    add_alert(store, listener.url, ["failed"])
    run = store.runs.create("tiny", {})
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    store.runs.update(run.run_id, state="running", pid=killed.pid, host=socket.gethostname())
    Runner(store, ProcessIdentity.current()).step()
    eventually(lambda: listener.seen)
    (document,) = listener.seen
    assert (document["event"], document["run_id"]) == ("failed", run.run_id)
    assert run.run_id in str(document["text"])
    assert store.runs.get(run.run_id).state == "interrupted"


@pytest.mark.parametrize(
    "url", ["ftp://example.org", "file:///etc/passwd", "example.org", "http://", "http://a b/", ""]
)
def test_only_http_addresses_are_taken(store: Store, url: str) -> None:
    with pytest.raises(UsageError, match="http"):
        add_alert(store, url, ["done"])


def test_unknown_events_are_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="sometimes"):
        add_alert(store, "https://example.org", ["done", "sometimes"])


def test_what_may_be_secret_is_masked() -> None:
    assert masked("https://user:pass@example.org:8443/hooks/T0/XYZ?token=1") == "https://example.org:8443/…"
    assert masked("http://[::1]:80/x") == "http://[::1]:80/…"


def test_the_command_line_shows_no_secret(home: Path, listener: Listener) -> None:
    added = fieldguide(home, "alerts", "add", listener.url, "--on", "failed,drift", "--json")
    assert added.code == 0, added.stderr
    tried = fieldguide(home, "alerts", "test", added.document["id"], "--json")
    assert tried.code == 0 and listener.seen[0]["event"] == "test"
    listed = fieldguide(home, "alerts", "list", "--json")
    assert listed.document[0]["events"] == ["failed", "drift"]
    assert "hidden" not in added.stdout + tried.stdout + listed.stdout + added.stderr

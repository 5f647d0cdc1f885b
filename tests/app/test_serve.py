"""`fieldguide serve`: a run's model for a person's own programs."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.conftest import Trained
from tests.processes import FIELDGUIDE, environment, fieldguide
from workflows.serving.listening import is_loopback

SAME = 1e-4
"""How far two answers about one photo may be apart, by the specification."""
TOKEN = "an-example-of-a-token-0123456789"


@dataclass(frozen=True)
class Serving:
    """A server, and what it said of itself."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(base_url=self.said["address"], timeout=60, trust_env=False, **more)


@contextmanager
def serving(home: Path, *options: object) -> Iterator[Serving]:
    """Run `fieldguide serve --json` for the body; it is ended as by Ctrl-C."""
    command = [str(FIELDGUIDE), "serve", *map(str, options), "--port", "0", "--device", "cpu", "--json"]
    with (home.parent / "serve.log").open("w+") as log:
        process = subprocess.Popen(
            command, env=environment(home), cwd=home.parent, stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert process.stdout is not None
        lines = []
        while (line := process.stdout.readline()) and line != "}\n":
            lines.append(line)
        log.seek(0)
        assert line, log.read()
        try:
            yield Serving(process, json.loads("".join(lines) + "}"))
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
            assert process.stdout.read() == ""  # one document and nothing else
            process.stdout.close()


@pytest.fixture(scope="module")
def served(trained: Trained) -> Iterator[Serving]:
    with serving(trained.home, "latest") as started:
        yield started


def test_it_answers_what_the_command_line_answers(served: Serving, trained: Trained) -> None:
    photos = sorted(trained.photos.rglob("*.png"))[::5]
    said = trained.fieldguide("predict", "latest", *photos, "--json", "--device", "cpu").document
    with served.client() as client:
        answer = client.post("/predict", files=[("files", (path.name, path.read_bytes())) for path in photos]).json()
    assert answer["run_id"] == served.said["run_id"] == trained.run_id
    for ours, theirs in zip(answer["results"], said, strict=True):
        assert ours["label"] == theirs["label"]
        assert ours["confidence"] == pytest.approx(theirs["confidence"], abs=SAME)


def test_it_says_nothing_of_the_store_and_serves_one_run_alone(served: Serving, trained: Trained) -> None:
    photo = sorted(trained.photos.rglob("*.png"))[0].read_bytes()
    with served.client() as client:
        assert client.post("/predict-stored", json={"sha256": ["0" * 64]}).status_code == 404
        assert not [path for path in client.get("/openapi.json").json()["paths"] if "stored" in path]
        assert client.post("/predict?run=other", files={"files": photo}).status_code == 404
        assert client.post(f"/predict?run={trained.run_id}", files={"files": photo}).status_code == 200
        assert served.said["docs"] == f"{served.said['address']}/docs"
        assert client.get("/docs").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_beyond_this_machine_it_asks_for_a_token(trained: Trained, host: str) -> None:
    refused = trained.fieldguide("serve", "latest", "--host", host, "--json")
    assert refused.code == 2
    assert "token" in refused.document["hint"]
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


def test_with_a_token_it_may_listen_to_others_and_answers_who_knows_it(trained: Trained, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with serving(trained.home, "latest", "--host", "0.0.0.0", "--token-file", token) as started:
        assert started.said["needs_token"]
        port = started.said["address"].rsplit(":", 1)[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert client.get("/models").status_code == 401
            told = {"authorization": f"Bearer {TOKEN}", "host": "model.example:80"}
            assert client.get("/models", headers=told).status_code == 200


@pytest.mark.parametrize("content", ["", "short", "with a blank in the middle", "\x00" * 20])
def test_a_token_that_can_be_guessed_is_refused(trained: Trained, tmp_path: Path, content: str) -> None:
    token = tmp_path / "token"
    token.write_text(content)
    assert trained.fieldguide("serve", "latest", "--token-file", token).code == 2


def test_a_port_that_is_taken_and_a_model_that_is_not_there_are_said(trained: Trained, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = trained.fieldguide("serve", "latest", "--port", port, "--json")
    assert taken.code == 1
    assert str(port) in taken.document["error"]
    nothing = fieldguide(tmp_path / "home", "serve")
    assert nothing.code == 1
    assert "fieldguide train" in nothing.stderr

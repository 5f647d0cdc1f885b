"""Models served to people's own programs: recorded, started by the studio, again after its restart, and on the page."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from app.client import Client
from app.served import Served, read_served, served_states, start_serving, stop_serving, token_file
from app.studio import ListenAddress, Studio
from app.supervisor import Service, Supervisor
from app.views.models.serving import snippets
from flows.process_identity import ProcessIdentity
from flows.studio_file import Part, StudioFile
from tests.app.conftest import Trained
from tests.app.pages import copied, fine, opened, show, words
from tests.app.studio import StartedStudio, eventually, running_studio
from tests.processes import fieldguide
from tests.servers import free_port
from workflows.errors import ModelError, StorageError, UsageError
from workflows.registry import models as registry
from workflows.serving.listening import ServingError, is_loopback
from workflows.store.store import Store

pytestmark = pytest.mark.timeout(1200)
MODEL = "digits"
page = partial(show, "models")


@pytest.fixture
def store(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A copy of the trained run's store in which the run is a model, and no studio over it."""
    with opened(copied(trained.home, tmp_path), monkeypatch) as store:
        registry.register(store, MODEL, trained.run_id, author="ada", reason="a start")
        yield store


def test_what_is_to_be_served_is_recorded_with_a_token_of_its_own(store: Store) -> None:
    registry.register(store, "other", store.models.versions(MODEL)[0].run_id)
    first, second = start_serving(store, MODEL), start_serving(store, "other")
    assert read_served(store.home) == [first, second]
    assert first.port != second.port
    tokens = {token_file(store.home, served.model).read_text() for served in (first, second)}
    assert len(tokens) == 2
    assert token_file(store.home, MODEL).stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError):
        start_serving(store, MODEL)
    stop_serving(store, MODEL)
    assert read_served(store.home) == [second]
    assert not token_file(store.home, MODEL).exists()
    with pytest.raises(UsageError):
        stop_serving(store, MODEL)
    start_serving(store, MODEL)
    assert token_file(store.home, MODEL).read_text() not in tokens  # stopping revoked the first one


def test_a_port_in_use_and_a_model_that_is_not_there_are_refused_at_once(store: Store) -> None:
    registry.register(store, "other", store.models.versions(MODEL)[0].run_id)
    with socket.create_server(("127.0.0.1", 0)) as other:
        with pytest.raises(ServingError, match=str(other.getsockname()[1])):
            start_serving(store, MODEL, other.getsockname()[1])
        with pytest.raises(ModelError):
            start_serving(store, "nobody")
        assert read_served(store.home) == []
    served = start_serving(store, MODEL)
    with pytest.raises(ServingError, match=str(served.port)):
        start_serving(store, "other", served.port)


def test_a_damaged_record_is_an_error_and_stops_no_server(store: Store) -> None:
    served = start_serving(store, MODEL)
    studio = Studio(store.home, ListenAddress("127.0.0.1", 0), lambda _text: None)
    try:
        assert [service.name for service in studio._served_services().values()] == [served.part]
        for damaged in ("{", '[{"model": "digits"}]'):
            (store.home / "studio" / "serving.json").write_text(damaged)
            with pytest.raises(StorageError):
                read_served(store.home)
            assert [service.name for service in studio._served_services().values()] == [served.part]
            assert "serving.json" in words(page(model=MODEL, view="serve"))
    finally:
        studio.close()


def test_options_of_a_server_of_ones_own_are_refused_with_the_studios(store: Store) -> None:
    for options in (("--token-file", "token"), ("--device", "cpu"), ("--stop",)):
        refused = fieldguide(store.home, "serve", MODEL, "--studio", *options)
        assert refused.code == 2, options
        assert read_served(store.home) == []


def test_a_model_is_served_to_other_machines_where_that_was_asked_for(store: Store) -> None:
    ours = start_serving(store, MODEL)
    assert (ours.host, ours.addresses) == ("127.0.0.1", [])
    record = store.home / "studio" / "serving.json"
    older = [{name: value for name, value in each.items() if name != "host"} for each in json.loads(record.read_text())]
    record.write_text(json.dumps(older))  # as earlier versions wrote it
    assert read_served(store.home) == [ours]
    stop_serving(store, MODEL)
    with pytest.raises(ServingError):
        start_serving(store, MODEL, host="192.0.2.1")  # reserved for documentation: no interface has it
    (document,) = fieldguide(store.home, "serve", MODEL, "--studio", "--host", "0.0.0.0", "--json").document
    (served,) = read_served(store.home)
    assert (served.host, document["addresses"]) == ("0.0.0.0", served.addresses)
    assert served.address == f"http://127.0.0.1:{served.port}"
    assert all(not is_loopback(str(urlsplit(each).hostname)) for each in served.addresses)


def test_the_page_asks_who_may_use_the_model(store: Store) -> None:
    test = page(model=MODEL, view="serve")
    assert test.radio(key="serve-reach").value != "network"  # nobody else, unless it is asked for
    test.radio(key="serve-reach").set_value("network").run()
    fine(test.button(key="serve-start").click().run())
    (served,) = read_served(store.home)
    assert served.host == "0.0.0.0"
    for address in served.addresses:
        assert address in words(test)
        assert any(address in code.value for code in test.code)


def test_the_state_is_that_of_the_process_with_its_last_words(store: Store) -> None:
    served = start_serving(store, MODEL)
    assert [state.state for state in served_states(store.home)] == ["stopped"]  # no studio is up
    log = store.home / "words.log"
    log.write_text("something\nPort 8000 is in use.\n")
    parts = {served.part: Part(served.part, "restarting", log=str(log))}
    StudioFile(str(ProcessIdentity.current()), "", "", "", "", "", "", parts).write(store.home)
    (state,) = served_states(store.home)
    assert (state.state, state.trouble) == ("restarting", "Port 8000 is in use.")


def test_the_supervisor_starts_and_ends_what_comes_and_goes(tmp_path: Path) -> None:
    wanted: dict[str, Service] = {}
    file = StudioFile(str(ProcessIdentity.current()), "", "", "", "", "", "")
    supervisor = Supervisor(tmp_path, file, [], lambda _text: None, lambda: wanted)

    def process(seconds: int) -> Service:
        return Service("serving-x", lambda: [sys.executable, "-c", f"import time; time.sleep({seconds})"])

    try:
        supervisor.check()
        assert file.parts == {} and supervisor.is_up()
        wanted["first"] = process(100)
        supervisor.check()
        first = ProcessIdentity.of(file.parts["serving-x"].pid or 0)
        assert first is not None and first.is_alive()
        supervisor.check()
        assert file.parts["serving-x"].pid == first.pid  # nothing has changed
        del wanted["first"]
        wanted["second"] = process(200)
        supervisor.check()
        assert not first.is_alive()
        assert file.parts["serving-x"].pid != first.pid
        wanted.clear()
        supervisor.check()
        assert file.parts == {}
    finally:
        supervisor.stop()


def test_the_page_starts_serving_shows_how_and_stops(store: Store) -> None:
    test = page(model=MODEL, view="serve")
    with socket.create_server(("127.0.0.1", 0)) as other:
        test.number_input(key="serve-port").set_value(other.getsockname()[1]).run()
        refused = test.button(key="serve-start").click().run()
        assert refused.error and read_served(store.home) == []
    test = page(model=MODEL, view="serve")
    fine(test.button(key="serve-start").click().run())
    (served,) = read_served(store.home)
    token = token_file(store.home, MODEL).read_text()
    shown = [code.value for code in test.code]
    assert shown == [token, *snippets(served.address, token).values()]
    assert served.address in words(test)
    assert page().dataframe[0].value["Served at"].tolist() == [served.address]
    fine(test.button(key="serve-stop").click().run())
    assert read_served(store.home) == []


def test_the_command_line_shows_the_same_state(store: Store) -> None:
    started = fieldguide(store.home, "serve", MODEL, "--studio", "--json")
    (document,) = started.document
    (served,) = read_served(store.home)
    assert (document["model"], document["address"], document["state"]) == (MODEL, served.address, "stopped")
    assert Path(document["token_file"]) == token_file(store.home, MODEL)
    assert fieldguide(store.home, "serve", "--list", "--json").document == started.document
    assert fieldguide(store.home, "serve", MODEL, "--stop", "--json").document == []


# ------------------------------------------------------------ with a studio that is up


@pytest.mark.slow
def test_a_served_model_answers_with_the_shown_code_also_after_a_restart(trained: Trained, tmp_path: Path) -> None:
    home = Path(shutil.copytree(trained.home, tmp_path / "home"))
    photo = shutil.copyfile(sorted(trained.photos.rglob("*.png"))[0], tmp_path / "photo.jpg")
    registry.register(Store(home), MODEL, trained.run_id)
    for attempt in range(2):
        with running_studio(home) as studio:
            client = Client(home)
            served = client.serving.start(MODEL, free_port(), network=True) if attempt == 0 else read_served(home)[0]
            _runs(client, served)
            token = client.serving.token(served)
            expected = client.serving.predict(served, "photo.jpg", photo.read_bytes()).results[0]
            for language, code in snippets(served.address, token).items():
                label, confidence, judgement = _told(language, _executed(language, code, tmp_path))
                assert (label, judgement) == (expected.label, "to review" if expected.to_review else "accepted")
                assert float(confidence) == pytest.approx(expected.confidence, abs=1e-5)
            for address in (served.address, *served.addresses):
                refused = httpx.post(f"{address}/predict", files={"files": b"x"}, trust_env=False)
                assert refused.status_code == 401
            health = client.serving.health(served)
            refusals = 1 + len(served.addresses)
            assert health is not None and (health.requests, health.errors) == (4 + refusals, refusals)
            assert health.p95_seconds is not None and health.p95_seconds > 0
            _ends(client, studio, served, last=attempt == 1)


def _runs(client: Client, served: Served) -> None:
    def running() -> bool:
        state = client.serving.state(served.model)
        return state is not None and state.is_running

    eventually(running)


def _ends(client: Client, studio: StartedStudio, served: Served, last: bool) -> None:
    """Stop serving if this is the last time; its process and its part of the studio are gone then."""
    if last:
        client.serving.stop(served.model)
        eventually(lambda: served.part not in studio.file.parts)
        assert client.serving.health(served) is None


def _told(language: str, printed: str) -> list[str]:
    """Return label, confidence and judgement as a snippet printed them: curl prints the whole answer."""
    if language != "curl":
        return printed.strip().split(" ", 2)
    (result,) = json.loads(printed)["results"]
    return [result["label"], str(result["confidence"]), "to review" if result["to_review"] else "accepted"]


def _executed(language: str, code: str, folder: Path) -> str:
    """Run a snippet as a person does, beside the photo; return what it printed."""
    if language == "curl":
        command = ["bash", "-c", code]
    elif language == "Python":
        command = [sys.executable, "-c", code]
    else:
        node = shutil.which("node") or str(Path(__import__("playwright").__file__).parent / "driver" / "node")
        (folder / "predict.mjs").write_text(code)
        command = [node, "predict.mjs"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout

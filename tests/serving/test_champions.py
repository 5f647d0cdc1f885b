"""A model's name: the server follows its champion, and nobody notices but by the answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.servers import Server, running
from tests.tiny import train_tiny
from workflows.errors import ModelError, RunError, StorageError, WeightsError
from workflows.registry import models as registry
from workflows.serving import switching
from workflows.serving.naming import is_model, run_resolver
from workflows.serving.switching import Names
from workflows.store.store import Store

ASKERS = 4
SWITCHES = 4


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> Store:
    """A store whose model `birds` has two versions, the first of them champion."""
    home = tmp_path_factory.mktemp("champions") / "home"
    runs = [train_tiny(home, tiny_source, epochs=1, seed=seed) for seed in range(2)]
    for run in runs:
        registry.register(runs[0].store, "birds", run.run_id)
    return runs[0].store


@pytest.fixture(scope="module")
def server(birds: Store) -> Iterator[Server]:
    with running(birds.home, "--device", "cpu", "--run", "birds") as started:
        yield started


def test_a_champion_changes_under_fire_without_a_dropped_request(
    server: Server, birds: Store, photos: list[Path]
) -> None:
    content, stop = photos[0].read_bytes(), threading.Event()
    answers: list[tuple[float, int, str]] = []

    def ask() -> None:
        with server.client() as web:
            while not stop.is_set():
                answer = web.post("/predict?run=birds", files={"files": content})
                answers.append((time.monotonic(), answer.status_code, answer.json().get("run_id", answer.text)))

    askers = [threading.Thread(target=ask) for _ in range(ASKERS)]
    for asker in askers:
        asker.start()
    try:
        for number in range(SWITCHES):
            (registry.rollback if number % 2 else promote_second)(birds, "birds")
            expected = registry.resolve_run(birds, "birds")
            end = time.monotonic() + 60
            while not answers or answers[-1][2] != expected:
                assert time.monotonic() < end, answers[-5:]
                time.sleep(0.05)
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    assert {status for _, status, _ in answers} == {200}
    assert {run for _, _, run in answers} == {version.run_id for version in birds.models.versions("birds")}
    with server.client() as web:  # the default model is the name, too
        assert web.post("/predict", files={"files": content}).json()["run_id"] == registry.resolve_run(birds, "birds")


@pytest.mark.slow
def test_what_the_studio_serves_is_one_model_alone_and_follows_its_champion(birds: Store, photos: list[Path]) -> None:
    files = {"files": photos[0].read_bytes()}
    first, second = birds.models.versions("birds")
    champion = registry.champion(birds, "birds")
    other = second if champion == first else first
    with running(birds.home, "--device", "cpu", "--run", "birds", "--pinned") as served, served.client() as web:
        assert web.post("/predict", files=files).json()["run_id"] == champion.run_id
        assert web.post("/predict-stored", json={"sha256": ["0" * 64]}).status_code == 404
        assert web.post(f"/predict?run={other.run_id}", files=files).status_code == 404
        registry.promote(birds, "birds", other.number)
        end = time.monotonic() + 60
        while web.post("/predict", files=files).json()["run_id"] != other.run_id:
            assert time.monotonic() < end
            time.sleep(0.1)
    registry.promote(birds, "birds", champion.number)


def promote_second(store: Store, name: str) -> None:
    registry.promote(store, name, 2)


def test_a_version_of_a_model_can_be_asked_and_models_tell_who_is_champion(
    server: Server, birds: Store, photos: list[Path]
) -> None:
    first, second = birds.models.versions("birds")
    with server.client() as web:
        files = {"files": photos[0].read_bytes()}
        assert web.post("/predict?run=birds:2", files=files).json()["run_id"] == second.run_id
        assert web.post("/predict?run=birds:7", files=files).status_code == 404
        assert web.get(f"/models/{'birds:1'}").json()["run_id"] == first.run_id
        listed = {model["run_id"]: model for model in web.get("/models").json()["models"]}
    assert listed[second.run_id]["names"] == ["birds:2"]
    assert [run for run, model in listed.items() if model["champion_of"]] == [registry.resolve_run(birds, "birds")]


def test_names(birds: Store) -> None:
    resolve, (first, second) = run_resolver(birds), birds.models.versions("birds")
    assert resolve("latest") == second.run_id
    assert resolve("birds:1") == first.run_id == resolve(first.run_id)
    assert is_model(birds, "birds") and not is_model(birds, "latest") and not is_model(birds, first.run_id)
    with pytest.raises(ModelError):
        resolve("birds:x")
    with pytest.raises(RunError):
        resolve("nobody")


def test_what_cannot_be_loaded_or_looked_up_leaves_the_old_one_answering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching, "LOOK_SECONDS", 0.0)
    means: list[str | Exception] = ["old"]
    broken = True

    def resolve(_name: str) -> str:
        if isinstance(means[0], Exception):
            raise means[0]
        return means[0]

    def load(run_id: str) -> None:
        if broken and run_id == "new":
            raise WeightsError("damaged")

    names = Names(resolve, load)
    assert names.run_of("birds") == "old"
    for trouble in ("new", StorageError("busy")):
        means[0] = trouble
        assert names.run_of("birds") == "old"
    means[0], broken = "new", False
    assert names.run_of("birds") == "new"
    means[0] = RunError("gone")
    with pytest.raises(RunError):
        names.run_of("birds")


def test_while_one_loads_the_others_go_on_with_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching, "LOOK_SECONDS", 0.0)
    means, loading, loaded = ["old"], threading.Event(), threading.Event()

    def load(_run_id: str) -> None:
        loading.set()
        assert loaded.wait(30)

    names = Names(lambda _name: means[0], load)
    names.run_of("birds")
    means[0] = "new"
    moved: list[str] = []
    mover = threading.Thread(target=lambda: moved.append(names.run_of("birds")))
    mover.start()
    assert loading.wait(30)
    assert names.run_of("birds") == "old"
    loaded.set()
    mover.join()
    assert moved == ["new"] == [names.run_of("birds")]

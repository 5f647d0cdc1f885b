"""The registry: versions, champions, the way back, what may not be deleted."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.tiny import TrainedRun, train_tiny
from workflows.errors import ModelError, RunError, UsageError
from workflows.inference.model import load_card
from workflows.registry import models as registry
from workflows.store.store import Store


@pytest.fixture
def trained(trained: TrainedRun, tmp_path: Path) -> TrainedRun:
    """The run on tiny digits, in a store that may be changed."""
    return trained.copied(tmp_path / "trained")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> tuple[TrainedRun, TrainedRun, TrainedRun]:
    """Three short runs in one store of their own."""
    home = tmp_path_factory.mktemp("registry")
    first, second, third = (train_tiny(home, tiny_source, epochs=1, seed=seed) for seed in range(3))
    return first, second, third


def test_the_whole_life_of_a_model(two: tuple[TrainedRun, TrainedRun, TrainedRun]) -> None:
    store, runs = two[0].store, [run.run_id for run in two]
    first = registry.register(store, "birds", runs[0], author="ada", reason="a start")
    assert (first.number, first.run_id, first.author) == (1, runs[0], "ada")
    assert registry.champion(store, "birds") == first  # the first has nobody to beat
    assert registry.register(store, "birds", runs[0]) == first  # once is enough
    second, third = (registry.register(store, "birds", run) for run in runs[1:])
    assert registry.champion(store, "birds") == first

    registry.promote(store, "birds", 2, reason="better", author="bob")
    registry.promote(store, "birds", 3)
    assert registry.resolve_run(store, "birds") == third.run_id
    assert registry.rollback(store, "birds") == second
    assert registry.rollback(store, "birds") == first
    with pytest.raises(ModelError, match="earlier"):
        registry.rollback(store, "birds")
    registry.promote(store, "birds", 3)
    assert registry.rollback(store, "birds") == first

    log = store.models.promotions("birds")
    assert [(line.action, line.number, line.previous) for line in log] == [
        ("register", 1, None),
        ("promote", 2, 1),
        ("promote", 3, 2),
        ("rollback", 2, 3),
        ("rollback", 1, 2),
        ("promote", 3, 1),
        ("rollback", 1, 3),
    ]
    assert (log[1].author, log[1].reason) == ("bob", "better")
    assert registry.runs_in_use(store) == {
        runs[0]: "birds v1, the champion",
        runs[1]: "birds v2",
        runs[2]: "birds v3",
    }


def test_a_version_keeps_what_makes_a_classifier_and_its_test_images(trained: TrainedRun) -> None:
    version = registry.register(trained.store, "digits", trained.run_id)
    assert version.card == load_card(trained.folder.model).model_dump(mode="json")
    assert version.metrics["test"]["top1"] == trained.result["metrics"]["test"]["top1"]
    images = registry.frozen_images(trained.store, version)
    assert len(images) == trained.result["splits"]["test"]
    assert set(images["split"]) == {"test"}


def test_what_a_name_means(trained: TrainedRun) -> None:
    store = trained.store
    registry.register(store, "digits", trained.run_id)
    assert {registry.resolve_run(store, name) for name in ("digits", "digits:1", "latest", trained.run_id)} == {
        trained.run_id
    }
    for name in ("digits:7", "digits:x"):
        with pytest.raises(ModelError):
            registry.resolve_run(store, name)
    with pytest.raises(RunError):
        registry.resolve_run(store, "unknown")
    with pytest.raises(ModelError, match=r"\bdigits\b"):
        registry.get_model(store, "digit")


def test_only_finished_runs_and_plain_names(home: Path, trained: TrainedRun) -> None:
    with pytest.raises(UsageError, match="my-model"):
        registry.register(trained.store, "My Model", trained.run_id)
    store = Store()
    pending = store.runs.create("x", {})
    with pytest.raises(RunError, match="finished"):
        registry.register(store, "x", pending.run_id)
    assert store.models.names() == []


def test_an_export_holds_weights_card_and_words(trained: TrainedRun, tmp_path: Path) -> None:
    version = registry.register(trained.store, "digits", trained.run_id)
    registry.export_model(trained.store, "digits", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.txt",
        "model.json",
        "model.safetensors",
    ]
    weights = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert weights == registry.weights_path(trained.store, version).read_bytes()
    with pytest.raises(UsageError, match="empty"):
        registry.export_model(trained.store, "digits", tmp_path / "out")


def test_of_many_promotions_at_once_each_follows_the_one_before(
    two: tuple[TrainedRun, TrainedRun, TrainedRun],
) -> None:
    store = two[0].store
    for run in two:
        registry.register(store, "race", run.run_id)
    refused: list[ModelError] = []

    def promote(number: int) -> None:
        try:
            registry.promote(Store(store.home), "race", number)
        except ModelError as error:
            refused.append(error)

    threads = [threading.Thread(target=promote, args=(number,)) for number in (2, 3, 2, 3, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = store.models.promotions("race")
    assert [line.previous for line in log] == [None, *(line.number for line in log[:-1])]
    assert len(log) + len(refused) == 7

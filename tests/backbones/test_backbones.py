"""One way to every network: YOLOv8-cls is what Ultralytics builds, and a backbone from outside goes all the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from ultralytics.nn.tasks import ClassificationModel

from tests.backbones.toy import TOY
from tests.tiny import CLASSES, TrainedRun, write_tiny
from workflows.backbones.registry import BACKBONES, backbone_named
from workflows.backbones.yolov8 import YOLOV8
from workflows.data.importing import add_dataset
from workflows.errors import ModelError, WeightsError
from workflows.graph.validation import read_settings
from workflows.graph.workflow import Workflow, dumps, loads
from workflows.inference.model import load_card, load_model
from workflows.inference.predictor import Predictor
from workflows.nodes.dataset import DatasetSettings
from workflows.nodes.explanation import ExplanationSettings
from workflows.nodes.model import ModelSettings
from workflows.nodes.training import TrainingSettings
from workflows.pipeline import RunContext, create_run, run_pipeline
from workflows.recommend.estimate import default_speed, estimate
from workflows.recommend.facts import dataset_facts
from workflows.recommend.hardware import cpu_hardware
from workflows.requests import TrainRequest
from workflows.store.store import Store
from workflows.training.network import embeddings_of
from workflows.training.weights import load_weights, resolve_weights

SQUARES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)


# ------------------------------------------------------------------ YOLOv8-cls


def test_yolov8_is_the_network_that_ultralytics_builds() -> None:
    torch.manual_seed(3)
    theirs = ClassificationModel("yolov8n-cls.yaml", ch=3, nc=5, verbose=False).eval()
    torch.manual_seed(3)
    ours = YOLOV8.build("n", 5, 64).eval()
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    assert all(torch.equal(value, state[name]) for name, value in theirs.state_dict().items())
    images = ours.to_input(torch.from_numpy(SQUARES))
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images)[1])
        assert torch.equal(ours.train()(images), theirs.train()(images))


@pytest.mark.parametrize("size", YOLOV8.sizes)
def test_its_weights_are_counted(size: str) -> None:
    with torch.device("meta"):
        network = YOLOV8.build(size, 7, 224)
    assert YOLOV8.parameters(size, 7) == sum(parameter.numel() for parameter in network.parameters())
    assert network.head.in_features == YOLOV8.features


def test_its_head_is_the_linear_layer_and_drops_features() -> None:
    network = YOLOV8.build("n", 3, 64, dropout=0.3)
    assert network.head_names == {"model.9.linear.weight", "model.9.linear.bias"}
    assert [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)] == [0.3]


# -------------------------------------------------------------------- registry


def test_a_family_that_nobody_brings_is_named() -> None:
    with pytest.raises(ModelError, match="'toy'"):
        backbone_named("toy")
    _, problems = read_settings("model", {"family": "yolov9-cls"})
    assert [(problem.path, "yolov8-cls" in problem.words) for problem in problems] == [("family", True)]


def test_a_size_must_be_one_of_the_family() -> None:
    with BACKBONES.registered(TOY):
        for values in ({"family": "toy", "size": "n"}, {"size": "tiny"}):
            _, problems = read_settings("model", values)
            assert [problem.path for problem in problems] == [""]
        settings, problems = read_settings("model", {"family": "toy", "size": "tiny"})
        assert not problems and settings is not None


def test_two_of_one_name_are_refused() -> None:
    with BACKBONES.registered(TOY), pytest.raises(ModelError, match="toy"), BACKBONES.registered(TOY):
        pass
    assert "toy" not in BACKBONES


# ------------------------------------------------------- a backbone from outside


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainedRun]:
    """A run of a workflow with the toy, which is there for as long as the tests here look at it."""
    store, source = Store(tmp_path_factory.mktemp("home")), write_tiny(tmp_path_factory.mktemp("photos") / "tiny")
    add_dataset(store, "tiny", source)
    with BACKBONES.registered(TOY):
        workflow = Workflow.linear(
            "tiny",
            DatasetSettings(name="tiny"),
            model=ModelSettings(family="toy", size="tiny", image_size=32, weights="none", dropout=0.1),
            training=TrainingSettings(epochs=12, batch=16, learning_rate=2e-2, device="cpu"),
            explanation=ExplanationSettings(methods=("eigen-cam", "grad-cam"), images=3),
        )
        assert loads(dumps(workflow)) == workflow
        run = create_run(store, TrainRequest(dataset="tiny", workflow=workflow.model_dump(mode="json")))
        yield TrainedRun(store, run.run_id, run_pipeline(store, run.run_id).document(), source)


def test_it_is_trained_and_evaluated(toy: TrainedRun) -> None:
    assert toy.result["state"] == "finished"
    assert toy.result["metrics"]["test"]["top1"] > 0.6
    weights = load_file(toy.folder.model.weights)
    assert weights["out.weight"].shape == (len(CLASSES), TOY.features)


def test_its_card_says_what_it_is_shown(toy: TrainedRun) -> None:
    card = load_card(toy.folder.model)
    assert (card.family, card.size, card.mean, card.std) == ("toy", "tiny", TOY.mean, TOY.std)


def test_it_predicts(toy: TrainedRun) -> None:
    photos = [toy.source / name / "3.png" for name in CLASSES]
    found = Predictor.load(toy.store, toy.run_id, "cpu").predict(photos)
    predictions = pd.read_parquet(toy.folder.evaluation.predictions)
    assert [record["path"] for record in found] == [str(photo) for photo in photos]
    assert all(0 < record["confidence"] <= 1 for record in found) and len(predictions)


def test_it_is_explained(toy: TrainedRun) -> None:
    table = pd.read_csv(toy.folder.explanation.table)
    assert set(table["method"]) == {"eigen-cam", "grad-cam"}
    assert table["image_id"].nunique() == 3


def test_its_embeddings_are_what_its_head_takes(toy: TrainedRun) -> None:
    network, _ = load_model(toy.folder.model, torch.device("cpu"))
    vectors = embeddings_of(network, SQUARES, torch.device("cpu"))
    with torch.inference_mode():
        expected = network(network.to_input(torch.from_numpy(SQUARES)))
        torch.testing.assert_close(network.head(vectors), expected)


def test_its_input_has_its_mean_and_deviation() -> None:
    network = TOY.build("tiny", 2, 32)
    squares = torch.tensor([[[[255, 0, 51]]]], dtype=torch.uint8)
    expected = [(value - mean) / std for value, mean, std in zip((1.0, 0.0, 0.2), TOY.mean, TOY.std, strict=True)]
    np.testing.assert_allclose(network.to_input(squares).flatten().numpy(), expected, rtol=1e-6)
    plain = YOLOV8.build("n", 2, 32).to_input(squares)
    np.testing.assert_allclose(plain.flatten().numpy(), [1.0, 0.0, 0.2])


def test_its_costs_are_estimated(toy: TrainedRun) -> None:
    context, hardware = RunContext(toy.store, toy.run_id), cpu_hardware()
    small = context.workflow
    facts = dataset_facts(context.version)
    usual = Workflow.linear(
        "tiny",
        DatasetSettings(name="tiny"),
        model=ModelSettings(image_size=32, weights="none"),
        training=small.training,
    )
    one, other = (estimate(facts, workflow, hardware, default_speed(hardware)) for workflow in (small, usual))
    assert one.images_per_second > other.images_per_second
    assert one.memory_bytes < other.memory_bytes


def test_its_weights_are_taken_from_a_file_and_only_where_they_fit(tmp_path: Path) -> None:
    state = TOY.build("small", 9, 32).state_dict()
    save_file(state, tmp_path / "mine.safetensors")
    found = resolve_weights(str(tmp_path / "mine.safetensors"), "small", tmp_path, TOY)
    network = TOY.build("small", 2, 32)
    assert found.path is not None
    assert load_weights(network, found.path) == ["out.weight", "out.bias"]
    assert torch.equal(network.state_dict()["stages.0.0.weight"], state["stages.0.0.weight"])
    with pytest.raises(WeightsError, match=r"Toy \(tiny\)"):
        resolve_weights(str(tmp_path / "mine.safetensors"), "tiny", tmp_path, TOY)
    with pytest.raises(WeightsError, match="no official weights"):
        resolve_weights("auto", "tiny", tmp_path / "empty", TOY)


def test_a_model_whose_package_is_gone_says_so(toy: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(BACKBONES._entries, "toy")
    with pytest.raises(ModelError, match="'toy'"):
        load_model(toy.folder.model, torch.device("cpu"))

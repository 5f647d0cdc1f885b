"""The server answers with the confidences of the model's card: calibrated, as every other way does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax
from starlette.testclient import TestClient

from tests.tiny import CLASSES, TrainedRun
from workflows.data.images import read_rgb
from workflows.inference.model import load_model
from workflows.serving.api import create_app
from workflows.serving.limits import ServerSettings
from workflows.store.files import write_json
from workflows.targets.calibration import Calibration
from workflows.training.network import logits_of

TEMPERATURE = 2.5


@pytest.fixture(scope="module")
def calibrated(trained: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """The tiny run with another temperature in its card."""
    copy = trained.copied(tmp_path_factory.mktemp("calibrated") / "home")
    _, card = load_model(copy.folder.model, torch.device("cpu"))
    changed = card.model_copy(update={"calibration": Calibration(temperature=TEMPERATURE)})
    write_json(copy.folder.model.card, changed.model_dump(mode="json"))
    return copy


@pytest.fixture(scope="module")
def web(calibrated: TrainedRun) -> Iterator[TestClient]:
    settings = ServerSettings(run=calibrated.run_id, device="cpu")
    with TestClient(create_app(calibrated.store, settings), base_url="http://127.0.0.1") as client:
        yield client


def expected(run: TrainedRun, photo: Path) -> dict[str, float]:
    model, card = load_model(run.folder.model, torch.device("cpu"))
    logits = logits_of(model, np.stack([card.transform(read_rgb(photo))]), torch.device("cpu")).numpy()[0]
    return dict(zip(CLASSES, softmax(logits / TEMPERATURE).tolist(), strict=True))


def test_predictions_and_explanations_are_calibrated(
    web: TestClient, calibrated: TrainedRun, tiny_source: Path
) -> None:
    photo = tiny_source / "1" / "3.png"
    wanted = pytest.approx(expected(calibrated, photo), abs=1e-4)
    sent = {"files": (photo.name, photo.read_bytes())}
    (answer,) = web.post("/predict", files=sent, params={"top": 3}).json()["results"]
    assert {one["label"]: one["confidence"] for one in answer["top"]} == wanted
    sent = {"file": (photo.name, photo.read_bytes())}
    answer = web.post("/explain", files=sent, params={"methods": "eigen-cam", "top": 3}).json()
    assert {one["label"]: one["confidence"] for one in answer["top"]} == wanted


def test_the_server_tells_the_temperature(web: TestClient, calibrated: TrainedRun) -> None:
    assert web.get(f"/models/{calibrated.run_id}").json()["temperature"] == TEMPERATURE

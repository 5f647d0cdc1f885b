"""The server answers what the library answers, alone and in a crowd."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.serving.servers import Server
from tests.tiny import CLASSES, TrainedRun
from workflows.data.images import read_rgb
from workflows.explanation.heatmaps import heatmaps
from workflows.inference.predictor import Predictor

AS_PREDICTED = 1e-4


def files(paths: list[Path]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (path.name, path.read_bytes())) for path in paths]


def picture(text: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(text))))


def in_order(result: dict[str, Any]) -> list[float]:
    """A result's probabilities by class name."""
    return [score["confidence"] for score in sorted(result["top"], key=lambda score: score["label"])]


@pytest.fixture(scope="module")
def predictor(trained: TrainedRun) -> Predictor:
    return Predictor.load(trained.store, trained.run_id, "cpu")


def test_predictions_equal_those_of_the_command_line(
    web: httpx.Client, predictor: Predictor, photos: list[Path]
) -> None:
    chosen = photos[::4]
    expected = predictor.predict(chosen, top=3)
    answer = web.post("/predict", files=files(chosen), params={"top": 3}).json()
    assert answer["run_id"] == predictor.card.run_id
    for ours, theirs, path in zip(answer["results"], expected, chosen, strict=True):
        assert (ours["file"], ours["label"]) == (path.name, theirs["label"])
        assert in_order(ours) == pytest.approx(in_order(theirs), abs=AS_PREDICTED)


def test_a_crowd_is_answered_in_batches_and_as_each_alone(
    server: Server, web: httpx.Client, predictor: Predictor, photos: list[Path]
) -> None:
    chosen = photos[:60]
    expected = predictor.predict(chosen, top=3)
    before = web.get("/health").json()

    def ask(path: Path) -> dict[str, Any]:
        with server.client() as client:
            return dict(client.post("/predict", files=files([path]), params={"top": 3}).json()["results"][0])

    with ThreadPoolExecutor(20) as crowd:
        answers = list(crowd.map(ask, chosen))
    for ours, theirs in zip(answers, expected, strict=True):
        assert in_order(ours) == pytest.approx(in_order(theirs), abs=AS_PREDICTED)
    after = web.get("/health").json()
    assert after["images"] - before["images"] == 60
    assert after["batches"] - before["batches"] < 60
    assert after["waiting"] == 0


def test_explanations_show_the_pixels_that_the_network_saw_and_its_maps(
    web: httpx.Client, predictor: Predictor, photos: list[Path]
) -> None:
    answer = web.post(
        "/explain",
        files={"file": photos[1].read_bytes()},
        params={"method": ["eigen-cam", "grad-cam++"], "target": ["0", "4"]},
    ).json()
    square = predictor.card.transform(read_rgb(photos[1]))
    assert (picture(answer["input_png"]) == square).all()
    assert [(each["method"], each["target"]) for each in answer["maps"]] == [
        ("eigen-cam", None),
        ("grad-cam++", "0"),
        ("grad-cam++", "4"),
    ]
    expected = heatmaps(predictor.model, np.stack([square, square]), "grad-cam++", [0, 2])
    for each, drawn in zip(answer["maps"][1:], expected, strict=True):
        assert picture(each["map_png"]).astype(float) == pytest.approx(drawn * 255, abs=1.0)
        assert picture(each["overlay_png"]).shape == square.shape
        assert each["flat"] == (not drawn.any())


def test_a_class_specific_map_is_of_the_predicted_class_unless_told(web: httpx.Client, photos: list[Path]) -> None:
    answer = web.post("/explain", files={"file": photos[0].read_bytes()}, params={"method": "grad-cam"}).json()
    assert [each["target"] for each in answer["maps"]] == [answer["label"]]


def test_layers_can_be_chosen(web: httpx.Client, photos: list[Path]) -> None:
    layers = web.get("/models/default").json()["layers"]
    assert [layer["cells"] for layer in layers] == [1, 2, 4, 8]  # of 32 pixels
    assert [layer["layer"] for layer in layers if layer["default"]] == [2]
    for layer in layers:
        answer = web.post("/explain", files={"file": photos[0].read_bytes()}, params={"layer": layer["layer"]})
        assert {each["layer"] for each in answer.json()["maps"]} == {layer["layer"]}


def test_images_of_the_store_are_predicted_and_explained_by_their_content(
    web: httpx.Client, trained: TrainedRun, photos: list[Path]
) -> None:
    sha256 = trained.store.blobs.put(photos[0])
    uploaded = web.post("/predict", files=files(photos[:1])).json()["results"][0]
    stored = web.post("/predict-stored", json={"sha256": [sha256]}).json()["results"][0]
    assert (stored["file"], stored["label"]) == (sha256, uploaded["label"])
    assert stored["confidence"] == pytest.approx(uploaded["confidence"], abs=AS_PREDICTED)
    explained = web.post("/explain-stored", json={"sha256": sha256}).json()
    assert explained["label"] == uploaded["label"]
    assert len(explained["maps"]) == 2


def test_neighbours_are_training_images_and_mostly_of_the_same_class(
    web: httpx.Client, trained: TrainedRun, photos: list[Path]
) -> None:
    sha256 = trained.store.blobs.put(photos[0])
    answer = web.post("/nearest-stored", json={"sha256": sha256}, params={"count": 10}).json()
    while answer["state"] == "building":
        answer = web.post("/nearest-stored", json={"sha256": sha256}, params={"count": 10}).json()
    similarities = [each["similarity"] for each in answer["images"]]
    assert len(similarities) == 10
    assert similarities == sorted(similarities, reverse=True)
    assert sha256 not in {each["sha256"] for each in answer["images"]}
    assert sum(each["label"] == "0" for each in answer["images"]) >= 6
    uploaded = web.post("/nearest", files={"file": photos[0].read_bytes()}, params={"count": 1}).json()
    assert uploaded["images"][0]["similarity"] == pytest.approx(1.0, abs=2e-3)  # itself, if trained on; 16 bits


def test_models_are_listed_and_described(web: httpx.Client, trained: TrainedRun) -> None:
    listed = web.get("/models").json()
    assert listed["default"] == trained.run_id
    assert [(model["run_id"], model["classes"]) for model in listed["models"]] == [(trained.run_id, 3)]
    described = web.get(f"/models/{trained.run_id}").json()
    assert described["classes"] == list(CLASSES)
    assert described["methods"] == ["eigen-cam", "grad-cam", "grad-cam++", "layer-cam"]


def test_the_page_describes_every_request_and_loads_nothing_from_elsewhere(web: httpx.Client) -> None:
    page = web.get("/docs").text
    for path in web.get("/openapi.json").json()["paths"]:
        assert f"<code>{path}</code>" in page
    assert "<script" not in page
    assert "://" not in page.replace("http://127.0.0.1", "")

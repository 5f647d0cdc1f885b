"""A model that was trained on deep pictures is shown them by the same scale wherever it answers."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.processes import fieldguide
from tests.serving.servers import running
from tests.tiny import CLASSES, TrainedRun, train_tiny
from workflows.data.catalog import get_version, rendering_of_run
from workflows.data.pixels import make_square
from workflows.data.rendering import Rendering, Scale
from workflows.evaluation.predictions import read_predictions
from workflows.explanation.explain import explain_images
from workflows.inference.evaluate import evaluate_run
from workflows.inference.model import ModelCard, load_card
from workflows.inference.predictor import Predictor
from workflows.pipeline import RunContext
from workflows.store.files import read_json
from workflows.training.job import TrainingJob

TOP = 4095
SCALE = Rendering((Scale("uint16", 0.0, float(TOP)),))


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """A run on digits of 12 bits in 16-bit PNG files."""
    place = tmp_path_factory.mktemp("deep")
    digits = load_digits()
    for name in CLASSES:
        (place / "photos" / name).mkdir(parents=True)
        for number, strokes in enumerate(digits.images[digits.target == int(name)][:16]):
            values = np.kron(strokes / 16 * TOP, np.ones((5, 5))).astype(np.uint16)
            Image.fromarray(values).save(place / "photos" / name / f"{number}.png")
    return train_tiny(place / "home", place / "photos", epochs=4)


def as_shown(path: Path, size: int = 32) -> np.ndarray:
    """The network's input by the definition, without any of our readers."""
    raw = np.asarray(Image.open(path)).astype(np.float64)
    grey = np.rint(np.clip(raw / TOP, 0, 1) * 255).astype(np.uint8)
    return make_square(np.repeat(grey[..., None], 3, axis=2), size, "crop")


@pytest.fixture(scope="module")
def photos(deep: TrainedRun) -> list[Path]:
    return sorted(deep.source.rglob("*.png"))[::7]


def test_the_scale_is_kept_with_data_job_and_model(deep: TrainedRun) -> None:
    card = load_card(deep.folder.model)
    context = RunContext(deep.store, deep.run_id)
    job = TrainingJob.model_validate(read_json(deep.folder.training.job))
    version = get_version(deep.store, card.dataset, card.version)
    assert card.rendering == job.rendering == version.rendering() == SCALE
    assert card.transform.rendering == context.pixels().transform.rendering == SCALE
    assert rendering_of_run(deep.store, deep.run_id) == SCALE


def test_prediction_is_that_of_the_pictures_by_the_scale(deep: TrainedRun, photos: list[Path]) -> None:
    predictor = Predictor.load(deep.store, deep.run_id, "cpu")
    assert predictor.card.square == "crop"
    expected = predictor.probabilities(np.stack([as_shown(path) for path in photos]))
    found = predictor.predict(photos, top=3)
    for record, row in zip(found, expected, strict=True):
        assert record["confidence"] == pytest.approx(row.max(), abs=1e-6)
        assert record["label"] == CLASSES[int(row.argmax())]


def test_stored_predictions_and_a_second_evaluation_agree(deep: TrainedRun) -> None:
    predictor = Predictor.load(deep.store, deep.run_id, "cpu")
    stored = read_predictions(Path(deep.result["artifacts"]["predictions"]))[0]
    by_path = stored[stored["split"] == "test"].set_index("path")
    answers = predictor.predict([deep.source / path for path in by_path.index])
    assert [answer["label"] for answer in answers] == by_path["predicted"].tolist()
    assert [answer["confidence"] for answer in answers] == pytest.approx(by_path["confidence"].tolist(), abs=1e-5)
    again = evaluate_run(deep.store, deep.run_id, "test", device="cpu")
    assert again["metrics"]["top1"] == pytest.approx(deep.result["metrics"]["test"]["top1"])
    on_its_data = evaluate_run(deep.store, deep.run_id, "test", data=predictor.card.dataset, device="cpu")
    assert on_its_data["metrics"]["log_loss"] == pytest.approx(again["metrics"]["log_loss"])


def test_explanation_shows_the_same_pixels(deep: TrainedRun, photos: list[Path], tmp_path: Path) -> None:
    records = explain_images(deep.store, deep.run_id, photos[:1], ["eigen-cam"], tmp_path, "cpu")
    shown = np.asarray(Image.open(tmp_path / f"{photos[0].stem}_input.png"))
    np.testing.assert_array_equal(shown, as_shown(photos[0]))
    expected = Predictor.load(deep.store, deep.run_id, "cpu").predict(photos[:1])
    assert records[0]["predicted"] == expected[0]["label"]


def test_the_server_answers_the_same(deep: TrainedRun, photos: list[Path], tmp_path: Path) -> None:
    home = deep.copied(tmp_path / "home").store.home
    expected = Predictor.load(deep.store, deep.run_id, "cpu").predict(photos, top=3)
    with running(home, "--device", "cpu") as server, server.client() as web:
        sent = [("files", (path.name, path.read_bytes())) for path in photos]
        answer = web.post("/predict", files=sent, params={"top": 3}).json()
        for ours, theirs in zip(answer["results"], expected, strict=True):
            assert ours["label"] == theirs["label"]
            assert ours["confidence"] == pytest.approx(theirs["confidence"], abs=1e-4)
        explained = web.post("/explain", files={"file": (photos[0].name, photos[0].read_bytes())}).json()
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(explained["input_png"]))).convert("RGB"))
    np.testing.assert_array_equal(shown, as_shown(photos[0]))


def test_the_command_line_and_a_card_from_before(deep: TrainedRun, photos: list[Path], tmp_path: Path) -> None:
    copy = deep.copied(tmp_path / "home")
    expected = Predictor.load(deep.store, deep.run_id, "cpu").predict(photos[:1])
    done = fieldguide(copy.store.home, "predict", deep.run_id, photos[0], "--json")
    assert done.document[0]["confidence"] == pytest.approx(expected[0]["confidence"], abs=1e-5)
    path = copy.folder.model.card
    plain = json.loads(path.read_text())
    del plain["rendering"]
    card = ModelCard.model_validate(plain)
    assert card.rendering is None
    # as it was: the low byte is lost, and 12 bits are nearly black
    assert card.transform.read(photos[0]).max() <= 15 < as_shown(photos[0]).max()

"""Heat-maps lie on the pixels that the network saw, and point at what matters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from tests.tiny import CLASSES, TrainedRun
from workflows.backbones.network import Network
from workflows.backbones.yolov8 import YOLOV8
from workflows.errors import RunError, UsageError
from workflows.explanation.explain import choose_to_explain, explain_images
from workflows.explanation.heatmaps import METHODS, SMALLEST_MAP, OrientedEigenCAM, choose_layer, heatmaps, overlay
from workflows.explanation.methods import CLASSLESS
from workflows.inference.predictor import Predictor


@pytest.fixture(scope="module")
def predictor(trained: TrainedRun) -> Predictor:
    return Predictor.load(trained.store, trained.run_id)


@pytest.fixture(scope="module")
def network() -> Network:
    """Seeded weights: after a training, which differs in its last bits from CPU to CPU, a gradient map can be all zero."""
    torch.manual_seed(2)
    return YOLOV8.build("n", 3, 64).eval()


def squares(count: int = 3, side: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_map_per_photo(network: Network, method: str) -> None:
    maps = heatmaps(network, squares(), method, [0, 1, 2], batch=2)
    assert maps.shape == (3, 64, 64)
    assert maps.min() >= 0.0
    assert maps.max() <= 1.0
    assert maps.std() > 0


def test_gradient_maps_depend_on_the_class_and_eigen_cam_does_not(network: Network) -> None:
    photos = squares(1)
    one, other = (heatmaps(network, photos, "grad-cam", [number]) for number in (0, 1))
    assert not np.allclose(one, other)
    one, other = (heatmaps(network, photos, "eigen-cam", [number]) for number in (0, 1))
    np.testing.assert_allclose(one, other)


class Colours(Network):
    """Sees red and blue and nothing else: class 0 is red, class 1 blue, and class 2 is never spoken for."""

    def __init__(self) -> None:
        super().__init__(YOLOV8)
        self.sight, self.last = nn.Conv2d(3, 2, 8, stride=8, bias=False), nn.Linear(2, 3, bias=False)
        with torch.no_grad():
            self.sight.weight.zero_()
            self.sight.weight[0, [0, 2]] = torch.tensor([1.0, -1.0]).view(2, 1, 1) / 64
            self.sight.weight[1, [0, 2]] = torch.tensor([-1.0, 1.0]).view(2, 1, 1) / 64
            self.last.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
        self.maps = nn.Sequential(self.sight, nn.ReLU())

    @property
    def head(self) -> nn.Linear:
        return self.last

    @property
    def layers(self) -> Sequence[nn.Module]:
        return [self.maps]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.last(self.maps(images).mean(dim=(2, 3)))
        return logits


def red_and_blue() -> np.ndarray:
    """Return a grey photo with a red mark on the left and a blue one on the right."""
    photo = np.full((1, 64, 64, 3), 128, np.uint8)
    photo[:, 24:40, 8:24] = (230, 20, 20)
    photo[:, 24:40, 40:56] = (20, 20, 230)
    return photo


@pytest.mark.parametrize("method", ["grad-cam", "grad-cam++", "layer-cam"])
def test_the_map_of_each_class_lies_on_what_speaks_for_it(method: str) -> None:
    red, blue = heatmaps(Colours().eval(), np.repeat(red_and_blue(), 2, axis=0), method, [0, 1], layer=0)
    left, right = (slice(26, 38), slice(10, 22)), (slice(26, 38), slice(42, 54))
    assert red[left].min() > 0.5 > 0.05 > red[right].max()
    assert blue[right].min() > 0.5 > 0.05 > blue[left].max()


@pytest.mark.parametrize("method", METHODS)
def test_a_map_without_contrast_is_zero_and_no_noise(method: str) -> None:
    """Nothing speaks for class 2; and a photo of one colour speaks for its class everywhere alike."""
    model, plain = Colours().eval(), np.full((1, 64, 64, 3), (230, 20, 20), np.uint8)
    assert not heatmaps(model, plain, method, [0], layer=0).any()
    if method != CLASSLESS:
        assert not heatmaps(model, red_and_blue(), method, [2], layer=0).any()


def test_explaining_leaves_the_model_as_it_was(predictor: Predictor) -> None:
    before = predictor.probabilities(squares())
    heatmaps(predictor.model, squares(), "grad-cam++", [0, 0, 0])
    np.testing.assert_array_equal(predictor.probabilities(squares()), before)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_eigen_cam_points_at_the_object_whatever_the_sign_of_its_component(sign: float) -> None:
    """A strong blob on a weak background: the map must be high on the blob for the features and their mirror image."""
    activations = np.full((1, 5, 8, 8), 0.1)
    activations[:, :, 2:5, 2:5] = np.linspace(1.0, 3.0, 5)[None, :, None, None]
    activations *= sign
    model = YOLOV8.build("n", 2, 64).eval()
    cam = OrientedEigenCAM(model, [model.layers[8]])
    found = cam.get_cam_image(None, None, None, activations, None, False)[0]
    assert found[2:5, 2:5].min() > 0 > found[0, 0]


@pytest.mark.parametrize("image_size", [32, 64, 96, 128, 224, 320, 640])
def test_the_layer_is_the_deepest_whose_map_shows_where(image_size: int) -> None:
    layer = choose_layer(YOLOV8, image_size)
    model = YOLOV8.build("n", 2, 64).eval()
    shapes: dict[int, int] = {}
    for number, module in enumerate(model.layers):
        module.register_forward_hook(lambda _m, _i, out, number=number: shapes.update({number: out.shape[-1]}))
    with torch.inference_mode():
        model(torch.zeros(1, 3, image_size, image_size))
    assert shapes[layer] >= SMALLEST_MAP
    deeper = [number for number in (2, 4, 6, 8) if number > layer]
    assert all(shapes[number] < SMALLEST_MAP for number in deeper)


def test_overlay_keeps_the_photo_where_nothing_is_shown() -> None:
    photo = squares(1)[0]
    np.testing.assert_allclose(overlay(photo, np.zeros((64, 64), np.float32), opacity=0.0), photo, atol=2)


def test_pictures_show_the_pixels_that_the_network_saw(
    trained: TrainedRun, predictor: Predictor, tmp_path: Path
) -> None:
    photo = trained.source / "4" / "1.png"
    records = explain_images(trained.store, trained.run_id, [photo], ["eigen-cam", "grad-cam"], tmp_path)
    assert [record["method"] for record in records] == ["eigen-cam", "grad-cam"]
    assert {record["predicted"] for record in records} <= set(CLASSES)
    assert all(Path(record["picture"]).is_file() for record in records)
    original = np.asarray(Image.open(photo).convert("RGB"))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "1_input.png")), predictor.card.transform(original))


def test_two_photos_of_one_name_do_not_overwrite_each_other(trained: TrainedRun, tmp_path: Path) -> None:
    photos = [trained.source / "0" / "3.png", trained.source / "1" / "3.png"]
    records = explain_images(trained.store, trained.run_id, photos, ["eigen-cam"], tmp_path)
    assert len({record["picture"] for record in records}) == 2


def test_wrong_names_are_refused_in_words(trained: TrainedRun) -> None:
    photo = trained.source / "0" / "0.png"
    with pytest.raises(UsageError, match="magic"):
        explain_images(trained.store, trained.run_id, [photo], ["magic"])
    with pytest.raises(UsageError, match=r"\b9\b"):
        explain_images(trained.store, trained.run_id, [photo], target="9")
    with pytest.raises(RunError):
        explain_images(trained.store, "nothing", [photo])


def test_confidently_wrong_answers_come_first_then_right_ones_of_every_class() -> None:
    frame = pd.DataFrame(
        {
            "image_id": list("abcdefgh"),
            "label": ["x", "x", "x", "y", "y", "y", "y", "x"],
            "correct": [False, False, True, True, True, True, True, True],
            "confidence": [0.6, 0.9, 0.8, 0.5, 0.99, 0.7, 0.6, 0.4],
        }
    )
    assert choose_to_explain(frame, 4)["image_id"].tolist() == ["b", "a", "c", "e"]
    assert len(choose_to_explain(frame, 100)) == len(frame)
    assert choose_to_explain(frame, 0).empty

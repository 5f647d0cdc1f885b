"""The reusable classifier of a run: weights, and a model card with what is needed to use them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from workflows.backbones.network import Network
from workflows.backbones.registry import backbone_named
from workflows.data.pixels import SquareTransform
from workflows.data.rendering import Rendering
from workflows.errors import RunError
from workflows.graph.settings import Square
from workflows.store.files import atomic_path, read_json, sha256_of, write_json
from workflows.store.run_folder import ModelFolder
from workflows.targets.calibration import Calibration
from workflows.targets.registry import DEFAULT
from workflows.training.weights import read_safetensors


class ModelCard(BaseModel):
    """Everything that turns the weights into a classifier: nothing about it has to be guessed later."""

    model_config = ConfigDict(frozen=True)

    family: str
    size: str
    classes: tuple[str, ...]
    """Class names in the order of the outputs."""
    image_size: int
    square: Square
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    run_id: str
    dataset: str
    version: int
    rendering: Rendering | None = None
    """How raw samples are shown, as in the data set that it was trained on; cards from before there were renderings
    have none."""
    step: int
    """The evaluation step (epoch) that the weights are of."""
    weights_sha256: str = ""
    target: str = DEFAULT
    """The kind of its labels, by name; cards of older releases have none."""
    calibration: Calibration = Calibration()
    """The calibration of the confidences; part of every answer."""

    @property
    def transform(self) -> SquareTransform:
        """Return the way from a photo to the network's input."""
        return SquareTransform(self.image_size, self.square, self.rendering)


def save_model(folder: ModelFolder, weights: Path, card: ModelCard) -> None:
    """Write the classifier into `folder`; the card comes last, so that what has a card is whole."""
    folder.path.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder.weights) as partial:
        shutil.copyfile(weights, partial)
    sha256 = sha256_of(folder.weights)
    write_json(folder.card, card.model_copy(update={"weights_sha256": sha256}).model_dump(mode="json"))


def load_card(folder: ModelFolder) -> ModelCard:
    """Read the card of the classifier in `folder`. Raises RunError if the run left none."""
    path = folder.card
    if not path.exists():
        raise RunError(
            f"Run {folder.path.parent.name} has no model yet.",
            f"`fieldguide runs show {folder.path.parent.name}` shows its progress; `fieldguide runs resume` continues it.",
        )
    return ModelCard.model_validate(read_json(path))


def build_network(card: ModelCard, weights: Path, device: torch.device) -> Network:
    """Return the network that a card describes, with `weights` (a safetensors file), ready to answer on `device`."""
    model = backbone_named(card.family).build(card.size, len(card.classes), card.image_size)
    state: dict[str, Any] = read_safetensors(weights)
    model.load_state_dict(state)
    return model.to(device).to(memory_format=torch.channels_last).eval()


def load_model(folder: ModelFolder, device: torch.device) -> tuple[Network, ModelCard]:
    """Load the classifier in `folder` for inference on `device`.

    Raises:
        RunError: there is none, or its weights are not the ones that the card names.
        ModelError: this Fieldguide knows no networks of its family.
    """
    card = load_card(folder)
    weights = folder.weights
    if sha256_of(weights) != card.weights_sha256:
        raise RunError(f"The weights {weights} have changed since the run wrote them.", "Restore them, or train again.")
    return build_network(card, weights, device), card

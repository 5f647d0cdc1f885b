"""The reusable classifier that a run leaves behind: weights, and a card that says how to use them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from workflows.data.pixels import SquareTransform
from workflows.errors import RunError
from workflows.graph.settings import ModelSize, Square
from workflows.store.files import atomic_path, read_json, sha256_of, write_json
from workflows.training.network import Classifier
from workflows.training.weights import read_safetensors

WEIGHTS_FILE, CARD_FILE = "model.safetensors", "model.json"


class ModelCard(BaseModel):
    """Everything that turns the weights into a classifier: nothing about it has to be guessed later."""

    model_config = ConfigDict(frozen=True)

    family: str
    size: ModelSize
    classes: tuple[str, ...]
    """Class names in the order of the outputs."""
    image_size: int
    square: Square
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    run_id: str
    dataset: str
    version: int
    step: int
    """The evaluation step (epoch) that the weights are of."""
    weights_sha256: str = ""

    @property
    def transform(self) -> SquareTransform:
        """Return the way from a photo to the network's input."""
        return SquareTransform(self.image_size, self.square)


def save_model(folder: Path, weights: Path, card: ModelCard) -> None:
    """Write the classifier into `folder`; the card comes last, so that what has a card is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / WEIGHTS_FILE) as partial:
        shutil.copyfile(weights, partial)
    sha256 = sha256_of(folder / WEIGHTS_FILE)
    write_json(folder / CARD_FILE, card.model_copy(update={"weights_sha256": sha256}).model_dump(mode="json"))


def load_card(folder: Path) -> ModelCard:
    """Read the card of the classifier in `folder`. Raises RunError if the run left none."""
    path = folder / CARD_FILE
    if not path.exists():
        raise RunError(
            f"Run {folder.parent.name} has no model yet.",
            f"`fieldguide runs show {folder.parent.name}` says how far it is; `fieldguide runs resume` goes on.",
        )
    return ModelCard.model_validate(read_json(path))


def load_model(folder: Path, device: torch.device) -> tuple[Classifier, ModelCard]:
    """Load the classifier in `folder` for inference on `device`.

    Raises:
        RunError: there is none, or its weights are not the ones that the card names.
    """
    card = load_card(folder)
    weights = folder / WEIGHTS_FILE
    if sha256_of(weights) != card.weights_sha256:
        raise RunError(f"The weights {weights} have changed since the run wrote them.", "Restore them, or train again.")
    model = Classifier(card.size, len(card.classes))
    state: dict[str, Any] = read_safetensors(weights)
    model.load_state_dict(state)
    return model.to(device, memory_format=torch.channels_last).eval(), card

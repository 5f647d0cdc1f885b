"""Images that champions are tested on: they stay out of training for good, or it is said what that costs."""

from __future__ import annotations

from collections.abc import Mapping

from workflows.store.files import read_table
from workflows.store.names import counted
from workflows.store.store import Store


def test_images_of_champions(store: Store, dataset: str) -> dict[str, set[str]]:
    """Return for each model whose champion was trained on `dataset` the ids of the images that it is tested on."""
    champions = store.models.champions()
    paths = {
        version.model: store.frozen_file(version.model, version.number)
        for version in store.models.versions()
        if version.dataset == dataset and champions.get(version.model) == version.number
    }
    return {
        model: set(read_table(path, ["image_id"])["image_id"].astype(str))
        for model, path in paths.items()
        if path.exists()
    }


def released(frozen: Mapping[str, set[str]], splits: Mapping[str, str]) -> dict[str, int]:
    """Return for each model how many of its champion's test images would be trained on, if there are any.

    Args:
        frozen: of :func:`test_images_of_champions`.
        splits: image id -> split; images that are not in it stay where they are.
    """
    numbers = {model: sum(splits.get(image) == "train" for image in images) for model, images in frozen.items()}
    return {model: number for model, number in numbers.items() if number}


def release_warnings(numbers: Mapping[str, int]) -> list[str]:
    """Say what it costs to train on the test images of champions.

    Args:
        numbers: of :func:`released`.
    """
    return [
        f"{counted(number, 'image')} that the champion of {model} is tested on would be trained on: it can't be "
        f"retrained any more until a run on the new split is registered as a version of {model} and promoted."
        for model, number in numbers.items()
    ]

"""Batches are a pure function of seed, epoch and number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from tests.data.test_pixels import records
from tests.properties import examples
from workflows.data.pixels import SquareTransform, open_pixels
from workflows.nodes.augmentation import AugmentationSettings
from workflows.training.augment import Augmenter
from workflows.training.loader import EpochBatches, TrainingPhotos, make_loader

PLAIN = AugmentationSettings(
    crop_min=1.0, crop_aspect=1.0, horizontal_flip=0.0, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0
)


def drawn(batches: EpochBatches, epoch: int) -> list[int]:
    batches.set_epoch(epoch)
    return [position for _, *positions in batches for position in positions]


@settings(max_examples=examples(80), deadline=None)
@given(photos=st.integers(2, 200), batch=st.integers(2, 40), seed=st.integers(0, 5))
def test_an_epoch_shows_every_photo_once(photos: int, batch: int, seed: int) -> None:
    batches = EpochBatches(photos, batch, seed)
    found = drawn(batches, 0)
    assert len(found) == len(set(found))
    # a photo that would be alone in the last batch waits for the next epoch
    assert len(found) == photos - (photos % batch == 1 and photos > batch)
    assert len(list(batches)) == len(batches)


@settings(max_examples=examples(40), deadline=None)
@given(photos=st.integers(8, 100), processes=st.integers(2, 4))
def test_processes_share_an_epoch(photos: int, processes: int) -> None:
    shares = [drawn(EpochBatches(photos, 2, 0, rank, processes), 3) for rank in range(processes)]
    assert len({len(share) for share in shares}) == 1
    assert len(set().union(*shares)) >= photos - processes


def test_epochs_and_seeds_differ_but_repeat() -> None:
    batches = EpochBatches(50, 8, 1)
    assert drawn(batches, 0) != drawn(batches, 1)
    assert drawn(batches, 0) == drawn(EpochBatches(50, 8, 1), 0)
    assert drawn(batches, 0) != drawn(EpochBatches(50, 8, 2), 0)


@pytest.fixture
def photos(tmp_path: Path) -> TrainingPhotos:
    table = records(tmp_path / "photos", count=30)
    pixels = open_pixels(table, (tmp_path / "photos").joinpath, SquareTransform(32, "crop"), tmp_path / "cache")
    return TrainingPhotos(pixels, np.arange(10), Augmenter(AugmentationSettings(), 32))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_do_not_depend_on_who_loads_them(photos: TrainingPhotos, workers: int) -> None:
    def epoch(number: int, loader: DataLoader) -> list[np.ndarray]:
        loader.batch_sampler.set_epoch(number)
        return [batch["img"].numpy().copy() for batch in loader]

    here = make_loader(photos, EpochBatches(10, 4, 0), 0, pin=False)
    there = make_loader(photos, EpochBatches(10, 4, 0), workers, pin=False)
    first, second = epoch(0, here), epoch(1, here)
    for expected, found in zip(second + first, epoch(1, there) + epoch(0, there), strict=True):
        np.testing.assert_array_equal(expected, found)
    assert not np.array_equal(first[0], second[0])


def test_labels_stay_with_their_photos(photos: TrainingPhotos) -> None:
    batch = photos.__getitems__((1, 7, 2, 5))
    assert batch["cls"].tolist() == batch["position"].tolist() == [7, 2, 5]


def test_without_augmentation_training_sees_what_evaluation_sees(photos: TrainingPhotos) -> None:
    """The way to a square agrees between the two: only randomness is added."""
    wide = np.asarray(photos.photo(3))
    found = Augmenter(PLAIN, 32)([wide], seed=0)[0].astype(int)
    expected = SquareTransform(32, "crop")(wide).astype(int)
    assert np.abs(found - expected).mean() < 6  # two libraries' ways to scale


@pytest.mark.parametrize(
    "settings_of_one",
    [
        {name: 1.0}
        for name in ("horizontal_flip", "vertical_flip", "quarter_turns", "grayscale", "blur", "noise", "erase")
    ]
    + [{"rotate": 30.0}, {"translate": 0.2}, {"zoom": 0.3}, {"brightness": 0.5}, {"saturation": 0.9}, {"hue": 0.3}],
)
def test_every_setting_changes_something(photos: TrainingPhotos, settings_of_one: dict[str, float]) -> None:
    batch = [photos.photo(position) for position in range(10)]
    plain = Augmenter(PLAIN, 32)(batch, seed=3)
    changed = Augmenter(PLAIN.model_copy(update=settings_of_one), 32)(batch, seed=3)
    assert not np.array_equal(plain, changed)

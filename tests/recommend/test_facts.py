"""Facts of real imported data sets, and of tables with given numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from workflows.data.importing import add_dataset
from workflows.data.version import IMAGES_FILE, DatasetVersion
from workflows.errors import DatasetError
from workflows.recommend.facts import Facts, dataset_facts, is_grey, pixel_reader
from workflows.store.files import write_table
from workflows.store.store import Store


def version_of(folder: Path, rows: pd.DataFrame, classes: tuple[str, ...]) -> DatasetVersion:
    """A version whose table has these rows."""
    folder.mkdir(parents=True, exist_ok=True)
    defaults: dict[str, Any] = {"split": "train", "mode": "RGB", "width": 100, "height": 100, "label": classes[0]}
    table = rows.assign(**{name: value for name, value in defaults.items() if name not in rows})
    table["sha256"] = [f"{index:064x}" for index in range(len(table))]
    write_table(folder / IMAGES_FILE, table)
    now = datetime.now(UTC)
    return DatasetVersion("photos", 2, classes, len(table), "f", "s", now, "test", folder, given_split=True)


def test_counts_and_shapes(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {
            "label": ["a"] * 6 + ["b"] * 2 + ["a", "b"],
            "split": ["train"] * 8 + ["val", "test"],
            "width": [400] * 5 + [300] * 5,
            "height": [200] * 5 + [300] * 5,
        }
    )
    facts = dataset_facts(version_of(tmp_path, rows, ("a", "b")))
    assert (facts.dataset, facts.version, facts.images, facts.classes) == ("photos", 2, 10, 2)
    assert (facts.train_images, facts.val_images, facts.test_images) == (8, 1, 1)
    assert facts.per_class == {"a": 6, "b": 2}
    assert (facts.smallest_class, facts.largest_class, facts.imbalance, facts.images_per_class) == (2, 6, 3.0, 4.0)
    assert (facts.median_width, facts.median_height, facts.median_short_side) == (350, 250, 250)
    assert (facts.aspect_median, facts.aspect_p10, facts.aspect_p90) == (1.5, 1.0, 2.0)
    assert (facts.elongation_median, facts.elongation_p90, facts.share_non_square) == (1.5, 2.0, 0.5)
    assert facts.given_split


def test_upright_images_are_as_elongated_as_wide_ones(tmp_path: Path) -> None:
    rows = pd.DataFrame({"label": ["a", "b"], "width": [100, 300], "height": [300, 100]})
    facts = dataset_facts(version_of(tmp_path, rows, ("a", "b")))
    assert facts.elongation_median == 3
    assert facts.median_short_side == 100


def test_a_class_without_training_images_counts(tmp_path: Path) -> None:
    rows = pd.DataFrame({"label": ["a", "a", "b"], "split": ["train", "train", "val"]})
    facts = dataset_facts(version_of(tmp_path, rows, ("a", "b")))
    assert (facts.per_class, facts.smallest_class, facts.imbalance) == ({"a": 2, "b": 0}, 0, 2.0)


@pytest.mark.parametrize(
    ("rows", "classes"),
    [
        (pd.DataFrame({"label": ["a", "b"], "split": ["val", "test"]}), ("a", "b")),
        (pd.DataFrame({"label": ["a", "a"]}), ("a",)),
    ],
)
def test_versions_that_teach_nothing_are_refused(tmp_path: Path, rows: pd.DataFrame, classes: tuple[str, ...]) -> None:
    with pytest.raises(DatasetError, match=r"'photos' \(version 2\).*\b\d training"):
        dataset_facts(version_of(tmp_path, rows, classes))


@pytest.mark.parametrize(("modes", "colour"), [(["L", "I;16"], False), (["L", "RGB"], True), (["P", "CMYK"], True)])
def test_colour_by_modes_alone(tmp_path: Path, modes: list[str], colour: bool) -> None:
    rows = pd.DataFrame({"label": ["a", "b"], "mode": modes})
    assert dataset_facts(version_of(tmp_path, rows, ("a", "b"))).colour is colour


def imported(store: Store, folder: Path, kind: str) -> Facts:
    """Facts of a data set of 16 imported images: "grey" (stored as RGB), "tinted" or "colour"."""
    random = np.random.default_rng(0)
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for index in range(8):
            grey = random.integers(0, 240, (40, 60), dtype=np.uint8)
            tint = {"grey": (0, 0, 0), "tinted": (0, 6, 12), "colour": (0, 6, 15)}[kind]
            rgb = grey[..., None] + np.array(tint, np.uint8)
            Image.fromarray(rgb).save(folder / label / f"{index}.png")
    version = add_dataset(store, "photos", folder).version
    return dataset_facts(version, pixel_reader(store))


@pytest.mark.parametrize(("kind", "colour"), [("grey", False), ("tinted", False), ("colour", True)])
def test_colour_by_pixels(home: Path, tmp_path: Path, kind: str, colour: bool) -> None:
    facts = imported(Store(), tmp_path / "source", kind)
    assert facts.colour is colour
    assert (facts.median_width, facts.median_height) == (60, 40)
    assert facts.train_images + facts.val_images + facts.test_images == 16


def test_a_few_coloured_pixels_do_not_make_a_colour_image() -> None:
    rgb = np.full((20, 20, 3), 128, np.uint8)
    rgb[0, :3] = (255, 0, 0)
    assert is_grey(rgb)
    rgb[0, :5] = (255, 0, 0)
    assert not is_grey(rgb)

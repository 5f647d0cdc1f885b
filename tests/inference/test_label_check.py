"""Planted wrong labels of real pictures are found, from files to the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.photos import digit_folders
from tests.processes import fieldguide
from workflows.backbones.yolov8 import YOLOV8
from workflows.data.catalog import get_version
from workflows.data.edits import relabel
from workflows.data.importing import add_dataset
from workflows.data.sources import Reading
from workflows.errors import DatasetError, UsageError
from workflows.inference.label_check import check_version
from workflows.store.store import Store
from workflows.targets.single_label.suspects import COLUMNS

PLANTED = 3


@pytest.fixture(scope="module")
def weights(shared: Path) -> Path:
    """Pretrained on ImageNet."""
    return shared / "weights" / "yolov8n-cls-backbone.safetensors"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A home with 180 digits of three classes as `digits`, and the ids whose labels were exchanged, with the right ones."""
    home = tmp_path_factory.mktemp("home")
    store = Store(home)
    add_dataset(store, "digits", digit_folders(home / "photos", per_class=60))
    table = get_version(store, "digits").table()
    right = {}
    for label in ("0", "1", "2"):
        right |= dict.fromkeys(table.loc[table["label"] == label, "image_id"].head(PLANTED // 3), label)
    relabel(store, "digits", {image: "2" if label != "2" else "0" for image, label in right.items()})
    return home, right


def test_planted_labels_are_suspected_with_the_right_one(planted: tuple[Path, dict[str, str]], weights: Path) -> None:
    home, right = planted
    check = check_version(Store(home), get_version(Store(home), "digits"), weights=str(weights))
    suspected = check.table[check.table["suspected"]].set_index("image_id")["suggested"].to_dict()
    assert not check.blind
    assert right.items() <= suspected.items()
    assert len(suspected) <= 2 * len(right)


def test_features_are_computed_once(planted: tuple[Path, dict[str, str]], weights: Path) -> None:
    store, told = Store(planted[0]), []

    def progress(stage: str, *_: object) -> None:
        told.append(stage)

    version = get_version(store, "digits")
    first = check_version(store, version, weights=str(weights))
    second = check_version(store, version, weights=str(weights), progress=progress)
    assert "features" not in told and "check labels" in told
    assert first.table.equals(second.table)


def test_the_verb_lists_them(planted: tuple[Path, dict[str, str]], weights: Path) -> None:
    home, right = planted
    done = fieldguide(home, "dataset", "suspects", "digits", "--weights", weights, "--json")
    assert done.code == 0, done.stderr
    rows = done.document
    assert {"path", "label", "suggested", "score", "suspected"} <= set(COLUMNS) == rows[0].keys()
    assert right.keys() <= {row["image_id"] for row in rows if row["suspected"]}
    shown = fieldguide(home, "dataset", "suspects", "digits", "--weights", weights).stdout
    assert all(row["path"] in shown for row in rows if row["suspected"])


def test_a_network_that_sees_nothing_suspects_nothing(planted: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(YOLOV8.build("n", 2, 224).state_dict(), tmp_path / "random.safetensors")
    store = Store(planted[0])
    check = check_version(store, get_version(store, "digits"), weights=str(tmp_path / "random.safetensors"))
    assert check.blind
    assert not check.table["suspected"].any()


def test_what_can_see_nothing_is_refused(tmp_path: Path, planted: tuple[Path, dict[str, str]]) -> None:
    store = Store(planted[0])
    with pytest.raises(UsageError):
        check_version(store, get_version(store, "digits"), weights="none")
    empty = Store(tmp_path)
    add_dataset(empty, "plain", planted[0] / "photos", reading=Reading(unlabelled=True))
    with pytest.raises(DatasetError):
        check_version(empty, get_version(empty, "plain"), weights="auto")

"""The cards in `datasets/` say what is true of the data sets they describe, as far as that can be known here."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError
from sklearn.datasets import load_digits

from workflows.data.cards import Card, card_of, known_cards, read_card
from workflows.data.naming import check_name
from workflows.errors import StorageError, UsageError

CARDS = sorted((Path(__file__).parents[1] / "datasets").glob("*.yaml"))
PATHS_INSIDE = {
    "imagenette-160": {
        "imagenette2-160/train/n03445777/n03445777_9994.JPEG": ("golf ball", "train"),
        "imagenette2-160/val/n01440764/ILSVRC2012_val_00009111.JPEG": ("tench", "val"),
        "imagenette2-160/noisy_imagenette.csv": None,
    },
    "pets": {
        "images/american_pit_bull_terrier_100.jpg": ("american_pit_bull_terrier", None),
        "Abyssinian_1.jpg": ("Abyssinian", None),
        "images/Abyssinian_100.mat": None,
    },
}


def raw(name: str = "imagenette-160") -> dict[str, Any]:
    path = next(path for path in CARDS if path.stem == name)
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_every_card_is_valid(path: Path) -> None:
    card = read_card(path)
    assert card.name == path.stem
    check_name(card.name)
    assert card.layout == "generated" or (card.url or "").startswith("https://")
    assert card.checksum.sha256, "a checksum that nobody knows would need a person's --trust"


def test_known_cards_are_those_in_the_folder() -> None:
    assert [card.name for card in known_cards()] == [path.stem for path in CARDS]


def test_the_card_of_the_digits_is_right() -> None:
    card, digits = card_of("digits"), load_digits()
    pixels = digits.images.astype(np.uint8).tobytes() + digits.target.astype("<i8").tobytes()
    assert card.checksum.sha256 == hashlib.sha256(pixels).hexdigest()
    assert card.images == len(digits.images)
    assert card.classes == [str(name) for name in digits.target_names]


def test_the_card_of_the_flowers_fits_our_copy(shared: Path) -> None:
    folder, card = shared / "data" / "flowers", card_of("flowers")
    assert sorted(place.name for place in folder.iterdir()) == card.classes
    assert sum(1 for _ in folder.glob("*/*.jpg")) == card.images


@pytest.mark.parametrize("name", sorted(PATHS_INSIDE))
def test_the_patterns_read_the_names_in_the_archives(name: str) -> None:
    card = card_of(name)
    for path, expected in PATHS_INSIDE[name].items():
        found = re.search(card.label_pattern or "", path)
        if expected is None:
            assert found is None
        else:
            assert found is not None
            assert card.class_names.get(found["label"], found["label"]) == expected[0]
            assert found.groupdict().get("split") == expected[1]


def test_all_classes_of_imagenette_are_reached() -> None:
    card = card_of("imagenette-320")
    assert sorted(card.class_names.values()) == sorted(card.classes)


def test_an_unknown_card_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="flowers"):
        card_of("unicorns")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../flowers"),
        ("url", "file:///etc/passwd"),
        ("url", "https://"),
        ("bytes", "12"),
        ("bytes", 0),
        ("checksum", {"sha256": "abc"}),
        ("checksum", {"md5": "e793b78cc4c9e9a4ccc0c1155377a412"}),
        ("checksum", {}),
        ("label_pattern", "("),
        ("label_pattern", r"(?P<class>\w+)"),
        ("label_pattern", None),
        ("layout", "folders"),
        ("classes", ["tench", "tench"]),
        ("class_names", {"n01440764": "whale"}),
        ("url", None),
        ("run", "rm -rf /"),
    ],
)
def test_a_card_that_is_wrong_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Card.model_validate(raw() | {field: value})


def test_an_unknown_checksum_must_be_said() -> None:
    assert Card.model_validate(raw() | {"checksum": {"sha256": None}}).checksum.sha256 is None


@pytest.mark.parametrize("text", ["", "[]", "name: [", "!!python/object/apply:os.system ['true']", "\xff"])
def test_a_file_that_is_no_card_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StorageError, match=r"card\.yaml"):
        read_card(path)

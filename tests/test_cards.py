"""The cards in `datasets/` say what is true of the data sets they describe."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

CARDS = sorted((Path(__file__).parents[1] / "datasets").glob("*.yaml"))
FIELDS = {"name", "title", "about", "from", "origin", "licence", "layout", "images", "classes", "checksum"}


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_card_says_all_it_must(path: Path) -> None:
    card = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(card) == FIELDS
    assert card["name"] == path.stem


def test_the_card_of_the_digits_is_right() -> None:
    card, digits = yaml.safe_load(CARDS[0].read_text(encoding="utf-8")), load_digits()
    pixels = digits.images.astype(np.uint8).tobytes() + digits.target.astype("<i8").tobytes()
    assert card["checksum"]["sha256"] == hashlib.sha256(pixels).hexdigest()
    assert card["images"] == len(digits.images)
    assert card["classes"] == [str(name) for name in digits.target_names]

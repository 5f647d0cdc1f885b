"""When a flip would change what an image means, judged by names."""

from __future__ import annotations

import string

import pytest

from workflows.recommend.orientation import infer_orientation

MATTERS = [
    ("scans", [str(digit) for digit in range(10)], "single digits"),
    ("scans", list(string.ascii_uppercase), "single letters"),
    ("scans", ["a", "b", "7"], "single letters"),
    ("scans", ["zero", "one", "two"], "numbers"),
    ("hands", ["pointing_left", "pointing_right", "fist"], "'pointing left' and 'pointing right'"),
    ("lifts", ["ButtonUp", "ButtonDown"], "'button up' and 'button down'"),
    ("mnist", ["class a", "class b"], "'mnist'"),
    ("traffic-signs", ["stop", "yield"], "'signs'"),
]

DOES_NOT_MATTER = [
    ("flowers", ["daisy", "roses"]),
    ("parts", ["0", "1"]),  # good and bad, more likely than two digits
    ("whales", ["right whale", "blue whale"]),
    ("birds", [f"bird {index}" for index in range(325)]),
    ("plants", [str(index) for index in range(1, 103)]),  # numbered species
    ("designs", ["modern", "classic"]),
    ("blocks", ["upright", "downcast"]),
]


@pytest.mark.parametrize(("dataset", "classes", "why"), MATTERS)
def test_meaning_depends_on_orientation(dataset: str, classes: list[str], why: str) -> None:
    orientation = infer_orientation(dataset, classes)
    assert orientation.meaningful and not orientation.free
    assert why in orientation.because


@pytest.mark.parametrize(("dataset", "classes"), DOES_NOT_MATTER)
def test_meaning_does_not_depend_on_orientation(dataset: str, classes: list[str]) -> None:
    orientation = infer_orientation(dataset, classes)
    assert not orientation.meaningful and not orientation.free


@pytest.mark.parametrize("dataset", ["EuroSAT aerial", "satellite_2024", "pollen-grains"])
def test_seen_from_above_nothing_is_up(dataset: str) -> None:
    orientation = infer_orientation(dataset, ["field", "forest"])
    assert orientation.free and not orientation.meaningful
    assert "side is up" in orientation.because

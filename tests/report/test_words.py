"""Numbers in words."""

from __future__ import annotations

import pytest

from workflows.report.words import (
    NBSP,
    calibration_words,
    count,
    duration,
    percent,
    percent_range,
    plain,
    size,
    without,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.0 %"),
        (0.911, "91.1 %"),
        (1.0, "100.0 %"),
        (0.9999, "> 99.9 %"),
        (0.0001, "< 0.1 %"),
        (0.9995, "> 99.9 %"),
        (0.9994, "99.9 %"),
    ],
)
def test_percent_never_makes_almost_all_look_like_all(share: float, text: str) -> None:
    assert percent(share).replace(NBSP, " ") == text


def test_percent_range() -> None:
    assert percent_range(0.5, 0.75, 0).replace(NBSP, " ") == "between 50 % and 75 %"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 photos"), (1, "1 photo"), (2, "2 photos"), (12345, "12,345 photos")]
)
def test_count(number: int, text: str) -> None:
    assert count(number, "photo").replace(NBSP, " ") == text


def test_count_with_its_own_plural() -> None:
    assert count(2, "class", "classes") == f"2{NBSP}classes"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (9.96, "10.0 s"),
        (48.2, "48 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (1234, "20 min"),
        (3599.9, "1 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds).replace(NBSP, " ") == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1_400_000, "1 MB"), (2_340_000_000, "2.3 GB")]
)
def test_size(number: int, text: str) -> None:
    assert size(number).replace(NBSP, " ") == text


def test_without() -> None:
    assert without([]) == ""
    assert without(["180"]) == "without 180"


@pytest.mark.parametrize("card", [None, {}, {"temperature": 1.0, "reason": "too few"}])
def test_a_model_that_is_not_calibrated_claims_no_temperature(card: dict[str, object] | None) -> None:
    said = calibration_words(card)
    assert "temperature" not in said.replace("a temperature needs", "")
    assert str((card or {}).get("reason", "")) in said


def test_a_calibrated_model_says_before_and_after() -> None:
    said = calibration_words({"temperature": 0.6849, "images": 551, "ece_before": 0.0807, "ece_after": 0.0171})
    assert all(part in said for part in ("0.685", "551", "8.1", "1.7"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "not set"), (True, "yes"), (0.001, "0.001"), (64, "64"), (["a", "b"], "a, b"), ((), "none"), ("x", "x")],
)
def test_plain(value: object, text: str) -> None:
    assert plain(value) == text

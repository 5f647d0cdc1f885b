"""What may be done at most every few seconds is not done more often, and never forgotten."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from workflows import throttle
from workflows.throttle import ProgressThrottle, Throttle


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a clock shows."""
    shown = [100.0]
    monkeypatch.setattr(throttle, "time", SimpleNamespace(monotonic=lambda: shown[0]))
    return shown


def test_the_first_time_is_at_once_and_the_next_after_the_pause(clock: list[float]) -> None:
    looks = Throttle(2.0)
    assert (looks.take(), looks.take()) == (True, False)
    clock[0] += 1.9
    assert not looks.is_due()
    clock[0] += 0.1
    assert looks.is_due()
    assert (looks.take(), looks.take()) == (True, False)
    looks.reset()
    assert looks.take()


def test_it_can_begin_with_the_pause(clock: list[float]) -> None:
    looks = Throttle(2.0, at_once=False)
    assert not looks.take()
    clock[0] += 2.0
    assert looks.take()


def test_progress_of_each_stage_is_let_through_now_and_then_and_its_end_always(clock: list[float]) -> None:
    lines = ProgressThrottle(5.0)
    assert [lines.take(stage, always=False) for stage in ("verify", "verify", "train", "verify")] == [1, 0, 1, 0]
    assert lines.take("verify", always=True)
    clock[0] += 4.0
    assert not lines.take("verify", always=False)
    clock[0] += 1.0
    assert lines.take("verify", always=False)

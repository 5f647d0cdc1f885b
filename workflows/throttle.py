"""Not more often than that: one clock for everything that may happen at most every few seconds."""

from __future__ import annotations

import time


class Throttle:
    """Something that may be done at most every so many seconds."""

    def __init__(self, seconds: float, *, at_once: bool = True) -> None:
        """Allow it every `seconds`; the first time at once, or else after that time, too."""
        self.seconds = seconds
        self._done_at = float("-inf") if at_once else time.monotonic()

    def is_due(self) -> bool:
        """Return whether it may be done again."""
        return time.monotonic() - self._done_at >= self.seconds

    def done(self) -> None:
        """Note that it has been done now."""
        self._done_at = time.monotonic()

    def take(self) -> bool:
        """Return whether it may be done again; if so, it counts as done."""
        due = self.is_due()
        if due:
            self.done()
        return due

    def reset(self) -> None:
        """Allow it at once."""
        self._done_at = float("-inf")


class ProgressThrottle:
    """Lets the progress of each stage through at most every so many seconds."""

    def __init__(self, seconds: float) -> None:
        """Allow it every `seconds`; of a new stage at once."""
        self._seconds = seconds
        self._stages: dict[str, Throttle] = {}

    def take(self, stage: str, *, always: bool) -> bool:
        """Return whether to pass on what is said of a stage; `always`: it must not be missed, such as the end."""
        throttle = self._stages.setdefault(stage, Throttle(self._seconds))
        passes = always or throttle.is_due()
        if passes:
            throttle.done()
        return passes

"""How something that runs stands: one vocabulary for runs, scheduled retrainings, jobs of the studio and trials.

Databases, JSON and the command line keep the words that they always had; `State("waiting")` and `State("pending")` are
the same state.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """A state, by the word that runs are stored with."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    FINISHED = "finished"
    SKIPPED = "skipped"
    PRUNED = "pruned"
    """Ended early, because others were better by then."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    """A cancellation was requested."""
    INTERRUPTED = "interrupted"
    """Cut off: its process died, or the studio ended."""

    @classmethod
    def _missing_(cls, value: object) -> State | None:
        return _SYNONYMS.get(value)

    @property
    def alive(self) -> bool:
        """Whether it waits or runs."""
        return self in ALIVE

    @property
    def resumable(self) -> bool:
        """Whether it ended before its work was done, so that it can go on."""
        return self in RESUMABLE

    @property
    def words(self) -> str:
        """The state as people read it."""
        return _WORDS.get(self, self.value)


ALIVE = (State.PENDING, State.RUNNING, State.STOPPING)
RESUMABLE = (State.FAILED, State.CANCELLED, State.INTERRUPTED)
RUN_STATES = (State.RUNNING, State.PENDING, State.FINISHED, *RESUMABLE)
"""Those of a run, as lists show them."""
_WORDS = {State.PENDING: "waiting", State.PRUNED: "ended early"}
_SYNONYMS: dict[object, State] = {
    "waiting": State.PENDING,
    "done": State.FINISHED,
    "complete": State.FINISHED,
    "fail": State.FAILED,
    "stopped": State.CANCELLED,
}

"""One vocabulary of states, whatever words a table or a library has."""

from __future__ import annotations

import pytest
from optuna.trial import TrialState
from sqlalchemy import text

from workflows.state import RUN_STATES, State
from workflows.store.store import Store


def test_every_state_either_goes_on_or_has_ended() -> None:
    assert {state for state in State if state.alive} == {State.PENDING, State.RUNNING, State.STOPPING}
    assert all(not state.alive for state in State if state.resumable)


@pytest.mark.parametrize(
    ("word", "state"),
    [("waiting", State.PENDING), ("done", State.FINISHED), ("stopped", State.CANCELLED), ("failed", State.FAILED)],
)
def test_other_words_are_understood(word: str, state: State) -> None:
    assert State(word) is state


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ValueError, match="asleep"):
        State("asleep")


def test_every_state_of_a_trial_is_understood() -> None:
    assert {State(state.name.lower()) for state in TrialState} <= set(State)


def test_runs_are_stored_by_their_own_words(store: Store) -> None:
    run = store.runs.create("a", {}).run_id
    for state in RUN_STATES:
        assert store.runs.update(run, state=state).state is state
        assert _stored(store, "runs") == state.value


def test_scheduled_runs_keep_the_words_of_their_log(store: Store) -> None:
    with store.database.write() as connection:
        connection.execute(text("INSERT INTO models VALUES ('birds', '2026-01-01 00:00:00')"))
    schedule = store.schedules.add("birds", every_seconds=60)
    scheduled = store.schedules.record_run(schedule, "by hand", "by hand", "d-1")
    assert scheduled is not None and scheduled.state is State.PENDING
    assert (_stored(store, "firings"), scheduled.state_word) == ("waiting", "waiting")
    assert [one.id for one in store.schedules.unfinished()] == [scheduled.id]
    assert store.schedules.update_scheduled_run(scheduled.id, state=State.FINISHED).state is State.FINISHED
    assert _stored(store, "firings") == "done"
    assert store.schedules.unfinished() == []


def _stored(store: Store, table: str) -> str:
    with store.database.read() as connection:
        return str(connection.execute(text(f"SELECT state FROM {table}")).scalar_one())

"""The workflow that a person is working on: its source, and the changes since."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from app.client import client
from app.client.workflows import Advice
from app.components.address import change_address
from workflows.goals import DEFAULT_GOAL, GOALS

START = "train-start"
"""Key of the button that starts a training: true in the session state while a click on it is handled."""

if TYPE_CHECKING:
    from workflows.graph.workflow import Workflow

KEY = "workflow-draft"


@dataclass(frozen=True)
class Draft:
    """What is being worked on.

    Attributes:
        source: data set and parameter of the address that it came from, e.g. ("birds", "goal", "fast").
        base: as loaded.
        workflow: as it is now.
        turn: another number for each loaded workflow, so that no form remembers the one before.
        rough: it was recommended before this machine was measured and the photos were looked at.
    """

    source: tuple[str, str, str]
    base: Workflow
    workflow: Workflow
    turn: int
    rough: bool = False

    @property
    def changed(self) -> set[str]:
        """The ids of the nodes that were changed, added or removed since loading."""
        came = {node.id: node for node in self.base.nodes}
        now = {node.id: node for node in self.workflow.nodes}
        return {id_ for id_ in {**came, **now} if came.get(id_) != now.get(id_)}


def asked_source(dataset: str) -> tuple[str, str, str]:
    """Return what the address names: a run's workflow, a saved one, an uploaded one, or the one for a goal."""
    for name in ("run", "saved", "upload"):
        if value := st.query_params.get(name):
            return dataset, name, value
    goal = st.query_params.get("goal", DEFAULT_GOAL)
    return dataset, "goal", goal if goal in GOALS else DEFAULT_GOAL


def come_from(name: str, value: str) -> None:
    """Switch the page to this source; earlier changes are discarded."""
    change_address({**dict.fromkeys(("run", "saved", "upload", "goal")), name: value})
    st.session_state.pop(KEY, None)


def current_draft(dataset: str, advice: Advice, *, settled: bool = False) -> Draft:
    """Return the draft that the address names.

    Args:
        settled: stay with the rough recommendation even if a better one is known: it is just being ordered.

    Raises:
        FieldguideError: there is no such run or saved workflow, or it is wrong.
    """
    source, current = asked_source(dataset), st.session_state.get(KEY)
    draft = current if isinstance(current, Draft) and current.source == source else None
    if draft is not None and (settled or advice.rough or not draft.rough or draft.changed):
        return draft
    workflow = _from(source, advice)
    number = workflow.dataset.version if workflow.dataset.name == dataset else None
    workflow = workflow.for_dataset(dataset, number if source[1] == "goal" else None)
    if draft is not None:
        same = workflow.with_settings("training", device=draft.workflow.training.device)
        if same.nodes == draft.workflow.nodes:  # its forms need not forget anything; `auto` may stay
            same = workflow.model_copy(update={"nodes": same.nodes})
            return _keep(replace(draft, base=same, workflow=same, rough=False))
    turn = int(st.session_state.get("workflow-turn", 0)) + 1
    return _keep(Draft(source, workflow, workflow, turn, advice.rough and source[1] in ("goal", "upload")))


def _from(source: tuple[str, str, str], advice: Advice) -> Workflow:
    _, name, value = source
    if name == "run":
        return client().workflows.of_run(value)
    if name == "saved":
        return client().workflows.open(value)
    if name == "upload":
        uploaded = st.session_state.get("workflow-uploaded")
        if uploaded is not None and uploaded[0] == value:
            return uploaded[1]
        change_address({"upload": None})  # of another session
        return advice.workflows[DEFAULT_GOAL]
    return advice.workflows[value]


def keep_changed(draft: Draft, workflow: Workflow) -> Draft:
    """Return the draft with another state of its workflow."""
    return draft if workflow is draft.workflow else _keep(replace(draft, workflow=workflow))


def reset() -> None:
    """Discard the changes."""
    st.session_state.pop(KEY, None)


def _keep(draft: Draft) -> Draft:
    st.session_state[KEY], st.session_state["workflow-turn"] = draft, draft.turn
    return draft


def poll_every(seconds: float) -> float | None:
    """Return how often a part of the page polls: never while a click on Start is handled.

    The page is left then. A part that polls at that moment does so in the name of the old page, and Streamlit's front
    end, which gets both pages mixed, draws neither.
    """
    return None if st.session_state.get(START) else seconds

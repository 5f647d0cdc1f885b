"""The recommended workflows side by side, one for each goal, with costs and reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app.client import client
from app.client.workflows import Advice
from app.components.page import count, guarded, plain, show_error, size_of
from app.views.workflow.draft import asked_source, come_from, poll_every
from app.views.workflow.form import reasons
from workflows.goals import DEFAULT_GOAL, GOALS, Goal

if TYPE_CHECKING:
    from app.client.jobs import Job
    from workflows.graph.workflow import Workflow

POLL_SECONDS = 0.5
SHOWN_FIELDS = ("size", "image_size", "epochs")
"""The choices whose reasons stand on the cards; the rest is one click away."""


def advice_for(dataset: str) -> Advice:
    """Return what is recommended; a rough version until this machine has been measured.

    Raises:
        DatasetError: nothing can be trained on that data set.
    """
    return client().workflows.advice(dataset) or client().workflows.rough_advice(dataset)


def _measuring(dataset: str, advice: Advice) -> None:
    """Have the rough recommendation refined, and show the progress, or why it failed."""
    ended = [job for job in client().jobs.of(dataset, "recommend") if not job.running and job.error is not None]
    if ended and ended[0].error is not None:
        show_error(ended[0].error)
        if st.button("Try again", key="advice-again", icon=":material/refresh:"):
            client().jobs.forget(ended[0])
            st.rerun()
        return
    job = client().workflows.ask(dataset)
    known = advice.speed.certainty != "assumed"
    rough = f"Times are {_basis(advice)}" if known else f"These times are rough: {_basis(advice)}"
    st.fragment(_progress, run_every=poll_every(POLL_SECONDS))(job, f"{rough}. Better ones follow automatically")


def _progress(job: Job, words: str) -> None:
    if not job.running:
        st.rerun()
    doing = job.text if job.stage == "recommend" and job.text else "measuring this machine's training speed"
    st.caption(f":material/hourglass: {plain(words)}; now {plain(doing)} … You can start training now.")


def _basis(advice: Advice) -> str:
    return client().workflows.cost(advice, advice.workflows[DEFAULT_GOAL]).basis.partition(";")[0]


def recommended(dataset: str, advice: Advice) -> None:
    """Draw a card for each goal; the one that the page works on is marked."""
    _, name, value = asked_source(dataset)
    for column, goal in zip(st.columns(len(GOALS)), GOALS, strict=True):
        with column, guarded():
            _card(advice, goal, chosen=name == "goal" and value == goal)
    if advice.rough:
        _measuring(dataset, advice)
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(
            f"On {plain(advice.hardware.name)}, {advice.hardware.cores} cores; times are {plain(_basis(advice))}."
        )
        if st.button("Measure again", key="advice-refresh", icon=":material/refresh:", type="tertiary"):
            client().workflows.forget(dataset)
            st.rerun()


def _card(advice: Advice, goal: Goal, *, chosen: bool) -> None:
    workflow = advice.workflows[goal]
    with st.container(border=True, height="stretch"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{GOALS[goal].title}**")
            label, icon = ("Chosen", "check") if chosen else ("Choose", "arrow_downward")
            if st.button(label, key=f"goal-{goal}", type="tertiary", icon=f":material/{icon}:", disabled=chosen):
                come_from("goal", goal)
                st.rerun()
        st.caption(GOALS[goal].meaning)
        _costs(advice, workflow)
        st.caption("  \n".join(f":material/subdirectory_arrow_right: {line}" for line in _main_reasons(workflow)))
        with st.popover("All reasons", icon=":material/help:", type="tertiary"):
            reasons(workflow)


def _costs(advice: Advice, workflow: Workflow) -> None:
    cost, model, training = client().workflows.cost(advice, workflow), workflow.model, workflow.training
    rows = [
        ("Model", f"{model.family.removesuffix('-cls')}{model.size} at {model.image_size} px"),
        ("Training", f"{count(training.epochs)} epochs, batch {count(training.batch)}"),
        ("Time", f"{'about ' if advice.rough else ''}{minutes(cost.seconds_low)} to {minutes(cost.seconds_high)}"),
        ("Memory", size_of(cost.memory_bytes)),
        ("Model file", size_of(cost.model_bytes)),
        ("Predicts", f"about {rough(cost.predicted_per_second)} images/s"),
    ]
    names, values = st.columns([3, 8], gap="small")
    names.markdown("  \n".join(f":gray[{name}]" for name, _ in rows))
    values.markdown("  \n".join(plain(value) for _, value in rows))


def rough(number: float) -> str:
    """1726.4 -> '1,700': two digits are all that an estimate has."""
    return f"{float(f'{number:.2g}'):,.0f}"


def minutes(seconds: float) -> str:
    """Say a time that is only guessed: '40 s', '4 min', '2.5 h'."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    if seconds < 95 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _main_reasons(workflow: Workflow) -> list[str]:
    ids = {workflow.node("model").id, workflow.node("training").id}
    said = [
        reason for field in SHOWN_FIELDS for reason in workflow.reasons if reason.field == field and reason.node in ids
    ]
    return [plain(line) for line in dict.fromkeys(reason.because for reason in said)]

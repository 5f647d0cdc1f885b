"""Long work that a page ordered: how far it is, what came of it, stopping it and going on."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.client import client
from app.client.models import STATES_AT_WORK, Errand
from app.components.page import BadgeColour, ago, guarded, plain, show_error
from workflows.errors import FieldguideError

POLL_SECONDS = 1.0
BADGES: dict[str, tuple[BadgeColour, str]] = {
    "running": ("blue", "play_arrow"),
    "stopping": ("gray", "stop"),
    "done": ("green", "check"),
    "failed": ("red", "error"),
    "stopped": ("gray", "stop"),
    "interrupted": ("orange", "bolt"),
    "not finished": ("gray", "pause"),
}
STAGES = {
    "begin": "Beginning",
    "prefect": "Prefect",
    "retrain": "Retraining",
    "train": "Training",
    "turn": "",
    "import": "Taking in",
    "pixels": "Preparing images",
    "evaluate": "Evaluating",
    "predict": "Judging",
}


def errand_badge(state: str) -> None:
    """Draw a state as a coloured word."""
    colour, icon = BADGES.get(state, ("gray", "help"))
    st.badge(state, color=colour, icon=f":material/{icon}:")


def follow_errand(errand: Errand, what: str, done: Callable[[str], None] | None = None) -> None:
    """Show how an errand stands; the whole page runs again once that changes.

    Args:
        errand: the work.
        what: it in words, e.g. "Retraining birds".
        done: draws what is to be said of its outcome, by the subject's id.
    """
    at_work = client().models.errands.state(errand) in STATES_AT_WORK
    st.fragment(_stand, run_every=POLL_SECONDS if at_work else None)(errand, what, done, at_work)


def _stand(errand: Errand, what: str, done: Callable[[str], None] | None, was_at_work: bool) -> None:
    errands = client().models.errands
    state = errands.state(errand)
    if was_at_work and state not in STATES_AT_WORK:
        st.rerun()
    with st.container(border=True, key=f"errand-{errand.id}"):
        if state in STATES_AT_WORK:
            _at_work(errand, what, stopping=state == "stopping")
            return
        with st.container(horizontal=True, vertical_alignment="center"):
            errand_badge(state)
            st.markdown(f"**{plain(what)}** · ordered {ago_iso(errand.ordered_at)} by {plain(errand.author)}")
        outcome = errands.outcome(errand) or {}
        if state == "failed":
            show_error(FieldguideError(outcome.get("error", ""), outcome.get("hint", "")))
        elif state == "interrupted":
            st.caption("Its process ended before its time: the studio was closed, or something went wrong.")
            words = errands.last_words(errand)
            if words:
                st.expander("Its log").code(words, language=None)
        if state == "done" and done is not None:
            done(str(outcome.get("subject", "")))
        with st.container(horizontal=True):
            if state != "done" and st.button("Go on", key=f"on-{errand.id}", icon=":material/play_arrow:"):
                with guarded():
                    errands.go_on(errand)
                    st.rerun()
            if st.button("Put away", key=f"away-{errand.id}", type="tertiary"):
                errands.forget(errand)
                st.rerun()


def _at_work(errand: Errand, what: str, *, stopping: bool) -> None:
    errands = client().models.errands
    told = errands.told(errand)
    share, text = 0.0, "starting …"
    if told is not None:
        share = min(1.0, told.done / told.total) if told.total else 0.0
        text = f"{STAGES.get(told.stage, told.stage)} {told.text}".strip()
    text = "stopping at the next batch …" if stopping else text
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, text=f"**{plain(what)}**  {plain(text)}")
        if st.button("Stop", key=f"stop-{errand.id}", icon=":material/stop:", disabled=stopping):
            with guarded():
                errands.stop(errand)
                st.rerun()


def ago_iso(moment: str) -> str:
    """Say how long ago an ISO 8601 moment was."""
    from datetime import datetime

    return ago(datetime.fromisoformat(moment))

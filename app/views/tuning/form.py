"""Starting a tuning, and those that are queued and have no study yet."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import client
from app.components.address import change_address
from app.components.background_jobs import follow_background_job
from app.components.page import guarded, plain
from workflows.goals import DEFAULT_GOAL, GOALS
from workflows.requests import TuneRequest

REFITS = {"train": "Training photos", "train+val": "Training and validation photos"}
BY_TRIALS, BY_TIME = "A number of trials", "A time limit"
UNITS = {"minutes": 60.0, "hours": 3600.0}
SHOWN = 3


def begin_form(key: str = "tune") -> None:
    """Draw the form that starts a tuning."""
    names = [found.name for found in client().store.datasets.list()]
    st.caption(
        "Searches around the workflow that is recommended for your photos: learning rate, optimiser, image size, "
        "strength of augmentation and more. Unpromising trials are pruned; the test photos are used once, "
        "for the winner."
    )
    left, middle, right = st.columns([4, 5, 4])
    dataset = left.selectbox("Data set", names, key=f"{key}-dataset")
    goal = middle.segmented_control(
        "Starting workflow",
        list(GOALS),
        format_func=lambda goal: GOALS[goal].title,
        default=DEFAULT_GOAL,
        key=f"{key}-goal",
        required=True,
    )
    with right:
        budget = _budget(key)
    with st.expander("More", icon=":material/tune:"):
        one, two, three, four = st.columns(4)
        size = one.number_input("Image size", 32, 1280, None, step=32, key=f"{key}-size", placeholder="recommended")
        epochs = two.number_input("Epochs", 1, 1000, None, step=1, key=f"{key}-epochs", placeholder="recommended")
        weights = three.selectbox(
            "Initial weights",
            ["auto", "none"],
            key=f"{key}-weights",
            help=TuneRequest.model_fields["weights"].description,
        )
        seed = four.number_input("Seed of the search", 0, 10**6, 0, step=1, key=f"{key}-seed")
        refit = st.segmented_control(
            "Train the winner on",
            list(REFITS),
            format_func=REFITS.__getitem__,
            default="train",
            key=f"{key}-refit",
            required=True,
            help=TuneRequest.model_fields["refit"].description,
        )
    if st.button("Start", key=f"{key}-go", type="primary", icon=":material/tune:", disabled=not dataset):
        request: dict[str, Any] = {
            "dataset": dataset,
            "goal": goal,
            "size": size,
            "epochs": epochs,
            "seed": seed,
            "refit": refit,
            **budget,
        }
        with guarded():
            client().tuning.begin({**request, "weights": None if weights == "auto" else weights})
            st.session_state["tuning-begun"] = True
            st.rerun()


def _budget(key: str) -> dict[str, Any]:
    """Let the budget be chosen; return it as fields of a request."""
    kind = st.segmented_control("Budget", [BY_TRIALS, BY_TIME], default=BY_TRIALS, key=f"{key}-budget", required=True)
    if kind == BY_TRIALS:
        return {"trials": st.number_input("Trials", 1, 10_000, 20, key=f"{key}-trials")}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        length = st.number_input("Computing time", 0.1, 1000.0, 30.0, step=5.0, format="%g", key=f"{key}-length")
        unit = st.selectbox("Unit", list(UNITS), key=f"{key}-unit", width=120)
    return {"budget_seconds": float(length) * UNITS[str(unit)]}


def beginnings() -> None:
    """Show what is queued and has no study yet; a study that has just got its name is opened."""
    waiting = client().tuning.beginning()
    for job in waiting[:SHOWN]:
        follow_background_job(job, f"Tuning on {job.about}")
    if st.session_state.get("tuning-begun") and not waiting:
        st.session_state.pop("tuning-begun")
        newest = client().tuning.ids()[:1]
        if newest:
            change_address({"study": newest[0]})
            st.toast(f"{plain(newest[0])} has begun.", icon=":material/tune:")
            st.rerun()

"""Beginning a tuning, and those that were ordered and have not come so far that they have a name."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import client
from app.components.model_errands import follow_errand
from app.components.page import guarded, plain

GOALS = {"fast": "Small and fast", "balanced": "Balanced", "accurate": "Most accurate"}
REFITS = {"train": "Training photos", "train+val": "Training and validation photos"}
BY_TRIALS, BY_TIME = "A number of trials", "A time"
UNITS = {"minutes": 60.0, "hours": 3600.0}
SHOWN = 3


def begin_form(key: str = "tune") -> None:
    """Let a tuning be begun."""
    names = [found.name for found in client().store.datasets.list()]
    st.caption(
        "Searches around the workflow that is recommended for your photos: learning rate, optimiser, image size, "
        "strength of augmentation and more. Hopeless trials are ended early; the test photos are looked at once, "
        "with the winner."
    )
    left, middle, right = st.columns([4, 5, 4])
    dataset = left.selectbox("Data set", names, key=f"{key}-dataset")
    goal = middle.segmented_control(
        "Start from the workflow that is",
        list(GOALS),
        format_func=GOALS.__getitem__,
        default="balanced",
        key=f"{key}-goal",
        required=True,
    )
    with right:
        budget = _budget(key)
    with st.expander("More", icon=":material/tune:"):
        one, two, three, four = st.columns(4)
        size = one.number_input("Image size", 32, 1280, None, step=32, key=f"{key}-size", placeholder="recommended")
        epochs = two.number_input("Epochs", 1, 1000, None, step=1, key=f"{key}-epochs", placeholder="recommended")
        weights = three.selectbox("First weights", ["auto", "none"], key=f"{key}-weights", help="none: from nothing")
        seed = four.number_input("Seed of the search", 0, 10**6, 0, step=1, key=f"{key}-seed")
        refit = st.segmented_control(
            "Train the winner on",
            list(REFITS),
            format_func=REFITS.__getitem__,
            default="train",
            key=f"{key}-refit",
            required=True,
            help="Before its one test. With the validation photos taught, none are left to choose an epoch by: it is "
            "trained for as many as were best in the search.",
        )
    if st.button("Begin", key=f"{key}-go", type="primary", icon=":material/tune:", disabled=not dataset):
        wishes: dict[str, Any] = {
            "dataset": dataset,
            "goal": goal,
            "size": size,
            "epochs": epochs,
            "seed": seed,
            "refit": refit,
            **budget,
        }
        with guarded():
            client().tuning.begin({**wishes, "weights": None if weights == "auto" else weights})
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
    """Show what was ordered here and has no study yet; a study that has just got its name is opened."""
    waiting = client().tuning.beginning()
    for errand in waiting[:SHOWN]:
        follow_errand(errand, f"Tuning on {errand.about}")
    if st.session_state.get("tuning-begun") and not waiting:
        st.session_state.pop("tuning-begun")
        newest = client().tuning.ids()[:1]
        if newest:
            st.query_params["study"] = newest[0]
            st.toast(f"{plain(newest[0])} has begun.", icon=":material/tune:")
            st.rerun()

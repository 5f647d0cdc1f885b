"""Models: names that people rely on, the version in use for each, and why."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.components.address import change_address, pick_view
from app.components.choosing import choose_another
from app.components.next_steps import Lead, in_use_of, next_steps
from app.components.page import Action, empty_state, guarded, header
from app.views.models.decision import decisions_panel
from app.views.models.overview import model_table, register_form, say_what_was_done
from app.views.models.retrain import retrain_panel
from app.views.models.serving import serving_panel
from app.views.models.versions import champion_card, log_panel, register_panel, versions_panel
from workflows.state import State

VIEWS = {
    "versions": ("Versions", versions_panel),
    "log": ("Champions", log_panel),
    "decisions": ("Decisions", decisions_panel),
    "retrain": ("Retrain", retrain_panel),
    "serve": ("Use from a program", serving_panel),
    "register": ("Add a version", register_panel),
}


def main() -> None:
    """Draw the page."""
    header("Models", "Names that people and programs rely on. Each has a champion, the version in use.")
    say_what_was_done()
    with guarded():
        names = client().models.names()
        wanted = st.query_params.get("model")
        if wanted is None and "decision" in st.query_params:
            wanted = client().models.decision(st.query_params["decision"]).model
            change_address({"model": wanted, "view": "decisions"})
        if wanted is not None and wanted not in names:
            client().models.get(wanted)  # raises with what is wrong, and which models exist
        if wanted is None:
            _all()
        else:
            _one(wanted, names)


def _all() -> None:
    models = client().models.briefs()
    if not models:
        _none()
        return
    chosen = model_table(models)
    if chosen is not None:
        change_address({"model": chosen})
        st.rerun()
    led_here = "run" in st.query_params
    with st.expander("Make a finished run a model's version", expanded=led_here, icon=":material/add:"):
        register_form(None, key="register")


def _none() -> None:
    if client().runs.ids(states=(State.FINISHED,), limit=1):
        empty_state("There are no models yet. Register a finished run under a name that others can rely on.")
        register_form(None, key="register")
        return
    empty_state(
        "There are no models yet: a model is a finished run with a name.",
        Action("Set up a training", page="workflow", icon="play_arrow", primary=True),
    )


def _one(name: str, names: list[str]) -> None:
    choose_another("Model", names, name, parameter="model")
    champion_card(name)
    view = pick_view({view: title for view, (title, _) in VIEWS.items()}, "versions", "models-view")
    with guarded():
        VIEWS[view][1](name)
    _next(name, view)


def _next(name: str, view: str) -> None:
    """Lead on to what makes the model useful and keeps it good, where that isn't done yet."""
    leads, words = [], ""
    if not client().schedules.of_model(name):
        leads.append(Lead("Schedule its retraining", "schedules", "schedule", {"model": name}))
        words = "No schedule keeps it up to date with new photos yet."
    if view != "serve":
        with guarded():
            leads += in_use_of(name)
    if leads:
        next_steps(leads, "models", words)


main()

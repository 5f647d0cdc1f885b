"""Models: names that people rely on, which version answers for each, and why."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.components.address import pick_view
from app.components.decision_panel import decisions_panel
from app.components.model_list import model_table, register_form, say_what_was_done
from app.components.model_retrain import retrain_panel
from app.components.model_versions import champion_card, log_panel, register_panel, versions_panel
from app.components.page import Action, empty_state, guarded, header

VIEWS = {
    "versions": ("Versions", versions_panel),
    "log": ("Champions", log_panel),
    "decisions": ("Decisions", decisions_panel),
    "retrain": ("Retrain", retrain_panel),
    "register": ("Add a version", register_panel),
}


def main() -> None:
    """Draw the page."""
    header("Models", "Names that people and programs rely on; the champion answers for its name, and can be changed.")
    say_what_was_done()
    with guarded():
        names = client().models.names()
        wanted = st.query_params.get("model")
        if wanted is None and "decision" in st.query_params:
            wanted = client().models.decision(st.query_params["decision"]).model
            st.query_params.update({"model": wanted, "view": "decisions"})
        if wanted is not None and wanted not in names:
            client().models.get(wanted)  # says what is wrong, and what there is
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
        st.query_params["model"] = chosen
        st.rerun()
    with st.expander("Make a finished run a model's version", icon=":material/add:"):
        register_form(None, key="register")


def _none() -> None:
    if client().runs.ids(states=("finished",), limit=1):
        empty_state("There are no models yet. Give the classifier of a finished run a name that others can rely on.")
        register_form(None, key="register")
        return
    empty_state(
        "There are no models yet: a model is a finished run with a name.",
        Action("Set up a training", page="workflow", icon="play_arrow", primary=True),
    )


def _one(name: str, names: list[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.session_state["models-name"] = name
        st.selectbox("Model", names, key="models-name", width=320, on_change=_choose)
        if st.button("All models", icon=":material/list:", key="models-all"):
            st.query_params.clear()
            st.rerun()
    champion_card(name)
    view = pick_view({view: title for view, (title, _) in VIEWS.items()}, "versions", "models-view")
    with guarded():
        VIEWS[view][1](name)


def _choose() -> None:
    st.query_params.clear()
    st.query_params["model"] = st.session_state["models-name"]


main()

"""Retraining a model: the settings, the way there, what it came to."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.client.models import DECISION_TITLES, STATES_AT_WORK, RetrainSettings
from app.components.model_errands import follow_errand
from app.components.model_form import schema_fields
from app.components.page import guarded, plain

SHOWN = 3
TITLES = {
    "min_changes": "Worth it from so many changes",
    "start_from": "Start from",
    "rules": "What the challenger must show",
    "allow": "Findings that don't stop it",
    "require": "It must be",
    "level": "Level of the test",
    "margin": "Margin (not-worse)",
    "class_drop": "No class may lose more than",
    "class_support": "Classes count from so many images",
}


def retrain_panel(name: str) -> None:
    """Draw the retrainings begun here, and the form to begin one."""
    found = client().models.retrainings(name)[:SHOWN]
    for errand in found:
        follow_errand(errand, f"Retraining {name}", _outcome)
    at_work = any(client().models.errands.state(each) in STATES_AT_WORK for each in found)
    st.caption(
        "A challenger is trained on the newest version of the data set. It becomes champion only if it does better on "
        "the very same test photos, and no class loses too much. The decision and its reasons are kept."
    )
    with st.form(f"retrain-form-{name}", border=True):
        asked = schema_fields(RetrainSettings.model_json_schema(), f"retrain-{name}", TITLES)
        pressed = st.form_submit_button(
            "Retrain now", type="primary", icon=":material/model_training:", disabled=at_work
        )
    if pressed:
        with guarded():
            client().models.retrain(name, asked)
            st.rerun()


def _outcome(decision_id: str) -> None:
    with guarded():
        decision = client().models.decision(decision_id)
        st.markdown(f"**{DECISION_TITLES.get(decision.outcome, decision.outcome)}.** {plain(decision.reason)}")
        if st.button("Show the decision", key=f"decided-{decision_id}", icon=":material/balance:"):
            st.query_params["view"] = "decisions"
            st.query_params["decision"] = decision_id
            st.rerun(scope="app")

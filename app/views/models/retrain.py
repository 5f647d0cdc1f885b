"""Retraining a model: settings, progress, result."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.client.models import DECISION_TITLES, RetrainSettings
from app.components.address import change_address
from app.components.background_jobs import follow_background_job
from app.components.page import guarded, plain
from app.views.models.form import schema_fields

SHOWN = 3
TITLES = {
    "min_changes": "Minimum number of changes",
    "start_from": "Start from",
    "rules": "Rules for promotion",
    "allow": "Audit findings to allow",
    "require": "Required result",
    "level": "Significance level",
    "margin": "Margin (not-worse)",
    "class_drop": "Largest loss of recall per class",
    "class_support": "Minimum images per class",
}


def retrain_panel(name: str) -> None:
    """Draw the retrainings begun here, and the form to begin one."""
    found = client().models.retrainings(name)[:SHOWN]
    for job in found:
        follow_background_job(job, f"Retraining {name}", _outcome)
    active = any(client().models.jobs.state(each).alive for each in found)
    st.caption(
        "A challenger is trained on the newest version of the data set. It becomes champion only if it does better on "
        "the images that were frozen with the champion, and no class loses too much. The decision and its reasons are logged."
    )
    with st.form(f"retrain-form-{name}", border=True, enter_to_submit=False):
        values = schema_fields(RetrainSettings.model_json_schema(), f"retrain-{name}", TITLES)
        pressed = st.form_submit_button(
            "Retrain now", type="primary", icon=":material/model_training:", disabled=active
        )
    if pressed:
        with guarded():
            client().models.retrain(name, values)
            st.rerun()


def _outcome(decision_id: str) -> None:
    with guarded():
        decision = client().models.decision(decision_id)
        st.markdown(f"**{DECISION_TITLES.get(decision.outcome, decision.outcome)}.** {plain(decision.reason)}")
        if st.button("Show the decision", key=f"decided-{decision_id}", icon=":material/balance:"):
            change_address({"view": "decisions", "decision": decision_id})
            st.rerun(scope="app")

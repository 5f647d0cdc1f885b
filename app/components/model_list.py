"""All models at a glance, and making a finished run one."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.client import client
from app.client.models import ModelBrief, ModelVersion
from app.components.page import ago, guarded, percent, plain

NEW = "A new model …"


def interval(version: ModelVersion, split: str = "test") -> str:
    """Say a version's accuracy interval, e.g. `91.2 to 95.0 %`; empty if it was not measured."""
    low, high = (version.metrics.get(split) or {}).get("top1_ci95") or (None, None)
    return "" if low is None else f"{100 * low:.1f} to {percent(high)}"


def top1(version: ModelVersion, split: str = "test") -> float | None:
    """Return a version's accuracy in percent."""
    found = (version.metrics.get(split) or {}).get("top1")
    return None if found is None else 100 * float(found)


def model_table(models: Sequence[ModelBrief]) -> str | None:
    """Draw the models; return the one that was chosen just now."""
    rows = [
        {
            "Model": brief.name,
            "Champion": f"v{brief.champion.number} of {brief.versions}"
            if brief.champion
            else f"none of {brief.versions}",
            "Accuracy": top1(brief.champion) if brief.champion else None,
            "95 % interval": interval(brief.champion) if brief.champion else "",
            "Trained on": f"{brief.champion.dataset} v{brief.champion.version}" if brief.champion else "",
            "Classes": len(brief.champion.card["classes"]) if brief.champion else None,
            "Since": ago(brief.since.created_at) if brief.since else "",
            "By": brief.since.author if brief.since else "",
        }
        for brief in models
    ]
    chosen = st.dataframe(
        pd.DataFrame(rows),
        key="models-table",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Model": st.column_config.TextColumn(pinned=True),
            "Accuracy": st.column_config.NumberColumn(
                format="%.1f %%", help="Top-1 of the champion on test photos, as measured when it was trained."
            ),
            "Since": st.column_config.TextColumn(help="When the champion became it."),
        },
    )["selection"]["rows"]
    st.caption("Choose a model to see its versions, its decisions, and to retrain it.")
    return models[chosen[0]].name if chosen and chosen[0] < len(models) else None


def register_form(model: str | None, key: str) -> None:
    """Let a finished run be made a version of `model`, or of any model.

    Args:
        model: the model; None lets one be chosen or named.
        key: beginning of the widgets' keys.
    """
    models = client().models
    used = {version.run_id for version in models.versions(model)} if model else set()
    runs = [run for run in client().runs.ids(states=("finished",)) if run not in used]
    if not runs:
        st.caption("There is no finished run that is not a version already. Train one first.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        run = st.selectbox("Finished run", runs, key=f"{key}-run", width=340)
        name = model
        if model is None:
            known = models.names()
            chosen = st.selectbox("Model", [*known, NEW], index=len(known), key=f"{key}-model", width=200)
            name = chosen
            if chosen == NEW:
                name = st.text_input("Its name", models.suggested_name(run), key=f"{key}-name-{run}", width=200).strip()
        reason = st.text_input("Why", key=f"{key}-why", placeholder="first good one", width="stretch")
        pressed = st.button("Register", key=f"{key}-go", type="primary", icon=":material/inventory_2:")
    if pressed:
        with guarded():
            version = models.register(str(name or ""), run, reason)
            st.session_state["models-said"] = f"Run {run} is {version} now."
            st.query_params.clear()
            st.query_params["model"] = version.model
            st.rerun()
    st.caption(
        "The test photos of the run are kept with the version: challengers are judged on them. "
        + ("The first version of a model becomes its champion." if model is None else "The champion stays what it is.")
    )


def say_what_was_done() -> None:
    """Say once what the last press of a button did."""
    said = st.session_state.pop("models-said", None)
    if said:
        st.toast(plain(said), icon=":material/check:")

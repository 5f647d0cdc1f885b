"""All models at a glance, and registering a finished run."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.client import client
from app.client.models import ModelBrief, ModelVersion
from app.components.address import replace_address
from app.components.choosing import chosen_row
from app.components.page import ago, guarded, plain
from app.words import judged_cells
from workflows.state import State
from workflows.targets.judged import judged_by

NEW = "A new model …"


def figures(version: ModelVersion | None) -> dict[str, str]:
    """Return the cells of a version's accuracy: with its interval, and on which images."""
    cells = ["", "", ""] if version is None else judged_cells(judged_by(version.metrics))
    return dict(zip(FIGURES, cells, strict=True))


FIGURES = {
    "Top-1": st.column_config.TextColumn(
        width="small",
        help="As measured when it was trained, on the images named beside it. Validation images also chose the "
        "checkpoint: such a figure is optimistic.",
    ),
    "95 % interval": st.column_config.TextColumn(width=110),
    "Judged on": st.column_config.TextColumn(width=150),
}
"""The columns of :func:`figures`."""


def model_table(models: Sequence[ModelBrief]) -> str | None:
    """Draw the models; return the one that was chosen just now."""
    addresses = client().serving.addresses()
    rows = [
        {
            "Model": brief.name,
            "Champion": f"v{brief.champion.number} of {brief.versions}"
            if brief.champion
            else f"none of {brief.versions}",
            **figures(brief.champion),
            "Trained on": f"{brief.champion.dataset} v{brief.champion.version}" if brief.champion else "",
            "Classes": len(brief.champion.card["classes"]) if brief.champion else None,
            "Since": ago(brief.since.created_at) if brief.since else "",
            "By": brief.since.author if brief.since else "",
            "Served at": addresses.get(brief.name, ""),
        }
        for brief in models
    ]
    chosen = chosen_row(
        rows,
        key="models-table",
        column_config={
            "Model": st.column_config.TextColumn(pinned=True),
            **FIGURES,
            "Since": st.column_config.TextColumn(help="When it became the champion."),
        },
    )
    st.caption("Choose a model to see its versions, its decisions, and to retrain it.")
    return None if chosen is None else models[chosen].name


def register_form(model: str | None, key: str) -> None:
    """Let a finished run be made a version of `model`, or of any model.

    Args:
        model: the model; None lets one be chosen or named.
        key: beginning of the widgets' keys.
    """
    models = client().models
    used = {version.run_id for version in models.versions(model)} if model else set()
    runs = [run for run in client().runs.ids(states=(State.FINISHED,)) if run not in used]
    if not runs:
        st.caption("There is no finished run to register: train one first.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        named = st.query_params.get("run")  # another page leads here with it
        first = runs.index(named) if named in runs else 0
        called = client().marks.called("run")
        run = st.selectbox("Finished run", runs, index=first, key=f"{key}-run", width=340, format_func=called)
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
            replace_address({"model": version.model})
            st.rerun()
    st.caption(
        "The images that judged the run are stored with the version, and challengers are compared with it on them: its "
        "test images, or its validation images where it has none. "
        + ("The first version of a model becomes its champion." if model is None else "The champion does not change.")
    )


def say_what_was_done() -> None:
    """Show once what the last click on a button did."""
    said = st.session_state.pop("models-said", None)
    if said:
        st.toast(plain(said), icon=":material/check:")

"""One study, live: its history, what mattered, accuracy against time, its trials, its result."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app.client import client
from app.client.tuning import Trials, Tuning
from app.components.background_jobs import follow_background_job
from app.components.choosing import chosen_row
from app.components.page import duration, go, guarded, percent, plain, state_badge
from app.views.tuning.charts import WORDS, history_chart, importance_chart, pareto_chart
from app.words import verdict
from workflows.backbones.registry import title_of
from workflows.state import State
from workflows.targets.judged import judged_by

POLL_SECONDS = 2.0
TITLES = {
    "optimizer": "optimiser",
    "learning_rate": "learning rate",
    "image_size": "image size",
    "epochs": "epochs",
    "augmentation": "augmentation strength",
    "dropout": "dropout",
    "label_smoothing": "label smoothing",
    "model_size": "model size",
    "class_weighting": "class weighting",
    "square": "fit to a square",
}


def study_panel(study_id: str) -> None:
    """Draw a study; it grows while trials are being done."""
    tuning, tunings = client().tuning.get(study_id), client().tuning
    state = tunings.state(study_id)
    _head(tuning, state)
    job = tunings.job(study_id)
    if job is not None and state != State.FINISHED:
        follow_background_job(job, f"Tuning on {tuning.request.dataset}")
    elif state is None and st.button("Resume", key="study-on", icon=":material/play_arrow:"):
        with guarded():
            tunings.resume(study_id)
            st.rerun()
    result = tuning.result()
    if result is not None:
        _result(tuning, result)
    active = state is None or state.alive  # another worker may be running it
    st.fragment(_live, run_every=POLL_SECONDS if active else None)(study_id)


def _head(tuning: Tuning, state: State | None) -> None:
    request = tuning.request
    with st.container(horizontal=True, vertical_alignment="center"):
        if state is None:
            st.badge("not finished", color="gray", icon=":material/pause:")
        else:
            state_badge(state)
        st.markdown(
            f"**{plain(request.dataset)}** v{tuning.version} · goal {plain(request.goal)} · "
            f"starts from {plain(title_of(tuning.base.model.family, tuning.base.model.size))} at {tuning.base.model.image_size} px, "
            f"{tuning.base.training.epochs} epochs"
        )


def _result(tuning: Tuning, result: dict[str, Any]) -> None:
    best, start, judged = result["best"], result.get("start"), judged_by(result.get("metrics") or {})
    with st.container(border=True, key="study-result"):
        left, right = st.columns([2, 3], vertical_alignment="center")
        with left.container(horizontal=True):
            gain = None if start is None else 100 * (best["val_top1"] - start["val_top1"])
            change = None if gain is None or not round(gain, 1) else f"{gain:+.1f} points"
            st.metric("Best on validation", percent(best["val_top1"]), change)
            if start:
                st.metric("Starting workflow", percent(start["val_top1"]))
        with right:
            st.markdown(f"**Winner: trial {best['trial'] + 1}**, retrained and evaluated once")
            st.markdown("  \n".join(map(plain, verdict(judged))))
            st.caption(plain(_changed(best["params"], (start or {}).get("params") or {})))
            refit = result.get("refit")
            if refit:
                st.caption(
                    plain(f"On {refit['on']} ({refit['images']} photos), {refit['epochs']} epochs: {refit['chosen']}.")
                )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if st.button("Its evaluation", key="study-run", type="primary", icon=":material/grid_on:"):
                go("evaluation", run=result["run_id"])
            save_workflow(tuning, best["trial"], "winner")


def _changed(best: dict[str, Any], start: dict[str, Any]) -> str:
    parts = [
        f"{TITLES.get(name, name)} {_short(start.get(name))} → {_short(value)}"
        for name, value in best.items()
        if start.get(name) != value
    ]
    return ", ".join(parts) if parts else "The starting workflow is the best one found."


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)


def save_workflow(tuning: Tuning, trial: int, key: str) -> None:
    """Let the workflow of a trial be saved or downloaded."""
    name = f"{tuning.request.dataset} tuned, trial {trial + 1}"
    with st.popover("Save as workflow …", icon=":material/save:", key=f"{key}-save"):
        name = st.text_input("Name", name, key=f"{key}-save-name-{tuning.study_id}-{trial}")
        if st.button("Save", key=f"{key}-save-go", type="primary", disabled=not name.strip()):
            with guarded():
                client().workflows.save(client().tuning.workflow(tuning.study_id, trial), name.strip())
                st.success(f"{plain(name)} is among the workflows now.", icon=":material/check:")
    st.download_button(
        "YAML",
        lambda: client().tuning.workflow_yaml(tuning.study_id, trial),
        f"{tuning.study_id}-trial-{trial + 1}.yaml",
        "application/yaml",
        key=f"{key}-yaml",
        icon=":material/download:",
        on_click="ignore",
    )


def _live(study_id: str) -> None:
    with guarded():
        trials = client().tuning.trials(study_id)
        if trials.table.empty:
            st.caption("The first trial, the starting workflow, is about to begin.")
            return
        _numbers(study_id, trials)
        _charts(trials)
        _table(client().tuning.get(study_id), trials)


def _numbers(study_id: str, trials: Trials) -> None:
    states = trials.table["state"].value_counts()
    request = client().tuning.get(study_id).request
    begun = f"{len(trials.table)} of {request.trials}" if request.trials else str(len(trials.table))
    parts = [f"{begun} trials"] + [f"{int(states[name])} {WORDS[name]}" for name in WORDS if states.get(name)]
    spent = float(trials.table["seconds"].fillna(0).sum())
    budget = f" of {duration(request.budget_seconds)}" if request.budget_seconds else ""
    best = f" · best so far {percent(trials.best)}" if trials.best is not None else ""
    st.caption(f"{', '.join(parts)} · {duration(spent)}{budget} of computing{best}")


def _charts(trials: Trials) -> None:
    left, middle, right = st.columns([2, 1.3, 1.5], gap="medium")
    with left:
        st.markdown("**History**: each trial, and the best so far")
        st.altair_chart(history_chart(trials.table, trials.start), theme=None, key="study-history")
    with middle:
        st.markdown("**What mattered**")
        if trials.importances:
            st.altair_chart(importance_chart(trials.importances, TITLES), theme=None, key="study-importances")
        else:
            st.caption("Available after six complete trials.")
    with right:
        st.markdown("**Accuracy against time**")
        if len(trials.front):
            st.altair_chart(pareto_chart(trials.complete, trials.front, trials.start), theme=None, key="study-pareto")
        else:
            st.caption("Available after the first complete trial.")


def _table(tuning: Tuning, trials: Trials) -> None:
    table = trials.table
    names = [column for column in table.columns if column.startswith("param:")]
    shown = pd.DataFrame(
        {
            "Trial": table["number"] + 1,
            "State": table["state"].map(WORDS),
            "Top-1": 100 * table["value"].astype(float),
            "Step": table["step"],
            "Took": [duration(None if pd.isna(seconds) else float(seconds)) for seconds in table["seconds"]],
            "ms a photo": table["milliseconds"].astype(float),
            **{TITLES.get(name[6:], name[6:]): [_cell(value) for value in table[name]] for name in names},
        }
    ).iloc[::-1]
    chosen = chosen_row(
        shown,
        key=f"trials-{tuning.study_id}",
        height=min(38 + 35 * len(shown), 400),
        column_config={
            "Trial": st.column_config.NumberColumn(width="small", pinned=True),
            "Top-1": st.column_config.NumberColumn(
                format="%.1f %%", help="On validation; for a trial that ended early, its last value."
            ),
            "Step": st.column_config.NumberColumn(width="small", help="Evaluation steps done"),
            "ms a photo": st.column_config.NumberColumn(format="%.2f"),
        },
    )
    if chosen is not None and shown.iloc[chosen]["State"] == WORDS["complete"]:
        number = int(shown.iloc[chosen]["Trial"]) - 1
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**Trial {number + 1}**", width="content")
            save_workflow(tuning, number, "trial")


def _cell(value: Any) -> str:
    return "" if value is None or (isinstance(value, float) and pd.isna(value)) else _short(value)

"""The choice of a moment: an evaluation step of the training, or the final evaluation."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.client import client
from app.client.evaluation import Moment, Subject
from app.client.judged import Judged
from app.components.charts import PERCENT, steps_chart
from app.components.page import count, percent

SOURCES = {"steps": "While it learnt (validation)", "val": "Final, on validation", "test": "Final, on test"}
WATCH_SECONDS = 2.0
WIDTHS = (7, 7, 9, 7)


def pick_moment(subject: Subject, place: DeltaGenerator) -> Moment | None:
    """Let a moment be chosen, bound to `?step=`; None if the run has recorded none yet.

    Args:
        subject: the run.
        place: where to ask whether a step or the final evaluation is wanted; the slider comes below.
    """
    sources = [*(["steps"] if subject.steps else []), *subject.finals]
    if not sources:
        return None
    wanted = _wanted(subject)
    st.session_state["moment-source"] = wanted if isinstance(wanted, str) else "steps"
    source = place.segmented_control(
        "Answers",
        sources,
        format_func=SOURCES.__getitem__,
        key="moment-source",
        on_change=_note_source,
        args=(subject,),
        required=True,
        label_visibility="collapsed",
    )
    if source != "steps":
        return "test" if source == "test" else "val"
    step = wanted if isinstance(wanted, int) else subject.steps[-1]
    if len(subject.steps) > 1:
        st.session_state["moment-step"] = step
        step = st.select_slider("Evaluation step", subject.steps, key="moment-step", on_change=_note_step)
    if subject.state == "running":
        _follow(subject.run_id, subject.steps[-1])
    return int(step)


def _wanted(subject: Subject) -> Moment:
    """Return what the address asks for, else the step whose weights were kept, else the newest."""
    asked = st.query_params.get("step", "")
    if asked.isdigit() and int(asked) in subject.steps:
        return int(asked)
    if asked in subject.finals:
        return "test" if asked == "test" else "val"
    if asked:
        st.info("The step in the address is not recorded for this run; here is another one.", icon=":material/info:")
    if not subject.steps:
        return subject.finals[-1]
    finished = subject.state == "finished" and subject.best_step in subject.steps
    return subject.best_step if finished and subject.best_step is not None else subject.steps[-1]


def _note_source(subject: Subject) -> None:
    source = st.session_state["moment-source"]
    st.query_params["step"] = str(subject.steps[-1]) if source == "steps" else str(source)


def _note_step() -> None:
    st.query_params["step"] = str(st.session_state["moment-step"])


@st.fragment(run_every=WATCH_SECONDS)
def _follow(run_id: str, newest: int) -> None:
    """Look for new steps of a run that goes on; a page that was not told a step shows the newest."""
    now = client().evaluation.subject(run_id)
    if now.state == "running" and (not now.steps or now.steps[-1] == newest):
        st.caption(f"The training goes on. Newest step: {newest}.")
        return
    if "step" not in st.query_params or now.state != "running":
        st.rerun()
    st.caption(f"The training goes on. Newest step: {now.steps[-1]}.")


def show_steps(subject: Subject, moment: Moment) -> None:
    """Draw where on the learning curves the moment is."""
    curve = client().evaluation.curve(subject.run_id)
    if len(curve) > 1:
        shown = moment if isinstance(moment, int) else None
        left, right = st.columns(2)
        top1 = steps_chart(curve, "top1", "top-1", PERCENT, shown, subject.best_step)
        left.altair_chart(top1, theme=None, key="steps-top1")
        loss = steps_chart(curve, "loss", "loss", "~g", shown, subject.best_step)
        right.altair_chart(loss, theme=None, key="steps-loss")


def show_metrics(judged: Judged, before: Judged | None) -> None:
    """Show the headline numbers, with their change since the step before in percentage points."""
    metrics, old = judged.metrics, before.metrics if before else {}
    low, high = metrics["top1_ci95"]
    shown: tuple[tuple[str, str, str], ...] = (
        ("Top-1", "top1", f"Share of right answers. 95 % confidence: {percent(low)} to {percent(high)}"),
        ("F1", "f1_macro", "Mean over the classes of the harmonic mean of precision and recall"),
        ("Precision", "precision_macro", "Of the images taken for a class, the share that are: class mean"),
        ("Recall", "recall_macro", "Of the images of a class, the share that were found: class mean"),
        ("ECE", "ece", "Expected calibration error: mean gap between confidence and accuracy; 0 is perfect"),
        ("Confidence", "average_confidence", "Mean probability of the predicted class"),
    )
    places = [*st.columns(WIDTHS), *st.columns(WIDTHS)]
    places.pop(len(WIDTHS)).metric("Images", count(metrics["support"]))
    for place, (title, name, words) in zip(places, shown, strict=False):
        place.metric(title, _fitting(metrics[name]), help=words, **_delta(metrics, old, name))


def _fitting(share: float) -> str:
    """0.9437 -> '94.4 %', 1.0 -> '100 %', for which '100.0 %' would leave no room."""
    text = percent(share)
    return text.replace("100.0", "100")


def _delta(metrics: dict[str, Any], old: dict[str, Any], name: str) -> dict[str, Any]:
    if not old:
        return {}
    colour = {"ece": "inverse", "average_confidence": "off"}.get(name, "normal")
    points = round(100 * (metrics[name] - old[name]), 1)
    if not points:
        return {"delta": "unchanged", "delta_color": "off", "delta_arrow": "off"}
    return {"delta": f"{points:+.1f}", "delta_color": colour}

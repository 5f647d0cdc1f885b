"""The choice of an evaluation: one after an epoch of the training, or the final one."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.client import client
from app.client.evaluation import EvaluationPoint, Subject
from app.client.step_evaluation import StepEvaluation
from app.components.address import change_address
from app.components.charts import PERCENT, steps_chart
from app.components.page import count, percent, plain
from app.components.verdict import verdict_line
from app.words import headline, without
from workflows.state import State
from workflows.targets.judged import judged_on
from workflows.targets.metrics import AVERAGE_CONFIDENCE, ECE, F1, METRICS, PRECISION, RECALL, TOP1, Metric

SOURCES = {"steps": "During training (validation)", "val": "Final, on validation", "test": "Final, on test"}
WATCH_SECONDS = 2.0
WIDTHS = (7, 7, 9, 7)
SHOWN = (TOP1, F1, PRECISION, RECALL, ECE, AVERAGE_CONFIDENCE)


def pick_evaluation(subject: Subject, place: DeltaGenerator) -> EvaluationPoint | None:
    """Let an evaluation be chosen, bound to `?step=`; None if the run has recorded none yet.

    Args:
        subject: the run.
        place: where to draw the choice between epochs and final evaluation; the slider comes below.
    """
    sources = [*(["steps"] if subject.steps else []), *subject.finals]
    if not sources:
        return None
    wanted = _wanted(subject)
    st.session_state["evaluation-source"] = wanted if isinstance(wanted, str) else "steps"
    source = place.segmented_control(
        "Answers",
        sources,
        format_func=SOURCES.__getitem__,
        key="evaluation-source",
        on_change=_note_source,
        args=(subject,),
        required=True,
        label_visibility="collapsed",
    )
    if source != "steps":
        return "test" if source == "test" else "val"
    step = wanted if isinstance(wanted, int) else subject.steps[-1]
    if len(subject.steps) > 1:
        st.session_state["evaluation-step"] = step
        step = st.select_slider("Epoch", subject.steps, key="evaluation-step", on_change=_note_step)
    if subject.state == State.RUNNING:
        _follow(subject.run_id, subject.steps[-1])
    return int(step)


def _wanted(subject: Subject) -> EvaluationPoint:
    """Return what the address names, else the epoch with the best weights, else the newest."""
    named = st.query_params.get("step", "")
    if named.isdigit() and int(named) in subject.steps:
        return int(named)
    if named in subject.finals:
        return "test" if named == "test" else "val"
    if named:
        st.info("The epoch in the address is not recorded for this run; this is another one.", icon=":material/info:")
    if not subject.steps:
        return subject.finals[-1]
    finished = subject.state == State.FINISHED and subject.best_step in subject.steps
    return subject.best_step if finished and subject.best_step is not None else subject.steps[-1]


def _note_source(subject: Subject) -> None:
    source = st.session_state["evaluation-source"]
    change_address({"step": str(subject.steps[-1]) if source == "steps" else str(source)})


def _note_step() -> None:
    change_address({"step": str(st.session_state["evaluation-step"])})


@st.fragment(run_every=WATCH_SECONDS)
def _follow(run_id: str, newest: int) -> None:
    """Poll a running training for new epochs; without one in the address the page shows the newest."""
    now = client().evaluation.subject(run_id)
    if now.state == State.RUNNING and (not now.steps or now.steps[-1] == newest):
        st.caption(f"Training continues. Newest epoch: {newest}.")
        return
    if "step" not in st.query_params or now.state != State.RUNNING:
        st.rerun()
    st.caption(f"Training continues. Newest epoch: {now.steps[-1]}.")


def say_which(subject: Subject, point: EvaluationPoint) -> None:
    """Say whether the evaluation is that of the best epoch, and lead there if it is not."""
    best = subject.best_step
    if best is None:
        return
    metric = METRICS.get(subject.monitor)
    by = f" {plain(f'by {metric.title.lower()} on the validation images')}" if metric else ""
    if point == best:
        st.caption(f":green[:material/star:] Epoch {best} is the best{by}: the model has its weights.")
    elif not isinstance(point, int):
        st.caption(f":green[:material/star:] With the weights of epoch {best}, the best{by}.")
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Epoch {point} is not the best{by}.", width="content")
            if best in subject.steps:
                st.button(
                    f"Go to the best, {best}", key="evaluation-best", type="tertiary", on_click=_go_to, args=(best,)
                )


def _go_to(step: int) -> None:
    change_address({"step": str(step)})


def show_steps(subject: Subject, point: EvaluationPoint) -> None:
    """Draw the learning curves, with the chosen epoch marked."""
    curve = client().evaluation.curve(subject.run_id)
    if len(curve) > 1:
        shown = point if isinstance(point, int) else None
        left, right = st.columns(2)
        top1 = steps_chart(curve, TOP1.name, TOP1.heading, PERCENT, shown, subject.best_step)
        left.altair_chart(top1, theme=None, key="steps-top1")
        loss = steps_chart(curve, "loss", "loss", "~g", shown, subject.best_step)
        right.altair_chart(loss, theme=None, key="steps-loss")


def show_metrics(subject: Subject, point: EvaluationPoint, evaluated: StepEvaluation) -> None:
    """Show the headline numbers with their change since the epoch before, the interval, and which images judged."""
    compared = evaluated.compared_with
    before = client().evaluation.evaluated(subject.run_id, compared) if compared is not None else None
    metrics, old = evaluated.metrics, before.metrics if before else {}
    left_out = without(metrics["absent"])
    places = [*st.columns(WIDTHS), *st.columns(WIDTHS)]
    places.pop(len(WIDTHS)).metric("Images", count(metrics["support"]))
    for place, metric in zip(places, SHOWN, strict=False):
        change = _delta(metrics, old, metric) or _before(evaluated, metric.name)
        help = plain(_explained(metric, metrics, left_out))
        place.metric(metric.short or metric.heading, _fitting(metrics[metric.name]), help=help, **change)
    _which_images(subject, point, metrics)
    if left_out:
        st.caption(plain(f"F1, precision and recall: {left_out}, of which there are no images here."))


def _which_images(subject: Subject, point: EvaluationPoint, metrics: dict[str, Any]) -> None:
    """Say on which images these figures are; where there is an independent test, point to it."""
    split = point if isinstance(point, str) else "val"
    judged = judged_on(metrics, split)
    if split == "val" and "test" not in subject.finals and subject.state == State.FINISHED:
        verdict_line(judged, subject.dataset, "evaluation")
    elif judged is not None:
        caution = f" {judged.caution}" if subject.state == State.FINISHED else ""
        st.caption(plain(f"{headline(judged)[:1].upper()}{headline(judged)[1:]}.{caution}"))


def _explained(metric: Metric, metrics: dict[str, Any], left_out: str) -> str:
    """Explain a figure: of a mean the classes left out, too."""
    text = f"{metric.title}: {metric.words}"
    if metric.over_classes:
        return f"{text}; the mean over the classes{f', {left_out}' if left_out else ''}"
    return text


def _fitting(share: float) -> str:
    """0.9437 -> '94.4 %', 1.0 -> '100 %', because '100.0 %' would not fit."""
    text = percent(share)
    return text.replace("100.0", "100")


def _before(evaluated: StepEvaluation, name: str) -> dict[str, Any]:
    """Return a final figure from before calibration, as arguments of `st.metric`."""
    if name not in evaluated.uncalibrated:
        return {}
    return {"delta": f"from {percent(evaluated.uncalibrated[name])}", "delta_color": "off", "delta_arrow": "off"}


def _delta(metrics: dict[str, Any], old: dict[str, Any], metric: Metric) -> dict[str, Any]:
    if not old:
        return {}
    colour = {"less": "inverse", "": "off"}.get(metric.better, "normal")
    points = round(100 * (metrics[metric.name] - old[metric.name]), 1)
    if not points:
        return {"delta": "unchanged", "delta_color": "off", "delta_arrow": "off"}
    return {"delta": f"{points:+.1f}", "delta_color": colour}

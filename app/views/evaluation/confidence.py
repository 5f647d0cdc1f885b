"""How far the model's confidence can be trusted, and the threshold below which a person reviews its predictions."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.client import client
from app.client.evaluation import EvaluationPoint, Subject, csv_of
from app.client.step_evaluation import StepEvaluation
from app.components.charts import coverage_chart, histogram_chart, reliability_chart
from app.components.clock import clock
from app.components.page import guarded, percent, plain
from app.words import judged_words, threshold_words
from workflows.data.version import SPLIT_WORDS
from workflows.evaluation.thresholds import ReviewThreshold, judge_threshold, threshold_for

SAID = "threshold-said"


def confidence_panel(subject: Subject, point: EvaluationPoint, evaluated: StepEvaluation) -> None:
    """Draw the reliability diagram, the histogram and the threshold explorer, in which a threshold can be saved."""
    st.caption(_calibration(evaluated, final=not isinstance(point, int)))
    current, key = client().models.threshold(subject.run_id), f"threshold-{subject.run_id}"
    st.session_state.setdefault(key, 100 * current.value)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Reliability**: is 80 % confidence right in 80 of 100 cases?")
        st.altair_chart(reliability_chart(evaluated.reliability), theme=None, key="reliability-chart")
        st.caption("Dashed: perfect calibration. Dots: measured, with 95 % intervals. Orange: the gap between the two.")
        st.download_button(
            "Reliability as CSV",
            lambda: csv_of(evaluated.reliability),
            "reliability.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    with right:
        st.markdown("**Confidence** of right and wrong answers")
        threshold = float(st.session_state[key]) / 100
        st.altair_chart(histogram_chart(evaluated.histogram, threshold), theme=None, key="histogram-chart")
        st.caption("The line is the threshold chosen below.")
    st.divider()
    st.markdown("**Threshold explorer**: predictions below a confidence are reviewed by a person")
    st.caption(plain(threshold_words(current)))
    chosen, wanted = _explorer(evaluated, key)
    if isinstance(point, int):
        st.caption("A threshold is saved on calibrated confidences: choose the final evaluation above.")
    else:
        _save(subject, point, chosen, wanted, current)


def _calibration(evaluated: StepEvaluation, final: bool) -> str:
    """Say whether these confidences are calibrated, and what that did."""
    if not final:
        return (
            "These are the network's own confidences. They are calibrated on the validation images after the training."
        )
    if not evaluated.uncalibrated:
        return "These are the network's own confidences: no temperature was fitted to this model."
    before, after = evaluated.uncalibrated["ece"], evaluated.metrics["ece"]
    return (
        f"Calibrated on the validation images (temperature scaling: the network's scores are divided by one fitted number, so "
        f"that 80 % confidence means right in about 80 % of cases): the calibration error here is {percent(after)}, "
        f"without calibration it was {percent(before)}. It changes no prediction."
    )


def _explorer(evaluated: StepEvaluation, key: str) -> tuple[float, float | None]:
    """Let a threshold be chosen; return it, and the accuracy that it was chosen for, if it was."""
    confidence, correct = evaluated.frame["confidence"].to_numpy(), evaluated.frame["correct"].to_numpy()
    left, right = st.columns(2, gap="large")
    with left:
        wanted = st.number_input("Accuracy of accepted answers, at least (%)", 0.0, 100.0, 95.0, step=0.5, key="wanted")
        needed = threshold_for(confidence, correct, wanted / 100)
        if needed is None:
            st.caption("No threshold reaches that.")
        else:
            label = f"Use {percent(needed)}, the lowest that reaches it"
            st.button(label, key="use-threshold", on_click=_use, args=(key, needed))
        slider = st.slider("Threshold", 0.0, 100.0, step=0.1, format="%.1f %%", key=key)
        threshold = round(slider / 100, 3)
        judged = judge_threshold(threshold, "", confidence, correct)
        first, second, third = st.columns(3)
        first.metric("Accepted", percent(judged.coverage))
        first.caption(_interval(judged.coverage_ci95))
        second.metric("Accuracy of these", percent(judged.accuracy))
        second.caption(
            _interval(judged.accuracy_ci95) if judged.accuracy is not None else "undefined: none is accepted"
        )
        third.metric("To review", f"{judged.images - judged.accepted:,}")
        third.caption(f"of {judged.images:,}")
    with right:
        st.altair_chart(coverage_chart(evaluated.coverage, threshold), theme=None, key="coverage-chart")
    return threshold, wanted / 100 if threshold == needed else None


def _interval(bounds: tuple[float, float]) -> str:
    return f"{percent(bounds[0])} to {percent(bounds[1])}"


def _use(key: str, threshold: float) -> None:
    st.session_state[key] = 100 * threshold


def _save(subject: Subject, split: str, chosen: float, wanted: float | None, current: ReviewThreshold) -> None:
    """Let the chosen threshold be saved with the model, or the default be returned to; show what was saved before."""
    run_id = subject.run_id
    for final in subject.finals:
        frame = client().evaluation.evaluated(run_id, final).frame
        judged = judge_threshold(chosen, final, frame["confidence"], frame["correct"])
        st.caption(f"At {percent(chosen)}: {plain(judged_words(judged))}")
    st.caption(
        f"The accuracy on the {SPLIT_WORDS[split]} photos is optimistic if the threshold is chosen on them; the other "
        "split shows how it does on photos that it was not chosen on."
    )
    log = client().models.thresholds(run_id)
    same = chosen == current.value and not current.is_default
    with st.container(horizontal=True, vertical_alignment="bottom"):
        reason = st.text_input("Why", key=f"threshold-why-{run_id}-{len(log)}", placeholder="one mistake in 20 is fine")
        if st.button(
            f"Save {percent(chosen)} with the model",
            key="threshold-save",
            type="primary",
            icon=":material/save:",
            disabled=same,
            help="The pages, the command line, the HTTP server and the report then use it for this model.",
        ):
            _set(run_id, chosen, reason, wanted, split if wanted is not None else "")
        if not current.is_default and st.button(
            "Return to the default", key="threshold-default", icon=":material/undo:"
        ):
            _set(run_id, None, reason, None, "")
    if said := st.session_state.pop(SAID, None):
        st.toast(said, icon=":material/check:")
    if log:
        st.dataframe(pd.DataFrame([_row(line) for line in log]), hide_index=True, key="threshold-log")


def _set(run_id: str, value: float | None, reason: str, wanted: float | None, chosen_on: str) -> None:
    with guarded():
        with st.spinner("Saving, and writing the report anew …"):
            client().models.set_threshold(run_id, value, reason, wanted=wanted, chosen_on=chosen_on)
        st.session_state[SAID] = "The threshold is saved." if value is not None else "The default holds again."
        st.rerun()


def _row(line: ReviewThreshold) -> dict[str, str]:
    chosen = f"{percent(line.wanted)} right on {SPLIT_WORDS[line.chosen_on]} photos" if line.wanted is not None else ""
    return {
        "When": clock(line.created_at) if line.created_at else "",
        "Threshold": "default" if line.is_default else percent(line.value),
        "Chosen for": chosen,
        "Who": line.author,
        "Why": line.reason,
    }

"""How far the model's confidence can be trusted, and what a threshold would cost."""

from __future__ import annotations

import streamlit as st

from app.client.analysis import threshold_for
from app.client.evaluation import csv_of
from app.client.judged import Judged
from app.components.charts import coverage_chart, histogram_chart, reliability_chart
from app.components.page import percent


def confidence_panel(judged: Judged) -> None:
    """Draw the reliability diagram, the histogram and the threshold explorer."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Reliability**: is 80 % confidence right in 80 of 100 cases?")
        st.altair_chart(reliability_chart(judged.reliability), theme=None, key="reliability-chart")
        st.caption("Dashed: promised. Dots: kept, with 95 % intervals. Orange: the gap between the two.")
        st.download_button(
            "Reliability as CSV",
            lambda: csv_of(judged.reliability),
            "reliability.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    with right:
        st.markdown("**Confidence** of right and wrong answers")
        threshold = float(st.session_state.get("threshold", 50.0)) / 100
        st.altair_chart(histogram_chart(judged.histogram, threshold), theme=None, key="histogram-chart")
        st.caption("The line is the threshold chosen below.")
    st.divider()
    _explorer(judged)


def _explorer(judged: Judged) -> None:
    confidence, correct = judged.frame["confidence"].to_numpy(), judged.frame["correct"].to_numpy()
    st.markdown("**Threshold explorer**: leave answers below a confidence to a person")
    left, right = st.columns(2, gap="large")
    with left:
        wanted = st.number_input("Of the answers kept, right at least (%)", 0.0, 100.0, 95.0, step=0.5, key="wanted")
        needed = threshold_for(confidence, correct, wanted / 100)
        if needed is None:
            st.caption("No threshold reaches that.")
        else:
            # rounded up, so that the slider's threshold keeps the promise
            at = min(100.0, -(-needed * 1000 // 1) / 10)
            st.button(f"Use {at:.1f} %, the lowest that does", key="use-threshold", on_click=_use, args=(at,))
        threshold = st.slider("Threshold", 0.0, 100.0, 50.0, step=0.1, format="%.1f %%", key="threshold") / 100
        kept = confidence >= threshold
        first, second, third = st.columns(3)
        first.metric("Answered", percent(float(kept.mean())))
        second.metric("Of these right", percent(float(correct[kept].mean())) if kept.any() else "-")
        third.metric("For a person", f"{int((~kept).sum()):,}")
    with right:
        st.altair_chart(coverage_chart(judged.coverage, threshold), theme=None, key="coverage-chart")


def _use(threshold: float) -> None:
    st.session_state["threshold"] = threshold

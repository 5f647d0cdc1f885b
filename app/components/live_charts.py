"""The course of a training in charts: losses with the gap between them, and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app.components.lines import Axes, Band, Line, lines_chart
from app.components.page import colours, percent

if TYPE_CHECKING:
    from app.client.live import Gap, Live

HEIGHT = 250


def live_charts(live: Live) -> None:
    """Draw losses and metrics so far, and say what the gap between training and validation means."""
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Loss** (lower is better)")
        _losses(live)
    with right:
        st.markdown("**Metrics** (higher is better)")
        _metrics(live)
    _gap_words(live.gap, bool(live.steps["val/loss"]), live.run.state == "running")


def _losses(live: Live) -> None:
    colour = colours()
    train, val = live.steps["train/loss"], live.steps["val/loss"]
    lines = [
        Line("each batch", live.loss, colour.train, faint=True),
        Line("training", train, colour.train),
        Line("validation", val, colour.val),
    ]
    gap = live.gap
    axes = Axes(
        "epoch",
        height=HEIGHT,
        span=_span(live),
        rules=[(float(gap.best_step), "lowest validation loss")] if gap and gap.open else [],
        empty="the first batch is still to come",
    )
    lines_chart(lines, axes, key="live-loss", band=Band("validation above training", gap_band(train, val), colour.warn))


def _metrics(live: Live) -> None:
    colour = colours()
    lines = [
        Line("top-1, training", live.steps["train/top1"], colour.train),
        Line("F1, validation", live.steps["val/f1_macro"], colour.test),
        Line("top-1, validation", live.steps["val/top1"], colour.val),
    ]
    axes = Axes("epoch", percent=True, height=HEIGHT, span=_span(live), empty="the first evaluation is still to come")
    lines_chart(lines, axes, key="live-metrics")


def _span(live: Live) -> tuple[float, float]:
    """While it trains show what has been, with a little room; not all the epochs that may never come."""
    newest = max([live.done, *(points[-1][0] for points in live.steps.values() if points)])
    return 0.0, max(1.0, newest)


def gap_band(train: list[tuple[float, float]], val: list[tuple[float, float]]) -> list[tuple[float, float, float]]:
    """Return (step, training loss, validation loss) where both are known; the losses as equal where training's is higher."""
    known = dict(train)
    return [(step, min(known[step], loss), loss) for step, loss in val if step in known]


def _gap_words(gap: Gap | None, evaluated: bool, running: bool) -> None:
    if gap is None:
        if evaluated:
            st.caption("One evaluation so far: the gap between training and validation can be judged from the second.")
        return
    if gap.open:
        opens, goes, begins = ("opens", "goes", "begins") if running else ("opened", "went", "began")
        kept = "What is kept is the best step, so **Stop and keep** loses nothing. " if running else ""
        st.warning(
            f"The gap {opens}: validation loss is {percent(gap.rise)} above its lowest, {gap.steps} steps earlier "
            f"(step {gap.best_step}), while training loss {goes} on falling. The network {begins} to learn its photos "
            f"by heart (overfitting). {kept}Stronger augmentation, more photos or a smaller model help next time.",
            icon=":material/call_split:",
        )
    else:
        st.caption(
            "No overfitting to be seen: validation loss follows training loss. Training photos are augmented and "
            "harder than validation photos, so training may look worse at first."
        )

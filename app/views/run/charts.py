"""The history of a training in charts: losses with the gap between them, and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app.components.page import colours, percent
from app.views.run.lines import Axes, Band, Line, lines_chart
from app.words import with_absent
from workflows.evaluation.overfitting import LEAST_EVALUATIONS, RECENT
from workflows.state import State
from workflows.targets.metrics import F1, TOP1

if TYPE_CHECKING:
    from app.client.live import Live
    from workflows.evaluation.overfitting import Overfitting

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
    _overfitting_words(live.overfitting, len(live.steps["val/loss"]), live.run.state == State.RUNNING)


def _losses(live: Live) -> None:
    colour = colours()
    train, val = live.steps["train/loss"], live.steps["val/loss"]
    lines = [
        Line("each batch", live.loss, colour.train, faint=True),
        Line("training", train, colour.train),
        Line("validation", val, colour.val),
    ]
    found = live.overfitting
    rising = found is not None and found.verdict == "worsening"
    axes = Axes(
        "epoch",
        height=HEIGHT,
        span=_span(live),
        rules=[(float(found.best_step), "lowest validation loss")] if found is not None and rising else [],
        empty="waiting for the first batch",
    )
    lines_chart(lines, axes, key="live-loss", band=Band("validation above training", gap_band(train, val), colour.warn))


def _metrics(live: Live) -> None:
    colour = colours()
    lines = [
        Line(f"{TOP1.heading}, training", live.steps[TOP1.on("train")], colour.train),
        Line(with_absent("f1_macro", live.absent, f"{F1.heading}, validation"), live.steps[F1.on("val")], colour.test),
        Line(f"{TOP1.heading}, validation", live.steps[TOP1.on("val")], colour.val),
    ]
    axes = Axes("epoch", percent=True, height=HEIGHT, span=_span(live), empty="waiting for the first evaluation")
    lines_chart(lines, axes, key="live-metrics")


def _span(live: Live) -> tuple[float, float]:
    """During training show the epochs so far, with a little room, not all those planned."""
    newest = max([live.done, *(points[-1][0] for points in live.steps.values() if points)])
    return 0.0, max(1.0, newest)


def gap_band(train: list[tuple[float, float]], val: list[tuple[float, float]]) -> list[tuple[float, float, float]]:
    """Return (step, training loss, validation loss) where both are known; the losses as equal where training's is higher."""
    known = dict(train)
    return [(step, min(known[step], loss), loss) for step, loss in val if step in known]


def _overfitting_words(found: Overfitting | None, evaluations: int, running: bool) -> None:
    if found is None:
        if evaluations:
            st.caption(
                f"Overfitting can be detected from {LEAST_EVALUATIONS} evaluations on; there "
                f"{'is one' if evaluations == 1 else f'are {evaluations}'} so far."
            )
        return
    if found.verdict == "worsening":
        saved = "The weights of the best epoch are saved, so **Stop early** loses nothing. " if running else ""
        st.warning(
            f"**Overfitting, and getting worse.** Validation loss is {percent(found.rise)} above its lowest, "
            f"{found.evaluations} evaluations earlier (epoch {found.best_step}), while training loss continued to fall."
            f"{_gap_in_words(found)} {saved}Stronger augmentation, more images or a smaller model help next time.",
            icon=":material/call_split:",
        )
    elif found.verdict == "memorised":
        st.info(
            f"**Training images are memorised; validation is stable.**{_gap_in_words(found)} Validation loss isn't rising, "
            "so continuing does no harm, but little more can be learned from these images. More images, stronger "
            "augmentation or a smaller model would narrow the gap.",
            icon=":material/psychology:",
        )
    else:
        st.caption(
            f"No overfitting{' so far' if running else ''}: validation follows training.{_gap_in_words(found)} Training images are augmented, "
            "and so harder than validation images: training may look worse at first."
        )


def _gap_in_words(found: Overfitting) -> str:
    """Return loss and accuracy on both sides, as a sentence with a space before it."""
    words = (
        f" Over the last {RECENT} evaluations (median), loss is {found.train_loss:.2f} on training and "
        f"{found.val_loss:.2f} on validation images"
    )
    if found.gap is not None:
        words += f"; the gap in {TOP1.title} is {100 * found.gap:+.1f} points"
        if found.gap_interval is not None:
            low, high = found.gap_interval
            words += f" (95 % interval {100 * low:+.1f} to {100 * high:+.1f})"
    return words + "."

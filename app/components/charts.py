"""Charts in one style, for light and dark: correct answers and validation in blue-green, wrong answers in orange."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from app.components.page import colours
from workflows.palette import Palette
from workflows.targets.calibration import CONFIDENCE_TITLE, RIGHT_TITLE, filled_bins

PERCENT = ".0%"
TALL = 280


def styled(chart: Any, height: int | None = None) -> Any:
    """Give a chart the studio's style."""
    colour = colours()
    sized = chart if height is None else chart.properties(height=height)
    axis = {
        "labelColor": colour.soft,
        "titleColor": colour.ink,
        "gridColor": colour.line,
        "domainColor": colour.line,
        "tickColor": colour.line,
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    }
    return (
        sized.configure(background="transparent", font="Source Sans, sans-serif")
        .configure_axis(**axis)
        .configure_view(stroke=None)
        .configure_legend(labelColor=colour.ink, titleColor=colour.soft, orient="top", title=None)
        .configure_title(color=colour.ink, anchor="start", fontSize=13)
    )


def steps_chart(curve: pd.DataFrame, name: str, title: str, form: str, shown: int | None, best: int | None) -> Any:
    """Draw a metric of training and validation over the epochs, with the epoch that the page shows marked.

    Args:
        curve: index `step`, columns such as `val/top1`, `train/loss`.
        name: the metric, e.g. `loss`.
        title: what it is called.
        form: d3 format of its values.
        shown: the epoch that the page is about; None for the final evaluation.
        best: the epoch with the best weights, if that is known.
    """
    colour = colours()
    wanted = {f"train/{name}": "training", f"val/{name}": "validation"}
    present = curve[[column for column in wanted if column in curve]].rename(columns=wanted)
    table = present.reset_index().melt("step", var_name="of", value_name="value").dropna()
    of = alt.Color("of:N", scale=alt.Scale(domain=["training", "validation"], range=[colour.train, colour.val]))
    x = alt.X("step:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d", grid=False))
    y = alt.Y("value:Q", title=title, axis=alt.Axis(format=form, tickCount=4), scale=alt.Scale(zero=False))
    tooltip = [alt.Tooltip("step:Q"), alt.Tooltip("of:N", title=" "), alt.Tooltip("value:Q", title=title, format=".4g")]
    lines = alt.Chart(table).mark_line(strokeWidth=2).encode(x=x, y=y, color=of, tooltip=tooltip)
    layers = [lines]
    marks = [(best, colour.soft, [2, 3]), (shown, colour.ink, [1, 0])]
    for step, ink, dash in marks:
        if step is not None:
            rule = alt.Chart(pd.DataFrame({"step": [step]})).mark_rule(color=ink, strokeDash=dash, strokeWidth=1.5)
            layers.append(rule.encode(x="step:Q"))
    return styled(alt.layer(*layers), 150)


def reliability_chart(curve: pd.DataFrame) -> Any:
    """Draw how often answers of each confidence are right, with 95 % intervals, beside perfect calibration."""
    colour, full = colours(), filled_bins(curve)
    x = alt.X("confidence:Q", title=CONFIDENCE_TITLE, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=PERCENT))
    y = alt.Y("accuracy:Q", title=RIGHT_TITLE, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=PERCENT))
    tooltip = [
        alt.Tooltip("confidence:Q", format=".1%"),
        alt.Tooltip("accuracy:Q", title=RIGHT_TITLE, format=".1%"),
        alt.Tooltip("count:Q", title="images", format=",d"),
    ]
    perfect = pd.DataFrame({"confidence": [0.0, 1.0], "accuracy": [0.0, 1.0]})
    measured = alt.Chart(perfect).mark_line(color=colour.soft, strokeDash=[4, 4], strokeWidth=1).encode(x=x, y=y)
    gaps = alt.Chart(full).mark_rule(color=colour.bad, opacity=0.45, strokeWidth=5)
    spans = alt.Chart(full).mark_rule(color=colour.val, strokeWidth=1.2)
    dots = alt.Chart(full).mark_line(color=colour.val, point=alt.OverlayMarkDef(filled=True, size=45, color=colour.val))
    return styled(
        alt.layer(
            measured,
            gaps.encode(x=x, y=y, y2=alt.Y2("confidence:Q")),
            spans.encode(x=x, y=alt.Y("accuracy_low:Q", title=RIGHT_TITLE), y2="accuracy_high:Q"),
            dots.encode(x=x, y=y, tooltip=tooltip),
        ),
        TALL,
    )


def histogram_chart(table: pd.DataFrame, threshold: float | None = None) -> Any:
    """Draw how many answers are right and wrong at each confidence."""
    colour = colours()
    # stacked here: Vega-Lite stacks bars only if they have a place, not a span
    wrong = table.assign(answer="wrong", images=table["wrong"], base=0, top=table["wrong"])
    right = table.assign(
        answer="right", images=table["right"], base=table["wrong"], top=table["wrong"] + table["right"]
    )
    long = pd.concat([right, wrong], ignore_index=True)
    long = long[long["images"] > 0]
    scale = alt.Scale(domain=["right", "wrong"], range=[colour.val, colour.bad])
    x = alt.X(
        "bin_low:Q", title="confidence", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=PERCENT, grid=False)
    )
    bars = (
        alt.Chart(long)
        .mark_rect(stroke=None)
        .encode(
            x=x,
            x2="bin_high:Q",
            y=alt.Y("base:Q", title="images", axis=alt.Axis(tickMinStep=1, format=",d")),
            y2="top:Q",
            color=alt.Color("answer:N", scale=scale),
            tooltip=["answer:N", "images:Q", alt.Tooltip("bin_low:Q", format=PERCENT, title="from confidence")],
        )
    )
    return styled(alt.layer(bars, *_rule(threshold, colour)), TALL)


def coverage_chart(curve: pd.DataFrame, threshold: float) -> Any:
    """Draw which share of the answers a threshold accepts, and how many of those are right."""
    colour = colours()
    names = {"coverage": "answers accepted", "accuracy": "of these, right"}
    long = curve.rename(columns=names).melt(["threshold"], value_vars=list(names.values()), var_name="of").dropna()
    scale = alt.Scale(domain=list(names.values()), range=[colour.test, colour.val])
    x = alt.X("threshold:Q", title="confidence threshold", axis=alt.Axis(format=PERCENT, grid=False))
    y = alt.Y("value:Q", title=None, axis=alt.Axis(format=PERCENT), scale=alt.Scale(domain=[0, 1]))
    tooltip = [
        alt.Tooltip("threshold:Q", format=".1%"),
        alt.Tooltip("of:N", title=" "),
        alt.Tooltip("value:Q", format=".1%"),
    ]
    lines = (
        alt.Chart(long).mark_line(strokeWidth=2).encode(x=x, y=y, color=alt.Color("of:N", scale=scale), tooltip=tooltip)
    )
    return styled(alt.layer(lines, *_rule(threshold, colour)), TALL)


def _rule(place: float | None, colour: Palette) -> list[Any]:
    if place is None:
        return []
    return [alt.Chart(pd.DataFrame({"at": [place]})).mark_rule(color=colour.ink, strokeWidth=1.5).encode(x="at:Q")]


def history_chart(history: pd.DataFrame, shown: int | None) -> Any:
    """Draw the probability of one image's true class over the epochs."""
    colour = colours()
    x = alt.X("step:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d", grid=False))
    y = alt.Y(
        "label_confidence:Q",
        title="true class",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=PERCENT, tickCount=3),
    )
    tooltip = ["step:Q", "predicted:N", alt.Tooltip("label_confidence:Q", title="true class", format=".1%")]
    line = alt.Chart(history).mark_line(color=colour.val, point=alt.OverlayMarkDef(size=18, color=colour.val))
    layers = [line.encode(x=x, y=y, tooltip=tooltip)]
    if shown is not None:
        layers.append(alt.Chart(pd.DataFrame({"step": [shown]})).mark_rule(color=colour.ink).encode(x="step:Q"))
    return styled(alt.layer(*layers), 150)


def curves_chart(curves: dict[str, pd.DataFrame], name: str, title: str, form: str) -> Any:
    """Overlay one metric of several runs.

    Args:
        curves: for each run its table of :meth:`app.client.evaluation.Evaluation.curve`.
        name: the column, e.g. `val/top1`.
        title: what it is called.
        form: d3 format of its values.
    """
    tables = [
        pd.DataFrame({"step": curve.index, "value": curve[name].to_numpy(), "run": run})
        for run, curve in curves.items()
        if name in curve
    ]
    table = (
        pd.concat(tables, ignore_index=True).dropna() if tables else pd.DataFrame({"step": [], "value": [], "run": []})
    )
    colour = colours()
    scale = alt.Scale(
        domain=list(curves), range=[colour.val, colour.bad, colour.test, colour.good, colour.warn, colour.ink]
    )
    chart = (
        alt.Chart(table)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("step:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d", grid=False)),
            y=alt.Y("value:Q", title=title, axis=alt.Axis(format=form), scale=alt.Scale(zero=False)),
            color=alt.Color("run:N", scale=scale, legend=alt.Legend(labelLimit=260, columns=2)),
            tooltip=["run:N", "step:Q", alt.Tooltip("value:Q", title=title, format=".4g")],
        )
    )
    return styled(chart, 220)


def differences_chart(table: pd.DataFrame, against: str) -> Any:
    """Draw differences of metrics with their 95 % intervals, zero marked: an interval that crosses it may be chance.

    Args:
        table: columns `metric`, `difference`, `low`, `high`, `verdict` (better, worse or no clear difference).
        against: what the differences are to, e.g. "the first run".
    """
    colour = colours()
    words = ["better", "worse", "no clear difference"]
    scale = alt.Scale(domain=words, range=[colour.good, colour.bad, colour.soft])
    y = alt.Y("metric:N", sort=table["metric"].tolist(), title=None, axis=alt.Axis(labelLimit=220))
    reach = float(np.nanmax(np.abs(table[["low", "high"]].to_numpy()))) * 1.1 or 0.01
    x = alt.X("low:Q", title=f"difference to {against}", scale=alt.Scale(domain=[-reach, reach]))
    ink = alt.Color("verdict:N", scale=scale)
    spans = alt.Chart(table).mark_rule(strokeWidth=3).encode(y=y, x=x, x2="high:Q", color=ink)
    tooltip = [
        "metric:N",
        "verdict:N",
        *(alt.Tooltip(f"{name}:Q", format="+.4f") for name in ("difference", "low", "high")),
    ]
    dots = (
        alt.Chart(table)
        .mark_point(filled=True, size=90, opacity=1)
        .encode(y=y, x="difference:Q", color=ink, tooltip=tooltip)
    )
    zero = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(color=colour.ink, strokeDash=[3, 3]).encode(x="at:Q")
    return styled(alt.layer(zero, spans, dots), 26 * len(table) + 40)

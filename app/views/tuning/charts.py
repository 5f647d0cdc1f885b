"""Charts of a study: its history, what mattered, accuracy against time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from app.components.charts import PERCENT, styled
from app.components.page import colours
from workflows.state import State
from workflows.targets.metrics import TOP1

TALL = 250
WORDS = {name: State(name).words for name in ("complete", "pruned", "fail", "running")}
"""Optuna's states as people read them."""


def history_chart(table: pd.DataFrame, start: int | None) -> Any:
    """Draw every trial's value, the best so far, and the workflow that the search started from.

    Args:
        table: of :class:`app.client.tuning.Trials`.
        start: number of the trial that is the start; None until it is done.
    """
    colour = colours()
    shown = table[table["value"].notna()].assign(trial=table["number"] + 1, state=table["state"].map(WORDS))
    shown = shown[["trial", "value", "state"]]
    complete = shown[shown["state"] == WORDS["complete"]].assign(best=lambda rows: rows["value"].cummax())
    kinds = alt.Scale(
        domain=[WORDS[name] for name in ("complete", "pruned", "running")], range=[colour.val, colour.soft, colour.warn]
    )
    x = alt.X("trial:Q", title="trial", axis=alt.Axis(tickMinStep=1, format="d", grid=False))
    y = alt.Y(
        "value:Q", title=f"{TOP1.heading}, validation", axis=alt.Axis(format=PERCENT), scale=alt.Scale(zero=False)
    )
    tooltip = ["trial:Q", alt.Tooltip("state:N", title=" "), alt.Tooltip("value:Q", title=TOP1.heading, format=".2%")]
    dots = alt.Chart(shown).mark_point(filled=True, size=55, opacity=0.9)
    best = alt.Chart(complete).mark_line(color=colour.val, interpolate="step-after", strokeWidth=2)
    layers = [
        best.encode(x=x, y=alt.Y("best:Q", title=f"{TOP1.heading}, validation", scale=alt.Scale(zero=False))),
        dots.encode(x=x, y=y, color=alt.Color("state:N", scale=kinds), tooltip=tooltip),
    ]
    begun = shown.loc[(shown["trial"] == (start or 0) + 1) & (start is not None), "value"]
    if len(begun):
        line = pd.DataFrame({"value": [float(begun.iloc[0])], "text": ["the start"]})
        rule = alt.Chart(line).mark_rule(color=colour.bad, strokeDash=[5, 4]).encode(y="value:Q")
        label = alt.Chart(line).mark_text(align="left", dx=4, dy=-7, color=colour.bad, fontSize=11)
        layers += [rule, label.encode(x=alt.value(0), y="value:Q", text="text:N")]
    return styled(alt.layer(*layers), TALL)


def importance_chart(shares: Mapping[str, float], titles: Mapping[str, str]) -> Any:
    """Draw how much each dimension mattered for the value."""
    colour = colours()
    table = pd.DataFrame({"what": [titles.get(name, name) for name in shares], "share": list(shares.values())})
    y = alt.Y("what:N", sort=table["what"].tolist(), title=None, axis=alt.Axis(labelLimit=180))
    x = alt.X("share:Q", title="share of the differences", axis=alt.Axis(format=PERCENT, tickCount=4))
    tooltip = ["what:N", alt.Tooltip("share:Q", format=".1%")]
    return styled(alt.Chart(table).mark_bar(color=colour.val, height=14).encode(x=x, y=y, tooltip=tooltip), TALL)


def pareto_chart(complete: pd.DataFrame, front: pd.DataFrame, start: int | None) -> Any:
    """Draw accuracy against the time of one photo; trials that no other beats in both are joined by a line."""
    colour = colours()
    rows = complete[complete["milliseconds"].notna()]
    best = set(front["number"])
    kind = [
        "the start" if number == start else "none beats it" if number in best else "beaten" for number in rows["number"]
    ]
    table = pd.DataFrame(
        {"trial": rows["number"] + 1, "ms": rows["milliseconds"], "value": rows["value"], "kind": kind}
    )
    scale = alt.Scale(domain=["none beats it", "the start", "beaten"], range=[colour.good, colour.bad, colour.soft])
    x = alt.X("ms:Q", title="milliseconds a photo", scale=alt.Scale(zero=False, padding=10), axis=alt.Axis(grid=False))
    y = alt.Y(
        "value:Q", title=f"{TOP1.heading}, validation", axis=alt.Axis(format=PERCENT), scale=alt.Scale(zero=False)
    )
    tooltip = [
        "trial:Q",
        alt.Tooltip("value:Q", title=TOP1.heading, format=".2%"),
        alt.Tooltip("ms:Q", title="ms a photo", format=".2f"),
    ]
    line = alt.Chart(front).mark_line(color=colour.good, interpolate="step-after", strokeWidth=1.5)
    dots = alt.Chart(table).mark_point(filled=True, size=65, opacity=0.9)
    return styled(
        alt.layer(
            line.encode(x=alt.X("milliseconds:Q", title="milliseconds a photo"), y="value:Q"),
            dots.encode(x=x, y=y, color=alt.Color("kind:N", scale=scale), tooltip=tooltip),
        ),
        TALL,
    )

"""Runs as a table, with their states, results and small learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from app.client import client
from app.components.choosing import chosen_row
from app.components.page import ago, duration, go
from app.words import interval
from workflows.state import RUN_STATES, State

if TYPE_CHECKING:
    import pandas as pd

    from app.client.runs import RunBrief

HEAD_PIXELS, ROW_PIXELS = 38, 35
SIGNS = dict(zip(RUN_STATES, "▶○✓✕■‖", strict=True))


def run_table(runs: Sequence[RunBrief], key: str, to: str | None = None) -> None:
    """Draw `runs`; choosing one opens it on the page `to`: by default its evaluation if it is finished, else its run page."""
    chosen = chosen_row(
        _frame(runs),
        key=key,
        height=HEAD_PIXELS + ROW_PIXELS * len(runs),
        column_config={
            "Accuracy": st.column_config.NumberColumn(
                "Accuracy",
                format="%.1f %%",
                help="Top-1 on the images named beside it. Validation images also chose the checkpoint: such a figure is "
                "optimistic.",
            ),
            "95 % interval": st.column_config.TextColumn(width=110),
            "Judged on": st.column_config.TextColumn(width=150),
            "Curve": st.column_config.LineChartColumn(
                "Curve", y_min=0.0, y_max=1.0, width="small", help="Validation top-1 after each epoch."
            ),
        },
    )
    if chosen is not None:
        run = runs[chosen]
        go(to or ("evaluation" if run.state == State.FINISHED else "run"), run=run.run_id)


def _frame(runs: Sequence[RunBrief]) -> pd.DataFrame:
    import pandas as pd

    curves = client().runs.curves([run.run_id for run in runs])
    called = client().marks.called("run")
    rows = [
        {
            "Run": called(run.run_id),
            "State": f"{SIGNS[run.state]} {run.state.words}",
            "Data set": f"{run.dataset or ''}{f' v{run.version}' if run.version else ''}",
            "Goal": run.goal or "",
            **_figures(run, curves.get(run.run_id, [])),
            "Curve": curves.get(run.run_id, []),
            "Queued": ago(run.created_at),
            "Took": _took(run),
        }
        for run in runs
    ]
    return pd.DataFrame(rows)


def _figures(run: RunBrief, curve: Sequence[float]) -> dict[str, float | str | None]:
    """Return the final accuracy with what judged it; until then the best on validation so far."""
    if run.judged is None:
        best = max(curve, default=None)
        so_far = "validation, so far" if run.state.alive else "validation, best epoch"
        return {
            "Accuracy": None if best is None else 100 * best,
            "95 % interval": "",
            "Judged on": "" if best is None else so_far,
        }
    figures = 100 * run.judged.top1, interval(run.judged), run.judged.counted
    return dict(zip(("Accuracy", "95 % interval", "Judged on"), figures, strict=True))


def _took(run: RunBrief) -> str:
    if run.started_at is None or run.finished_at is None:
        return ""
    return duration((run.finished_at - run.started_at).total_seconds())

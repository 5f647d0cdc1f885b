"""Runs as a table, with their states, results and small learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from app.client import client
from app.components.page import ago, duration, go

if TYPE_CHECKING:
    import pandas as pd

    from app.client.runs import RunBrief

HEAD_PIXELS, ROW_PIXELS = 38, 35
WORDS = {
    "pending": "○ waiting",
    "running": "▶ running",
    "finished": "✓ finished",
    "failed": "✕ failed",
    "cancelled": "■ cancelled",
    "interrupted": "‖ interrupted",
}


def run_table(runs: Sequence[RunBrief], key: str, to: str | None = None) -> None:
    """Draw `runs`; choosing one opens it on the page `to`: by default its evaluation if it is finished, else its course."""
    chosen = st.dataframe(
        _frame(runs),
        key=key,
        hide_index=True,
        placeholder="",
        height=HEAD_PIXELS + ROW_PIXELS * len(runs),
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Accuracy": st.column_config.NumberColumn(
                "Accuracy",
                format="%.1f %%",
                help="Top-1 on test photos; on validation photos if there are no test photos or they are still to come.",
            ),
            "Course": st.column_config.LineChartColumn(
                "Course", y_min=0.0, y_max=1.0, width="small", help="Validation top-1 at each step."
            ),
        },
    )
    rows = chosen["selection"]["rows"]
    if rows and rows[0] < len(runs):
        run = runs[rows[0]]
        go(to or ("evaluation" if run.state == "finished" else "run"), run=run.run_id)


def _frame(runs: Sequence[RunBrief]) -> pd.DataFrame:
    import pandas as pd

    curves = client().runs.curves([run.run_id for run in runs])
    rows = [
        {
            "Run": run.run_id,
            "State": WORDS[run.state],
            "Data set": f"{run.dataset or ''}{f' v{run.version}' if run.version else ''}",
            "Goal": run.goal or "",
            "Accuracy": _percent(run, curves.get(run.run_id, [])),
            "Course": curves.get(run.run_id, []),
            "Ordered": ago(run.created_at),
            "Took": _took(run),
        }
        for run in runs
    ]
    return pd.DataFrame(rows)


def _percent(run: RunBrief, curve: Sequence[float]) -> float | None:
    known = [value for value in (run.test_top1, run.val_top1, max(curve, default=None)) if value is not None]
    return 100 * known[0] if known else None


def _took(run: RunBrief) -> str:
    if run.started_at is None or run.finished_at is None:
        return ""
    return duration((run.finished_at - run.started_at).total_seconds())

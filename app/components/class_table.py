"""Clickable tables: classes, and confused pairs of classes."""

from __future__ import annotations

from math import isnan
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.client.evaluation import csv_of
from app.components.address import focus_on

_SHARE: dict[str, Any] = {"min_value": 0.0, "max_value": 100.0, "format": "%.1f %%", "color": "blue"}


def class_table(table: pd.DataFrame, name: str) -> None:
    """Show the metrics of every class; choosing a row goes to its images.

    Args:
        table: of :func:`workflows.targets.single_label.metrics.per_class_metrics`.
        name: of the file to download.
    """
    left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
    text = left.text_input(
        "Filter", placeholder="part of a class's name", key="classes-filter", icon=":material/search:"
    )
    worst = middle.slider("F1 at most", 0, 100, 100, format="%d %%", key="classes-f1")
    _download(right, table, f"classes-{name}.csv")
    found = table[table["class"].str.contains(text, case=False, regex=False)] if text else table
    if worst < 100:  # a class without images has no F1
        found = found[found["f1"] <= worst / 100 + 1e-9]
    found = found.reset_index(drop=True)
    shown = in_percent(found, ["precision", "recall", "f1", "average_confidence"])
    shown["recall interval"] = [
        "" if isnan(low) else f"{100 * low:.0f} to {100 * high:.0f} %"
        for low, high in zip(found["recall_low"], found["recall_high"], strict=True)
    ]
    bar = st.column_config.ProgressColumn
    st.dataframe(
        shown,
        key="classes-table",
        on_select=lambda: _class_chosen(found["class"].tolist()),
        selection_mode="single-row",
        hide_index=True,
        placeholder="",
        height=min(38 + 35 * len(shown), 460),
        column_order=[
            "class",
            "f1",
            "precision",
            "recall",
            "recall interval",
            "support",
            "predicted",
            "average_confidence",
        ],
        column_config={
            "class": st.column_config.TextColumn("Class", width="medium", pinned=True),
            "f1": bar("F1", help="Harmonic mean of precision and recall", **_SHARE),
            "precision": bar("Precision", help="Of the images predicted as it, the share that belong to it", **_SHARE),
            "recall": bar("Recall", help="Of its images, the share that were found", **_SHARE),
            "recall interval": st.column_config.TextColumn("Recall, 95 %", help="Wilson's interval"),
            "support": st.column_config.NumberColumn("Images"),
            "predicted": st.column_config.NumberColumn("Predicted as it"),
            "average_confidence": bar("Average confidence", help="Over its images", **_SHARE),
        },
    )
    st.caption(f"{len(found):,} of {len(table):,} classes. Click a heading to sort; choose a row for its images.")


def _class_chosen(names: list[str]) -> None:
    rows = st.session_state["classes-table"].selection.rows
    if rows and rows[0] < len(names):
        focus_on(label=names[rows[0]])


def pairs_table(pairs: pd.DataFrame, name: str, height: int = 420) -> None:
    """Show which class is predicted as which, the most frequent mistake first; choosing a row goes to the images.

    Args:
        pairs: of :func:`workflows.targets.single_label.confusion.most_confused_pairs`.
        name: of the file to download.
        height: in pixels.
    """
    if pairs.empty:
        st.success("No mistakes.", icon=":material/check:")
        return
    cells = list(zip(pairs["label"].astype(str), pairs["predicted"].astype(str), strict=True))
    st.dataframe(
        in_percent(pairs, ["share_of_label"]),
        key="pairs-table",
        on_select=lambda: _pair_chosen(cells),
        selection_mode="single-row",
        hide_index=True,
        height=min(38 + 35 * len(pairs), height),
        column_order=["count", "label", "predicted", "share_of_label"],
        column_config={
            "label": st.column_config.TextColumn("True class"),
            "predicted": st.column_config.TextColumn("Predicted as"),
            "count": st.column_config.NumberColumn("Images", width="small"),
            "share_of_label": st.column_config.NumberColumn("Of the class", format="%.1f %%", width="small"),
        },
    )
    _download(st.container(), pairs, f"confused-pairs-{name}.csv")


def _pair_chosen(cells: list[tuple[str, str]]) -> None:
    rows = st.session_state["pairs-table"].selection.rows
    if rows and rows[0] < len(cells):
        focus_on(cell=cells[rows[0]])


def in_percent(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return a table with some columns times 100."""
    return table.assign(**{name: 100.0 * table[name] for name in columns})


def _download(place: DeltaGenerator, table: pd.DataFrame, name: str) -> None:
    place.download_button(
        "Table as CSV", lambda: csv_of(table), name, "text/csv", icon=":material/download:", on_click="ignore"
    )

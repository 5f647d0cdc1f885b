"""What two runs answered differently: metrics, classes, images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from app.client import client
from app.client.analysis import Comparison
from app.client.evaluation import csv_of
from app.components.charts import differences_chart
from app.components.class_table import in_percent
from app.components.gallery import Tile, Tone, gallery, pager
from app.words import METRIC_TITLES

PER_PAGE = 12
LUCK = "no clear difference"


@dataclass(frozen=True)
class Sides:
    """What the two are called in running text."""

    first: str
    other: str

    @property
    def titles(self) -> tuple[str, str]:
        """Return what heads their columns."""
        first, other = (name.removeprefix("the ").capitalize() for name in (self.first, self.other))
        return first, other


RUNS = Sides("the first run", "this one")


def metric_changes(found: Comparison, key: str, sides: Sides = RUNS) -> None:
    """Draw the differences of all metrics, with the numbers below."""
    table = found.metrics.assign(
        metric=[METRIC_TITLES.get(name, name) for name in found.metrics["metric"]],
        interval=[
            f"{low:+.3f} to {high:+.3f}" for low, high in zip(found.metrics["low"], found.metrics["high"], strict=True)
        ],
        verdict=[{"b": "better", "a": "worse"}.get(side, LUCK) for side in found.metrics["better"]],
    )
    st.markdown("**Metrics**, with 95 % intervals of the difference (paired bootstrap)")
    st.altair_chart(differences_chart(table, sides.first), theme=None, key=f"differences-{key}")
    st.dataframe(
        table,
        hide_index=True,
        key=f"metrics-{key}",
        column_order=["metric", "a", "b", "difference", "interval"],
        column_config={
            "metric": st.column_config.TextColumn("Metric", width=165),
            "a": st.column_config.NumberColumn(sides.titles[0], format="%.3f", width=66),
            "b": st.column_config.NumberColumn(sides.titles[1], format="%.3f", width=66),
            "difference": st.column_config.NumberColumn("Difference", format="%+.3f", width=66),
            "interval": st.column_config.TextColumn("95 % interval", width=115),
        },
    )


def class_changes(found: Comparison, key: str, sides: Sides = RUNS) -> None:
    """List the classes by how much better or worse they got."""
    st.markdown("**Classes**: recall, those that got better first")
    table = in_percent(found.classes, ["recall_a", "recall_b", "difference"])
    words = {"b": "better", "a": "worse"}
    table["verdict"] = [words.get(side, "") for side in table["better"]]
    number = st.column_config.NumberColumn
    st.dataframe(
        table,
        hide_index=True,
        key=f"classes-{key}",
        height=min(38 + 35 * len(table), 520),
        column_order=["class", "difference", "verdict", "recall_a", "recall_b", "only_b", "only_a", "support"],
        column_config={
            "class": st.column_config.TextColumn("Class", pinned=True),
            "difference": number("Points", format="%+.1f", width="small"),
            "recall_a": number(sides.titles[0], format="%.1f %%", width="small"),
            "recall_b": number(sides.titles[1], format="%.1f %%", width="small"),
            "support": number("Images", width="small"),
            "only_b": number("Mended", help="Images that only the second of the two gets right"),
            "only_a": number("Broken", help="Images that only the first of the two gets right"),
            "verdict": st.column_config.TextColumn(
                "Clear", help="More than luck: McNemar's exact test, corrected for the number of classes (Holm)"
            ),
        },
    )
    better, worse = (int((found.classes["better"] == side).sum()) for side in ("b", "a"))
    st.caption(f"Clearly better: {better}; clearly worse: {worse}; of {len(table)} classes.")


def changed_images(found: Comparison, first: str, second: str, names: Sides = RUNS) -> None:
    """Show the images that one of the two alone gets right."""
    counts = found.changed["change"].value_counts()
    sides = {
        "broken": f"Broken ({int(counts.get('broken', 0)):,}): only {names.first} is right",
        "mended": f"Mended ({int(counts.get('mended', 0)):,}): only {names.other} is right",
    }
    st.markdown("**Images that changed sides**")
    with st.container(horizontal=True, vertical_alignment="center"):
        side = st.segmented_control(
            "Side",
            list(sides),
            format_func=sides.__getitem__,
            default="broken" if counts.get("broken") else "mended",
            key=f"side-{second}",
            required=True,
            label_visibility="collapsed",
        )
        name = f"changed-{first}-{second}.csv"
        st.download_button(
            "CSV",
            lambda: csv_of(found.changed),
            name,
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
            key=f"csv-{second}",
        )
    rows = found.changed[found.changed["change"] == side]
    if rows.empty:
        st.caption("None.")
        return
    page = rows.iloc[pager(len(rows), PER_PAGE, f"changed-page-{second}")]
    thumbs = client().evaluation.thumbnails(first, page["image_id"])
    gallery(
        [_tile(row, thumbs, names) for _, row in page.iterrows()], key=f"changed-{second}", columns=6, select="none"
    )


def _tile(row: pd.Series, thumbs: Mapping[str, Path], names: Sides) -> Tile:
    now = f"{100 * row['confidence_b']:.0f} % {row['predicted_b']}"
    was = f"{100 * row['confidence_a']:.0f} % {row['predicted_a']}"
    before = f"true: {row['label']} · {names.titles[0].lower()}: {was}"
    tone: Tone = "good" if row["change"] == "mended" else "bad"
    return Tile(str(row["image_id"]), thumbs.get(str(row["image_id"])), now, before, tone)

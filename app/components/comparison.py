"""Where two runs differ: metrics, classes, images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from app.client import client
from app.client.evaluation import csv_of
from app.components.address import ARROW
from app.components.charts import differences_chart
from app.components.class_table import in_percent
from app.components.gallery import Tile, Tone, gallery, pager
from app.components.page import go, guarded, plain
from app.words import with_absent
from workflows.evaluation.comparison import Comparison
from workflows.targets.metrics import METRICS

PER_PAGE = 12
LUCK = "no clear difference"


@dataclass(frozen=True)
class Sides:
    """What the two are called in running text."""

    first: str
    other: str

    @property
    def titles(self) -> tuple[str, str]:
        """Return the headings of their columns."""
        first, other = (name.removeprefix("the ").capitalize() for name in (self.first, self.other))
        return first, other


RUNS = Sides("the first run", "this one")


def metric_changes(found: Comparison, key: str, sides: Sides = RUNS) -> None:
    """Draw the differences of all metrics, with the numbers below."""
    table = found.metrics.assign(
        metric=[with_absent(name, found.absent, METRICS[name].title) for name in found.metrics["metric"]],
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
    """List the classes by their change in recall."""
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
            "only_b": number("Fixed", help="Images that only the second of the two gets right"),
            "only_a": number("Broken", help="Images that only the first of the two gets right"),
            "verdict": st.column_config.TextColumn(
                "Clear", help="More than chance: McNemar's exact test, corrected for the number of classes (Holm)"
            ),
        },
    )
    better, worse = (int((found.classes["better"] == side).sum()) for side in ("b", "a"))
    st.caption(f"Clearly better: {better}; clearly worse: {worse}; of {len(table)} classes.")
    if found.absent:
        st.caption(plain(f"No images here, so no recall: {', '.join(found.absent)}."))


def changed_images(found: Comparison, first: str, second: str, names: Sides = RUNS, *, evaluated: bool = False) -> None:
    """Show the images that only one of the two gets right; one of them can be chosen to be looked at.

    Args:
        found: the comparison.
        first: the first run.
        second: the second run.
        names: what to call the two.
        evaluated: whether the images are those of the runs' own evaluations, to which there are links then.
    """
    counts = found.changed["change"].value_counts()
    sides = {
        "broken": f"Broken ({int(counts.get('broken', 0)):,}): only {names.first} is right",
        "mended": f"Fixed ({int(counts.get('mended', 0)):,}): only {names.other} is right",
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
    tiles = [_tile(row, thumbs, names) for _, row in page.iterrows()]
    chosen = gallery(tiles, key=f"changed-{second}", columns=6)
    if chosen:
        row = page[page["image_id"].astype(str) == chosen[0]].iloc[0]
        with st.container(border=True, key=f"changed-detail-{second}"), guarded():
            _detail(row, {"a": first, "b": second}, names, found.split if evaluated else "")


def _detail(row: pd.Series, runs: Mapping[str, str], names: Sides, split: str) -> None:
    """Show one image large, what both said, and the ways to look closer; `split` is that of the runs' evaluations."""
    left, right = st.columns([2, 3], vertical_alignment="center")
    left.image(str(client().evaluation.photo(runs["a"], str(row["image_id"]))), width="stretch")
    with right:
        st.markdown(f"Label **{plain(row['label'])}**")
        for side, name in zip("ab", names.titles, strict=True):
            confidence = 100 * float(row[f"confidence_{side}"])
            st.markdown(f"{plain(name)}: **{plain(row[f'predicted_{side}'])}** with {confidence:.1f} %")
        st.caption(plain(row["path"]))
        if not split:
            return
        with st.container(horizontal=True):
            for side, name in zip("ab", (names.first, names.other), strict=True):
                cell = ARROW.join((str(row["label"]), str(row[f"predicted_{side}"])))
                if st.button(
                    f"Its cell in the evaluation of {name}", key=f"cell-{runs['b']}-{side}", icon=":material/grid_on:"
                ):
                    go("evaluation", run=runs[side], step=split, cell=cell)


def _tile(row: pd.Series, thumbs: Mapping[str, Path], names: Sides) -> Tile:
    now = f"{100 * row['confidence_b']:.0f} % {row['predicted_b']}"
    was = f"{100 * row['confidence_a']:.0f} % {row['predicted_a']}"
    before = f"true: {row['label']} · {names.titles[0].lower()}: {was}"
    tone: Tone = "good" if row["change"] == "mended" else "bad"
    return Tile(str(row["image_id"]), thumbs.get(str(row["image_id"])), now, before, tone)

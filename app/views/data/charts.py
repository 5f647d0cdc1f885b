"""A data set in charts: images per class and split, sizes, aspect ratios."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from app.client import client
from app.client.datasets import SPLITS, DatasetVersion
from app.client.images import NO_SPLIT, Images
from app.components.address import change_address
from app.components.charts import styled
from app.components.page import colours, count

NAMED_CLASSES = 40
"""With more classes than this, their names stand in the tooltips alone."""
LONGEST_NAME = 180
BINS = 36


def charts(version: DatasetVersion) -> None:
    """Draw the charts of a version; a click on a class shows its photos."""
    images = client().datasets.images(version)
    if images.counts.empty:
        st.info("No photo has a label yet: label them on the Annotate page.", icon=":material/label:")
    else:
        _classes(images)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Sizes, in pixels**")
        st.altair_chart(sizes_chart(images.sizes), theme=None, key="sizes-chart")
    with right:
        st.markdown("**Aspect ratios**", help="Width divided by height: 1 is square, above is wide, below is tall.")
        st.altair_chart(aspects_chart(images.aspects), theme=None, key="aspects-chart")


def _classes(images: Images) -> None:
    counts = images.counts
    smallest, largest = counts["all"].min(), counts["all"].max()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("**Photos per class and split**")
        by_number = st.toggle("Largest first", value=len(counts) > NAMED_CLASSES, key="charts-order")
    st.caption(
        f"{count(len(counts))} classes of {count(int(smallest))} to {count(int(largest))} photos. "
        "Click a class to see its photos."
    )
    ordered = counts.sort_values("all", ascending=False, kind="stable") if by_number else counts
    event = st.altair_chart(
        classes_chart(ordered),
        theme=None,
        key="classes-chart",
        on_select="rerun",
        selection_mode="picked",
    )
    chosen = event.get("selection", {}).get("picked", [])
    if chosen and chosen[0].get("class") in counts.index:
        del st.session_state["classes-chart"]
        change_address({"class": chosen[0]["class"], "view": None})
        st.rerun()


def classes_chart(counts: pd.DataFrame) -> Any:
    """Draw how many images each class has in each split.

    Args:
        counts: of :attr:`app.client.images.Images.counts`, in the order to draw.
    """
    colour, names = colours(), [str(name) for name in counts.index]
    splits = [*SPLITS, NO_SPLIT] if counts[NO_SPLIT].any() else list(SPLITS)
    long = counts[splits].rename_axis("class").reset_index().melt("class", var_name="split", value_name="images")
    long = long[long["images"] > 0].assign(rank=lambda table: table["split"].map(splits.index))
    scale = alt.Scale(domain=splits, range=[colour.train, colour.val, colour.test, colour.soft][: len(splits)])
    few = len(names) <= NAMED_CLASSES
    axis = alt.Axis(labelAngle=0 if len(names) <= 8 else -40, labelLimit=LONGEST_NAME, labels=few, ticks=few)
    picked = alt.selection_point(name="picked", fields=["class"], on="click", empty=False)
    bars = (
        alt.Chart(long)
        .mark_bar(cursor="pointer")
        .encode(
            x=alt.X("class:N", sort=names, title=None if few else f"{len(names)} classes", axis=axis),
            y=alt.Y("images:Q", title="photos", axis=alt.Axis(tickMinStep=1, format=",d")),
            color=alt.Color("split:N", scale=scale, sort=splits),
            order=alt.Order("rank:O"),
            tooltip=["class:N", "split:N", alt.Tooltip("images:Q", format=",d")],
        )
        .add_params(picked)
    )
    return styled(bars, 260)


def sizes_chart(sizes: pd.DataFrame) -> Any:
    """Draw how many images have which size.

    Args:
        sizes: of :attr:`app.client.images.Images.sizes`.
    """
    colour = colours()
    high = float(max(sizes["width"].max(), sizes["height"].max())) * 1.05
    scale = alt.Scale(domain=[0, high])
    dots = (
        alt.Chart(sizes)
        .mark_circle(color=colour.val, opacity=0.55, stroke=colour.val)
        .encode(
            x=alt.X("width:Q", scale=scale, axis=alt.Axis(format=",d", tickCount=6)),
            y=alt.Y("height:Q", scale=scale, axis=alt.Axis(format=",d", tickCount=6)),
            size=alt.Size("images:Q", scale=alt.Scale(range=[18, 500]), legend=None),
            tooltip=[alt.Tooltip(f"{name}:Q", format=",d") for name in ("width", "height", "images")],
        )
    )
    square = alt.Chart(pd.DataFrame({"width": [0.0, high], "height": [0.0, high]}))
    line = square.mark_line(color=colour.soft, strokeDash=[4, 4], strokeWidth=1).encode(x="width:Q", y="height:Q")
    return styled(alt.layer(line, dots), 260)


def aspects_chart(aspects: pd.Series) -> Any:
    """Draw how many images have which aspect ratio, on a scale where 1:2 and 2:1 are as far from the square."""
    colour = colours()
    logs = np.log2(aspects.to_numpy(dtype=float))
    reach = max(1.0, float(np.abs(logs).max()) * 1.02)
    counts, edges = np.histogram(logs, bins=BINS + 1, range=(-reach, reach))
    table = pd.DataFrame({"low": 2.0 ** edges[:-1], "high": 2.0 ** edges[1:], "images": counts, "base": 0})
    table = table[table["images"] > 0]
    scale = alt.Scale(type="log", base=2, domain=[2.0**-reach, 2.0**reach])
    marks = [mark for mark in (0.25, 0.5, 0.75, 1, 1.33, 2, 4) if 2.0**-reach <= mark <= 2.0**reach]
    bars = (
        alt.Chart(table)
        .mark_rect(color=colour.val, stroke=None)
        .encode(
            x=alt.X(
                "low:Q", scale=scale, title="width : height", axis=alt.Axis(values=marks, format=".3~g", grid=False)
            ),
            x2="high:Q",
            y=alt.Y("base:Q", title="photos", axis=alt.Axis(tickMinStep=1, format=",d")),
            y2="images:Q",
            tooltip=[
                alt.Tooltip("low:Q", format=".2f", title="from"),
                alt.Tooltip("high:Q", format=".2f", title="to"),
                "images:Q",
            ],
        )
    )
    return styled(bars, 260)

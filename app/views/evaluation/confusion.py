"""The confusion matrix to click into: one mark for each cell with images, never one for each cell.

With up to 40 classes all are shown. Beyond, first those most confused with each other, by name; all of them
only in groups of neighbours, which open when clicked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from app.client import client
from app.client.evaluation import EvaluationPoint, Subject
from app.client.step_evaluation import StepEvaluation
from app.components.address import Focus, focus_on
from app.components.charts import styled
from app.components.page import colours, plain
from workflows.evaluation.matrix_views import (
    BLOCK,
    COLUMNS,
    LABELLED,
    ROWS,
    Order,
    cells_of,
    grouped_counts,
    in_groups,
    most_confused_classes,
    rivals_of,
)
from workflows.palette import blend, strengths, text_on
from workflows.targets.single_label.labels import IntArray

GROUPS = 65
NUMBERED = 24  # more columns leave no room for numbers in the cells

ORDERS: dict[Order, str] = {"confusion": "Most confused together", "name": "By name", "size": "Largest first"}
UNITS = ("Images", "Share of the true class")


@dataclass(frozen=True)
class _Shown:
    """The settings of the controls."""

    order: Order
    share: bool
    extent: str
    around: str | None


def matrix_panel(subject: Subject, point: EvaluationPoint, evaluated: StepEvaluation, focus: Focus) -> None:
    """Draw the matrix with its controls; a click on a cell goes to its images."""
    shown = _controls(evaluated)
    order = client().evaluation.order(subject.run_id, point, shown.order)
    if shown.extent == "groups" and shown.around is None and "matrix-zoom" not in st.session_state:
        _grouped(evaluated, order)
    else:
        places = _places(evaluated, order, shown)
        _cells(evaluated, places, focus, share=shown.share)
    _downloads(subject, point)


def _controls(evaluated: StepEvaluation) -> _Shown:
    large = len(evaluated.classes) > LABELLED
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.selectbox("Order of classes", ORDERS, format_func=ORDERS.__getitem__, key="matrix-order", width=210)
        unit = st.segmented_control("Numbers", UNITS, default=UNITS[0], key="matrix-unit", required=True)
        extent, around = "all", None
        if large:
            extents = {"block": f"The {BLOCK} most confused", "groups": f"All {len(evaluated.classes)}, in groups"}
            extent = st.segmented_control(
                "Classes",
                list(extents),
                format_func=extents.__getitem__,
                default="block",
                key="matrix-extent",
                on_change=_leave_zoom,
                required=True,
            )
            around = st.selectbox(
                "Around one class",
                evaluated.classes,
                index=None,
                placeholder="any",
                key="matrix-around",
                on_change=_leave_zoom,
                width=260,
            )
    chosen: Order = order if order in get_args(Order) else "confusion"
    return _Shown(chosen, unit == UNITS[1], str(extent), around)


def _leave_zoom() -> None:
    st.session_state.pop("matrix-zoom", None)


def _places(evaluated: StepEvaluation, order: IntArray, shown: _Shown) -> IntArray:
    """Return which classes to draw, in order."""
    zoom: Sequence[str] = st.session_state.get("matrix-zoom") or ()
    if len(evaluated.classes) <= LABELLED:
        return order
    if zoom:
        st.button("Back to all classes", icon=":material/zoom_out:", on_click=_leave_zoom)
        wanted = {place for place, name in enumerate(evaluated.classes) if name in set(zoom)}
    elif shown.around is not None:
        wanted = set(rivals_of(evaluated.matrix, evaluated.classes.index(shown.around), BLOCK).tolist())
    else:
        wanted = set(most_confused_classes(evaluated.matrix, BLOCK).tolist())
    return np.array([place for place in order if int(place) in wanted], dtype=np.int64)


def _cells(evaluated: StepEvaluation, places: IntArray, focus: Focus, *, share: bool) -> None:
    table = cells_of(evaluated.matrix, evaluated.classes, places)
    table["chosen"] = [focus.cell == pair for pair in zip(table["true"], table["predicted"], strict=True)]
    names = [evaluated.classes[place] for place in places]
    chart = cells_chart(table, names, share=share)
    st.altair_chart(
        chart, theme=None, key="matrix-cells", on_select=_cell_clicked, selection_mode="cell", width="stretch"
    )
    elsewhere = int(evaluated.matrix[places].sum() - evaluated.matrix[np.ix_(places, places)].sum())
    if elsewhere:
        st.caption(f"{elsewhere:,} image(s) of these classes were predicted as classes that are not shown.")


def _cell_clicked() -> None:
    points = st.session_state["matrix-cells"].selection.get("cell") or []
    if points:
        focus_on(cell=(str(points[0]["true"]), str(points[0]["predicted"])))


def cells_chart(table: pd.DataFrame, names: list[str], *, share: bool) -> Any:
    """Draw cells of a confusion matrix as marks that can be selected (selection `cell`).

    Args:
        table: of :func:`workflows.evaluation.matrix_views.cells_of`, and `chosen`: which to frame.
        names: the classes in order.
        share: colour and number by the share of the true class instead of the images.
    """
    colour = colours()
    value, form = ("share", ".0%") if share else ("count", ",d")
    top = 1.0 if share else max(float(table["count"].max()), 1.0) if len(table) else 1.0
    cell = float(np.clip(480 / max(len(names), 1), 17, 80))
    size = 9 if cell < 20 else 11
    labels: dict[str, Any] = {
        "labelFontSize": size,
        "labelLimit": 170,
        "ticks": False,
        "domain": False,
        "labelOverlap": False,
    }
    x = alt.X(
        "predicted:N",
        sort=names,
        scale=alt.Scale(domain=names),
        title=COLUMNS,
        axis=alt.Axis(labelAngle=-90 if len(names) > 6 else 0, **labels),
    )
    y = alt.Y("true:N", sort=names, scale=alt.Scale(domain=names), title=ROWS, axis=alt.Axis(**labels))
    selected = alt.selection_point(name="cell", fields=["true", "predicted"], on="click", toggle=False)
    strength = strengths(table[value].to_numpy(), top)
    ground = np.where(
        table["right"].to_numpy()[:, None],
        blend(strength, colour.val, colour.paper),
        blend(strength, colour.bad, colour.paper),
    )
    table = table.assign(strength=strength, ink=[text_on(each) for each in ground])
    marks = (
        alt.Chart(table)
        .mark_rect(cursor="pointer", strokeWidth=2.5)
        .encode(
            x=x,
            y=y,
            color=alt.condition("datum.right", alt.value(colour.val), alt.value(colour.bad)),
            fillOpacity=alt.FillOpacity("strength:Q", scale=None),
            stroke=alt.condition("datum.chosen", alt.value(colour.ink), alt.value(None)),
            tooltip=[
                alt.Tooltip("true:N", title="true class"),
                alt.Tooltip("predicted:N", title="predicted class"),
                alt.Tooltip("count:Q", title="images", format=",d"),
                alt.Tooltip("share:Q", title="of the true class", format=".1%"),
            ],
        )
        .add_params(selected)
    )
    layers = [marks]
    if len(names) <= NUMBERED:
        text = alt.Chart(table).mark_text(fontSize=min(13, cell * 0.38), cursor="pointer", tooltip=None)
        ink = alt.Color("ink:N", scale=None)
        layers.append(text.encode(x=x, y=y, text=alt.Text(f"{value}:Q", format=form), color=ink))
    return styled(alt.layer(*layers).properties(height=cell * len(names), width="container"))


def _grouped(evaluated: StepEvaluation, order: IntArray) -> None:
    """Draw all classes in groups of neighbours."""
    groups = in_groups(order, GROUPS)
    images, wrong = grouped_counts(evaluated.matrix, groups)
    titles = [_group_title([evaluated.classes[place] for place in group]) for group in groups]
    rows, columns = np.nonzero(images)
    table = pd.DataFrame(
        {
            "row": rows,
            "column": columns,
            "true": [titles[row] for row in rows],
            "predicted": [titles[column] for column in columns],
            "images": images[rows, columns],
            "mistakes": wrong[rows, columns],
            "same": rows == columns,
        }
    )
    st.altair_chart(
        groups_chart(table, len(groups)),
        theme=None,
        key="matrix-groups",
        on_select=lambda: _open_group(evaluated.classes, groups),
        selection_mode="group",
        width="stretch",
    )
    per = max(len(group) for group in groups)
    st.caption(
        f"Each mark groups up to {per} neighbouring classes predicted as up to {per} others; "
        "its colour shows the number of mistakes. Click one to open it."
    )


def _open_group(classes: tuple[str, ...], groups: list[IntArray]) -> None:
    points = st.session_state["matrix-groups"].selection.get("group") or []
    if points:
        chosen = {int(points[0]["row"]), int(points[0]["column"])}
        st.session_state["matrix-zoom"] = [classes[place] for number in sorted(chosen) for place in groups[number]]


def _group_title(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def groups_chart(table: pd.DataFrame, groups: int) -> Any:
    """Draw a matrix of groups of classes; those without a mistake stay pale. Selection: `group`."""
    colour = colours()
    top = max(int(table["mistakes"].max()), 1) if len(table) else 1
    table = table.assign(strength=strengths(table["mistakes"].to_numpy(), top, faintest=0.25))
    scale = alt.Scale(domain=list(range(groups)), paddingInner=0.05)
    axis = alt.Axis(labels=False, ticks=False, domain=False)
    marks = (
        alt.Chart(table)
        .mark_rect(cursor="pointer")
        .encode(
            x=alt.X("column:O", scale=scale, axis=axis, title=COLUMNS),
            y=alt.Y("row:O", scale=scale, axis=axis, title=ROWS),
            color=alt.condition("datum.mistakes > 0", alt.value(colour.bad), alt.value(colour.val)),
            fillOpacity=alt.FillOpacity("strength:Q", scale=None),
            tooltip=[
                alt.Tooltip("true:N", title="true"),
                alt.Tooltip("predicted:N", title="predicted as"),
                alt.Tooltip("images:Q", format=",d"),
                alt.Tooltip("mistakes:Q", format=",d"),
            ],
        )
        .add_params(alt.selection_point(name="group", fields=["row", "column"], on="click", toggle=False))
    )
    return styled(marks.properties(height=620, width="container"))


def _downloads(subject: Subject, point: EvaluationPoint) -> None:
    evaluation, name = client().evaluation, f"{subject.run_id}-{point}"
    with st.container(horizontal=True):
        st.download_button(
            "Matrix as CSV",
            lambda: evaluation.matrix_csv(subject.run_id, point),
            f"confusion-{name}.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "Matrix as PNG",
            lambda: evaluation.matrix_png(subject.run_id, point),
            f"confusion-{name}.png",
            "image/png",
            icon=":material/image:",
            on_click="ignore",
        )


def focus_title(focus: Focus, images: int) -> None:
    """Say which images follow, with a button that closes them."""
    if focus.cell is not None:
        true, predicted = focus.cell
        words = f"**{plain(true)}** predicted as **{plain(predicted)}**"
        if true == predicted:
            words = f"**{plain(true)}** recognised"
    elif focus.label is not None:
        words = f"**{plain(focus.label)}**: its images, and those predicted as it"
    else:
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="left"):
        st.markdown(f"{words} — {images:,} image{'s' if images != 1 else ''}", width="content")
        st.button("Close", icon=":material/close:", key="focus-close", type="tertiary", on_click=focus_on)

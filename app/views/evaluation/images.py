"""Images with the model's predictions: filters, heat-maps beside them, and actions on one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.client import client
from app.client.evaluation import EvaluationPoint, Subject
from app.components.address import Focus
from app.components.gallery import BLANK, Tile, Tone, chosen_before, gallery, pager
from app.components.page import guarded, plain
from app.views.evaluation.image_detail import image_detail
from app.views.evaluation.relabelled import now_labelled
from workflows.evaluation.thresholds import ReviewThreshold
from workflows.words import signed

FILTERS = ("All", "Wrong", "Newly wrong", "Newly right", "To review")
CHANGED = {"Newly wrong": "newly wrong", "Newly right": "newly right"}
PER_PAGE = 12
POLL_SECONDS = 1.0


def of_focus(frame: pd.DataFrame, focus: Focus) -> pd.DataFrame:
    """Return the rows of a cell or a class."""
    if focus.cell is not None:
        return frame[(frame["label"] == focus.cell[0]) & (frame["predicted"] == focus.cell[1])]
    if focus.label is not None:
        return frame[(frame["label"] == focus.label) | (frame["predicted"] == focus.label)]
    return frame


def filtered(frame: pd.DataFrame, wanted: str, review: ReviewThreshold) -> pd.DataFrame:
    """Return the rows that one of :data:`FILTERS` selects, judged by the model's review threshold."""
    if wanted == "Wrong":
        return frame[~frame["correct"]]
    if wanted in CHANGED:
        return frame[frame["change"] == CHANGED[wanted]]
    if wanted == "To review":
        return frame[frame["confidence"].map(review.to_review).astype(bool)]
    return frame


def errors_first(frame: pd.DataFrame) -> pd.DataFrame:
    """Order rows: mistakes first, the most confident first."""
    return frame.sort_values(["correct", "confidence", "image_id"], ascending=[True, False, True])


def image_list(
    subject: Subject,
    point: EvaluationPoint,
    rows: pd.DataFrame,
    classes: Sequence[str],
    key: str,
    *,
    narrow: bool = False,
) -> None:
    """Show predictions as a gallery in pages, with heat-maps, and one of them in detail when chosen.

    Args:
        subject: the run.
        point: the evaluation.
        rows: in the order to show them.
        classes: what an image may be relabelled to.
        key: distinguishes several lists on one page.
        narrow: only half a page is free: the chosen image is shown below the others.
    """
    if rows.empty:
        st.info("No image matches these filters.", icon=":material/filter_alt_off:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        maps = st.toggle("Eigen-CAM beside each", value=True, key=f"{key}-maps") if subject.finals else False
        page = rows.iloc[pager(len(rows), PER_PAGE // 2 if narrow else PER_PAGE, f"{key}-page")]
    waiting = False
    if maps:
        with guarded():
            waiting = client().heatmaps.ask(subject.run_id, page["image_id"].tolist()).waiting > 0
    body = st.fragment(_gallery_and_detail, run_every=POLL_SECONDS if waiting else None)
    body(_List(subject, point, page, tuple(classes), key, maps, narrow), waiting)


@dataclass(frozen=True)
class _List:
    """One page of a list of images, as it is drawn."""

    subject: Subject
    point: EvaluationPoint
    page: pd.DataFrame
    classes: tuple[str, ...]
    key: str
    maps: bool
    narrow: bool


def _gallery_and_detail(shown: _List, waiting: bool) -> None:
    """Draw one page of a list; runs by itself while heat-maps are on their way."""
    subject, page, key, maps = shown.subject, shown.page, shown.key, shown.maps
    ids = page["image_id"].tolist()
    found = client().heatmaps.ask(subject.run_id, ids) if maps else None
    thumbs = client().evaluation.thumbnails(subject.run_id, ids)
    relabelled = now_labelled(subject)
    review = client().models.threshold(subject.run_id)
    pictures = found.pictures if found else {}
    coming = (
        BLANK if found and found.waiting else None
    )  # keeps the place of a map, so that none that arrives moves the page
    tiles = [
        tile_of(
            row,
            thumbs.get(row["image_id"]),
            pictures.get(row["image_id"], coming),
            relabelled.get(row["image_id"]),
            review,
        )
        for row in page.to_dict("records")
    ]
    now = next((image for image in chosen_before(f"{key}-gallery") if image in ids), None)
    if now is None or shown.narrow:
        left, right = st.container(), st.container()
    else:
        left, right = st.columns([3, 2], gap="medium")
    with left:
        columns = (4 if pictures or coming else 6) if now is None else (3 if pictures or coming else 4)
        columns = columns if not shown.narrow else 2 if pictures or coming else 3
        gallery(tiles, key=f"{key}-gallery", columns=columns)
        if found and found.waiting:
            st.caption(f"{found.waiting} heat-map{'s' if found.waiting > 1 else ''} being drawn …")
        elif found and found.trouble:
            st.caption(f"Some heat-maps are missing: {plain(found.trouble)}")
    if now is not None:
        row = page[page["image_id"] == now].iloc[0]
        with right, st.container(border=True), guarded():
            image_detail(subject, shown.point, row, shown.classes)
    if waiting and found is not None and not found.waiting:
        st.rerun()  # ends the polling; only now, as a button pressed in the detail would be forgotten before it was drawn


def tile_of(
    row: Mapping[Any, Any], image: Path | None, heatmap: bytes | None, relabelled: str | None, review: ReviewThreshold
) -> Tile:
    """Make the tile of one answer."""
    confidence, before = float(row["confidence"]), float(row.get("confidence_before", math.nan))
    right, change = bool(row["correct"]), str(row.get("change") or "")
    tone: Tone = "bad" if not right else "warn" if review.to_review(confidence) else "good"
    parts = [] if right else [f"true: {row['label']}"]
    if change:
        parts.append(f"{change}, was {row['predicted_before']}" if change != "newly wrong" else change)
    elif not math.isnan(before):
        points = signed(100 * (confidence - before), 0)
        parts.append(f"{points} points" if points != "0" else "confidence unchanged")
    if relabelled is not None:
        parts.insert(0, f"now labelled {relabelled}")
    return Tile(
        key=str(row["image_id"]),
        image=image,
        caption=f"{100 * confidence:.0f} % {row['predicted']}",
        detail=" · ".join(parts),
        tone=tone,
        second_image=heatmap,
    )

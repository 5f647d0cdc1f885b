"""The photos of a data set: filtered, in pages, to look at and to change many at once."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.client import client
from app.client.datasets import SPLITS, DatasetVersion, Query
from app.client.images import NO_SPLIT
from app.components.address import bind, change_address
from app.components.gallery import Tile, gallery, pager
from app.views.data.actions import GALLERY, action_bar, choose, chosen_among
from app.views.data.jobs import HERE_ALREADY, brought_again
from app.views.data.photo import photo_detail, several

PER_PAGE = 48
COLUMNS = 5
SHOWS = {"all": "All photos", "unlabelled": "Without a label", "waiting": "Without a split", "review": "Review list"}


def browse(version: DatasetVersion) -> None:
    """Draw filters, one page of photos, and what can be done with those that are chosen."""
    query, show = _filters(version)
    rows = client().datasets.find(version, query)
    if rows.empty:
        st.info("No photo matches these filters.", icon=":material/filter_alt_off:")
        return
    _page(version, rows, show)


def _filters(version: DatasetVersion) -> tuple[Query, str]:
    """Let photos be filtered; the address holds the filters, too."""
    images = client().datasets.images(version)
    counts = images.counts["all"]
    classes = ["", *counts.index]
    report = client().datasets.audit(version.name)
    findings = {found.key: found.title for found in report.findings if found.image_ids} if report else {}
    again = brought_again(version.name)
    shows = {
        **SHOWS,
        **({HERE_ALREADY: "Here already at the last import"} if again else {}),
        **{key: f"Finding: {title}" for key, title in findings.items()},
    }
    one, two, three, four = st.columns([3, 2, 4, 3], vertical_alignment="bottom")
    label = one.selectbox(
        "Class",
        classes,
        format_func=lambda name: f"{name} ({counts[name]:,})" if name else "All classes",
        on_change=bind("class", classes, "", "browse-class"),
        key="browse-class",
    )
    splits = ["", *SPLITS, NO_SPLIT]
    split = two.selectbox(
        "Split",
        splits,
        format_func=lambda name: {"": "All splits", NO_SPLIT: "no split yet"}.get(name, name),
        on_change=bind("split", splits, "", "browse-split"),
        key="browse-split",
    )
    show = three.selectbox(
        "Show",
        list(shows),
        format_func=lambda key: plain_title(shows[key]),
        on_change=bind("finding", list(shows), "all", "browse-show"),
        key="browse-show",
    )
    text = four.text_input(
        "Search", value=st.query_params.get("search", ""), placeholder="part of a name", key="browse-text"
    )
    change_address({"search": text.strip() or None})
    among = again if show == HERE_ALREADY else client().datasets.among(version, show)
    return Query(label=label, split=split, text=text.strip(), among=among), show


def plain_title(text: str) -> str:
    """Return a title on one line; widgets show it as text."""
    return " ".join(text.split())


@st.fragment
def _page(version: DatasetVersion, rows: pd.DataFrame, show: str) -> None:
    """Draw one page; choosing photos draws only this part again."""
    _open_wanted(rows)
    part = rows.iloc[pager(len(rows), PER_PAGE, "browse-page")]
    bar = st.container(key="browse-bar")
    notes = client().datasets.reviews(version.name)
    chosen = chosen_among(part.index)
    left, right = st.columns([2, 1], gap="medium")  # also while nothing is chosen, so that choosing moves no photo
    with left:
        gallery(_tiles(version, part, notes), key=GALLERY, columns=COLUMNS, select="many")
    _note_image(chosen)
    with bar:
        action_bar(version, rows, part.index.tolist(), chosen, show)
    with right, st.container(border=True, key="browse-look"):
        if not chosen:
            st.caption("Choose a photo to look at it closely, or several to change them together.")
        elif len(chosen) == 1:
            photo_detail(version, chosen[0], rows.loc[[chosen[0]]].iloc[0], notes.get(chosen[0]))
        else:
            several(rows.loc[chosen])


def _open_wanted(rows: pd.DataFrame) -> None:
    """Turn to the page with the photo that the address names, once."""
    wanted = st.query_params.get("image")
    if wanted is None or st.session_state.get("browse-opened") == wanted:
        return
    st.session_state["browse-opened"] = wanted
    if wanted in rows.index:
        place = rows.index.get_loc(wanted)
        st.session_state["browse-page"] = int(place) // PER_PAGE + 1 if isinstance(place, int) else 1
        choose([wanted])


def _note_image(chosen: Sequence[str]) -> None:
    change_address({"image": chosen[0] if len(chosen) == 1 else None})
    if len(chosen) == 1:
        st.session_state["browse-opened"] = chosen[0]


def _tiles(version: DatasetVersion, part: pd.DataFrame, notes: dict[str, str]) -> list[Tile]:
    thumbs = client().datasets.thumbnails(version, part["sha256"])
    tiles = []
    for image, row in part.iterrows():
        labelled = isinstance(row["label"], str)
        detail = row["split"] if isinstance(row["split"], str) else "no split" if labelled else ""
        on_list = str(image) in notes
        tiles.append(
            Tile(
                key=str(image),
                image=thumbs.get(row["sha256"]),
                caption=row["label"] if labelled else "no label",
                detail=" · ".join(filter(None, [detail, "on the review list" if on_list else "", _name(row["path"])])),
                tone="warn" if on_list else "",
            )
        )
    return tiles


def _name(path: str) -> str:
    return path.rpartition("/")[2]

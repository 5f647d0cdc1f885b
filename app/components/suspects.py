"""Labels that the training speaks against: to be looked at, and mended where they are wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.client import client
from app.client.evaluation import Subject, csv_of
from app.components.gallery import Tile, Tone, clear_selection, gallery, pager
from app.components.page import empty_state, guarded, plain

PER_PAGE = 18
KEY = "suspects"


def suspects_panel(subject: Subject, classes: Sequence[str]) -> None:
    """Show images whose label is suspected, with bulk actions."""
    table = client().evaluation.suspects(subject.run_id)
    if table.empty:
        empty_state("No label is suspected." if subject.finals else "Labels are judged when the training has ended.")
        return
    st.caption(
        "Training images that kept losing against another class, and held-out images where the model is sure of another "
        "one. A very unusual picture looks the same: look before you change anything."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.selectbox("Label", sorted(set(table["label"])), index=None, placeholder="any", key="suspects-label")
        split = st.selectbox("Split", sorted(set(table["split"])), index=None, placeholder="any", key="suspects-split")
        name = f"suspected-labels-{subject.run_id}.csv"
        st.download_button(
            "CSV", lambda: csv_of(table), name, "text/csv", icon=":material/download:", on_click="ignore"
        )
    for column, wanted in (("label", label), ("split", split)):
        table = table if wanted is None else table[table[column] == wanted]
    page = table.iloc[pager(len(table), PER_PAGE, "suspects-page")]
    thumbs = client().evaluation.thumbnails(subject.run_id, page["image_id"])
    moved = st.session_state.setdefault("relabelled", {})
    tiles = []
    for row in page.to_dict("records"):
        now = moved.get((subject.dataset, row["image_id"]))
        caption = f"{row['suggested'] or 'another class'}?" if now is None else f"now labelled {now}"
        detail = f"labelled {row['label']} · {row['split']} · {row['why']}"
        tone: Tone = "warn" if now is None else "good"
        tiles.append(Tile(row["image_id"], thumbs.get(row["image_id"]), caption, detail, tone))
    chosen = gallery(tiles, key=KEY, columns=6, select="many")
    _actions(subject, page.set_index("image_id").loc[chosen])


def _actions(subject: Subject, chosen: pd.DataFrame) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{len(chosen)} chosen" if len(chosen) else "Choose images to act on.", width="content")
        known = chosen[chosen["suggested"] != ""]
        relabel = st.button(
            "Relabel as suggested",
            icon=":material/label:",
            disabled=known.empty,
            key="suspects-relabel",
            type="primary",
        )
        review = st.button(
            "Add to review list", icon=":material/playlist_add:", disabled=chosen.empty, key="suspects-review"
        )
    with guarded():
        if relabel:
            labels = {str(image): str(name) for image, name in known["suggested"].items()}
            version = client().datasets.relabel(
                subject.dataset, labels, reason=f"suspected in the evaluation of {subject.run_id}"
            )
            moved = st.session_state.setdefault("relabelled", {})
            moved.update({(subject.dataset, image): name for image, name in labels.items()})
            clear_selection(KEY)
            st.toast(f"{plain(version.name)} v{version.number}: {len(labels)} relabelled.", icon=":material/check:")
            st.rerun()
        if review:
            notes = "label suspected"
            client().datasets.add_to_review(subject.dataset, [str(image) for image in chosen.index], notes)
            clear_selection(KEY)
            st.toast(f"{len(chosen)} on the review list.", icon=":material/playlist_add_check:")
            st.rerun()

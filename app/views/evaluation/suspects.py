"""Labels that training contradicts, to be reviewed and corrected where they are wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.client import client
from app.client.evaluation import Subject, csv_of
from app.components.gallery import Tile, Tone, clear_selection, gallery, pager
from app.components.page import empty_state, go, guarded, plain
from app.views.evaluation.relabelled import now_labelled
from workflows.data.label_checks import OPEN
from workflows.data.version import HELD_OUT
from workflows.errors import DatasetError, StorageError

PER_PAGE = 18
KEY = "suspects"
CHOSEN_PIXELS = 170
"""So that the buttons beside the words stay where they are."""


def suspects_panel(subject: Subject, classes: Sequence[str]) -> None:
    """Show images whose label is suspected, with bulk actions."""
    _offer_check(subject)
    table = standing_suspects(subject)
    relabelled = now_labelled(subject)
    table = table[(table["state"] == OPEN) | table["image_id"].isin(list(relabelled))]
    if table.empty:
        empty_state("No label is suspected." if subject.finals else "Labels are checked when the training has ended.")
        return
    st.caption(
        "Training images that the model persistently assigned to another class, and held-out images where it is sure of "
        "another one. Unusual images with correct labels are listed, too: check before you change anything."
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
    tiles = []
    for row in page.to_dict("records"):
        now = relabelled.get(row["image_id"])
        caption = f"{row['suggested'] or 'another class'}?" if now is None else f"now labelled {now}"
        detail = f"labelled {row['label']} · {row['split']} · {row['why']}"
        tone: Tone = "warn" if now is None else "good"
        tiles.append(Tile(row["image_id"], thumbs.get(row["image_id"]), caption, detail, tone))
    chosen = gallery(tiles, key=KEY, columns=6, select="many")
    _actions(subject, page.set_index("image_id").loc[chosen])


def standing_suspects(subject: Subject) -> pd.DataFrame:
    """Return the suspected labels of a run with a column `state`: what has become of each in its data set since."""
    table = client().evaluation.suspects(subject.run_id)
    try:
        labels = client().datasets.images(client().datasets.version(subject.dataset)).table["label"]
    except (DatasetError, StorageError):  # the data set is gone: nothing can have become of them
        return table.assign(state=OPEN)
    return client().label_checks.standing(table, subject.dataset, labels)


def _offer_check(subject: Subject) -> None:
    """Lead to the check that does not depend on a training."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(
            "A network can memorise a wrong label of a training image, and then this list misses it. The label check "
            "judges every label of the data set by classifiers that never saw it.",
            width="stretch",
        )
        known = subject.dataset in client().datasets.names()
        if st.button("Label check", key="suspects-check", icon=":material/rule:", disabled=not known):
            go("data", dataset=subject.dataset, view="labels")


def _actions(subject: Subject, chosen: pd.DataFrame) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{len(chosen)} chosen" if len(chosen) else "Choose images to act on.", width=CHOSEN_PIXELS)
        known = chosen[chosen["suggested"] != ""]
        relabel = st.button(
            "Relabel as suggested",
            icon=":material/label:",
            disabled=known.empty,
            key="suspects-relabel",
            type="primary",
        )
        keep = st.button(
            "Keep the label",
            icon=":material/check:",
            disabled=chosen.empty,
            key="suspects-keep",
            help="The label is right: this image is not suspected again for it.",
        )
        review = st.button(
            "Add to review list", icon=":material/playlist_add:", disabled=chosen.empty, key="suspects-review"
        )
    if len(known) and known["split"].isin(HELD_OUT).any():
        st.caption(
            ":material/warning: Some of these are validation or test images, which judge the models. Suggestions come from "
            "the model itself: accept them only where the photo shows it, or the score gets better, not the model."
        )
    with guarded():
        if relabel:
            labels = {str(image): str(name) for image, name in known["suggested"].items()}
            version = client().datasets.relabel(
                subject.dataset, labels, reason=f"suspected in the evaluation of {subject.run_id}"
            )
            clear_selection(KEY)
            st.toast(f"{plain(version.name)} v{version.number}: {len(labels)} relabelled.", icon=":material/check:")
            st.rerun()
        if keep:
            client().label_checks.confirm(
                subject.dataset, {str(image): label for image, label in chosen["label"].items()}
            )
            clear_selection(KEY)
            st.toast(f"{len(chosen)} confirmed.", icon=":material/check:")
            st.rerun()
        if review:
            notes = "label suspected"
            client().datasets.add_to_review(subject.dataset, [str(image) for image in chosen.index], notes)
            clear_selection(KEY)
            st.toast(f"{len(chosen)} on the review list.", icon=":material/playlist_add_check:")
            st.rerun()

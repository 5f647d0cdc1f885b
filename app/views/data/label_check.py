"""Labels that are probably wrong, judged by classifiers that never saw them: shown as images, to relabel or to confirm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from app.client import client
from app.client.datasets import DatasetVersion
from app.client.evaluation import csv_of
from app.client.label_checks import KIND
from app.components.gallery import Tile, Tone, clear_selection, gallery, pager
from app.components.page import count, duration, guarded, percent, plain
from app.views.data.actions import report_done
from workflows.data.label_checks import CHANGED, CHECK_FILE, CONFIRMED, OPEN, Estimate, StoredCheck
from workflows.targets.single_label.suspects import limits, summary

PER_PAGE = 24
KEY = "label-check"
SHOWS = {
    "suspected": "Suspected",
    "less": "Less likely than another class",
    CONFIRMED: "Confirmed",
    CHANGED: "Relabelled",
}


def label_check_panel(version: DatasetVersion) -> None:
    """Draw the newest check of a data set's labels, and the way to a new one."""
    found = client().label_checks.newest(version.name)
    _head(version, found)
    if found is None:
        st.caption(
            "The check asks of every image which class it would get if its label were not known: classifiers on features "
            "of a pretrained network, each fitted without the image that it judges. No training run is needed, and a "
            "label that a network has memorised is found, too. It changes nothing."
        )
        return
    for line in limits(found.check, full=f"{CHECK_FILE} in the version's folder"):
        st.caption(f":material/visibility_off: {plain(line)}")
    if found.check.blind:
        return
    labels = client().datasets.images(version).table["label"]
    table = client().label_checks.standing(found.check.table, version.name, labels)
    rows = _filtered(version.name, table)
    if rows.empty:
        st.info("No image matches these filters.", icon=":material/filter_alt_off:")
        return
    _page(version, rows)


def _head(version: DatasetVersion, found: StoredCheck | None) -> None:
    outdated = found is None or found.version != version.number
    running = any(job.running for job in client().jobs.of(version.name, "import", KIND))
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(_summary(version, found))
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.caption(_cost(client().label_checks.estimate(version)), width="content")
            with st.popover("Weights", icon=":material/tune:"):
                weights = st.text_input(
                    "Pretrained weights of YOLOv8n-cls",
                    "auto",
                    key="label-check-weights",
                    help="auto, or the path of a .safetensors file on the studio's machine. They give the features.",
                )
            if st.button(
                "Check labels" if found is None else "Check again",
                key="label-check-run",
                icon=":material/rule:",
                type="primary" if outdated else "secondary",
                disabled=running,
            ):
                client().label_checks.start(version.name, weights.strip() or "auto")
                st.rerun()


def _summary(version: DatasetVersion, found: StoredCheck | None) -> str:
    if found is None:
        return "**Labels not checked yet**"
    words = " ".join(map(plain, summary(found.check)))
    agreed = f"{percent(found.check.accuracy)} balanced agreement with the labels, weights: {plain(found.weights)}"
    if found.version != version.number:
        return f"**{words}** Version {found.version}; the data set is at version {version.number} now ({agreed})"
    return f"**{words}** ({agreed})"


def _cost(cost: Estimate) -> str:
    if cost.seconds is None:
        return f"{count(cost.images)} labels; the first check here measures how long one takes"
    return f"{count(cost.images)} labels, {count(cost.new)} images without features: about {duration(cost.seconds)}"


def _filtered(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Let the doubts be filtered."""
    counts = {
        "suspected": (table["state"] == OPEN) & table["suspected"],
        "less": (table["state"] == OPEN) & ~table["suspected"],
        CONFIRMED: table["state"] == CONFIRMED,
        CHANGED: table["state"] == CHANGED,
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        show = st.selectbox(
            "Show",
            list(SHOWS),
            format_func=lambda key: f"{SHOWS[key]} ({count(int(counts[key].sum()))})",
            key="label-check-show",
        )
        table = table[counts[show]]
        for column, title in (("label", "Label"), ("suggested", "Suggested"), ("split", "Split")):
            options = sorted(set(table[column].dropna()))
            wanted = st.selectbox(title, options, index=None, placeholder="any", key=f"label-check-{column}")
            table = table if wanted is None else table[table[column] == wanted]
        st.download_button(
            "CSV",
            lambda: csv_of(table),
            f"label-check-{name}.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    return table.set_index("image_id")


@st.fragment
def _page(version: DatasetVersion, rows: pd.DataFrame) -> None:
    """Draw one page of images with the actions on them; choosing draws only this part again."""
    page = rows.iloc[pager(len(rows), PER_PAGE, "label-check-page")]
    bar = st.container(horizontal=True, vertical_alignment="center")
    contents = client().datasets.images(version).table["sha256"].reindex(page.index)
    thumbs = client().datasets.thumbnails(version, contents)
    tiles = [
        _tile(str(image), row, thumbs.get(sha256))
        for (image, row), sha256 in zip(page.iterrows(), contents, strict=True)
    ]
    chosen = gallery(tiles, key=KEY, columns=8, select="many")
    with bar:
        _actions(version, rows, chosen)


def _tile(image_id: str, row: pd.Series, thumbnail: Path | None) -> Tile:
    state, name = row["state"], str(row["path"]).rpartition("/")[2]
    captions = {
        OPEN: f"{row['label']} → {row['suggested']}?",
        CONFIRMED: f"{row['label']}, confirmed",
        CHANGED: f"was {row['label']}",
    }
    split = row["split"] if isinstance(row["split"], str) else "no split"
    tone: Tone = "good" if state != OPEN else "warn" if row["suspected"] else ""
    return Tile(image_id, thumbnail, captions[state], f"score {row['score']:.2f} · {split} · {name}", tone)


def _actions(version: DatasetVersion, rows: pd.DataFrame, chosen: Sequence[str]) -> None:
    """Draw what can be done with the chosen images, or with all that were found."""
    everything = st.checkbox(f"All {count(len(rows))}", key="label-check-all")
    wanted = rows if everything else rows.loc[list(chosen)]
    if wanted.empty:
        st.caption("Choose images to act on.", width="content")
        return
    st.markdown(f"**{count(len(wanted))} chosen**", width="content")
    state = wanted["state"].iloc[0]
    if state == OPEN:
        _decide(version, wanted)
    elif state == CONFIRMED and st.button("Suspect again", key="label-check-reopen", icon=":material/undo:"):
        with guarded():
            client().label_checks.reopen(version.name, wanted.index)
            _done(f"{_labels(wanted)} suspected again.")
    if state != CHANGED and st.button("Add to review list", key="label-check-review", icon=":material/playlist_add:"):
        with guarded():
            client().datasets.add_to_review(version.name, wanted.index, "label suspected")
            _done(f"{_labels(wanted)} on the review list.")


def _decide(version: DatasetVersion, wanted: pd.DataFrame) -> None:
    if st.button("Relabel as suggested", key="label-check-relabel", icon=":material/label:", type="primary"):
        with guarded():
            labels = {str(image): str(label) for image, label in wanted["suggested"].items()}
            made = client().datasets.relabel(version.name, labels, reason="suspected by the label check")
            _done(f"Version {made.number}: {made.reason}.")
    if st.button(
        "Keep the label",
        key="label-check-keep",
        icon=":material/check:",
        help="The label is right: this image is not suspected again for it.",
    ):
        with guarded():
            labels = {str(image): str(label) for image, label in wanted["label"].items()}
            client().label_checks.confirm(version.name, labels)
            _done(f"{_labels(wanted)} confirmed.")


def _labels(rows: pd.DataFrame) -> str:
    return f"{count(len(rows))} label{'s' if len(rows) != 1 else ''}"


def _done(text: str) -> None:
    """Show the page anew with nothing chosen, and what was done."""
    clear_selection(KEY)
    st.session_state.pop("label-check-all", None)
    report_done(text)

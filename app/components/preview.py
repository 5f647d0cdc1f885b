"""The advanced evaluation preview: the same validation images at every step, and what changed."""

from __future__ import annotations

import streamlit as st

from app.client.evaluation import Moment, Subject
from app.client.judged import Judged
from app.components.address import bind
from app.components.images import FILTERS, errors_first, filtered, image_list


def preview_panel(subject: Subject, moment: Moment, judged: Judged) -> None:
    """Show images with truth, prediction, confidence and change, by filters."""
    frame = judged.frame
    sample = set(subject.preview) if moment != "test" else set()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        everything = not sample
        if sample:
            scopes = {"sample": f"Fixed sample ({len(sample)})", "all": f"All images ({len(frame):,})"}
            note = bind("of", list(scopes), "sample", "preview-of")
            everything = (
                st.segmented_control(
                    "Of", list(scopes), format_func=scopes.__getitem__, key="preview-of", on_change=note, required=True
                )
                == "all"
            )
        shown = [name for name in FILTERS if judged.compared_with is not None or "ewly" not in name]
        note = bind("show", shown, "All", "preview-show")
        wanted = st.segmented_control("Show", shown, key="preview-show", on_change=note, required=True)
        label = st.selectbox(
            "True class", judged.classes, index=None, placeholder="any", key="preview-class", width=220
        )
        low = 0.5
        if wanted == "Low confidence":
            low = st.slider("Confidence below", 5, 100, 50, step=5, format="%d %%", key="preview-low", width=200) / 100
    if not everything:
        frame = frame.set_index("image_id").reindex(list(subject.preview)).dropna(subset="label")
        frame = frame.reset_index()
        frame["correct"] = frame["correct"].astype(bool)
    rows = filtered(frame, str(wanted), low)
    if label is not None:
        rows = rows[rows["label"] == label]
    if everything:
        rows = errors_first(rows)
    _summary(judged, len(rows))
    image_list(subject, moment, rows, judged.classes, key="preview")


def _summary(judged: Judged, shown: int) -> None:
    if judged.compared_with is None:
        st.caption(f"{shown:,} images.")
        return
    counts = judged.frame["change"].value_counts()
    gained, lost = int(counts.get("newly right", 0)), int(counts.get("newly wrong", 0))
    st.caption(
        f"{shown:,} images. Since step {judged.compared_with}, of all {len(judged.frame):,}: "
        f"{gained:,} newly right, {lost:,} newly wrong."
    )

"""The advanced evaluation preview: the same validation images after every epoch, and what changed."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.client.evaluation import EvaluationPoint, Subject
from app.client.step_evaluation import StepEvaluation
from app.components.address import bind
from app.components.page import plain
from app.views.evaluation.images import FILTERS, errors_first, filtered, image_list
from app.words import threshold_words

FIRST = "Wrong"
SAMPLE = "The same validation images after every epoch, taken from the classes in turn when the training began."


def preview_panel(subject: Subject, point: EvaluationPoint, evaluated: StepEvaluation) -> None:
    """Show images with truth, prediction, confidence and change, by filters: at first all mistakes."""
    frame = evaluated.frame
    sample = set(subject.preview) if point != "test" else set()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        everything = True
        if sample:
            scopes = {"all": f"All images ({len(frame):,})", "sample": f"Fixed sample ({len(sample)})"}
            note = bind("of", list(scopes), "all", "preview-of")
            chosen = st.segmented_control(
                "Of",
                list(scopes),
                format_func=scopes.__getitem__,
                key="preview-of",
                on_change=note,
                required=True,
                help=f"{SAMPLE} Step through the epochs to watch how their predictions change.",
            )
            everything = chosen == "all"
        shown = [name for name in FILTERS if evaluated.compared_with is not None or "ewly" not in name]
        note = bind("show", shown, FIRST, "preview-show")
        wanted = st.segmented_control("Show", shown, key="preview-show", on_change=note, required=True)
        label = st.selectbox(
            "True class", evaluated.classes, index=None, placeholder="any", key="preview-class", width=220
        )
    review = client().models.threshold(subject.run_id)
    if wanted == "To review":
        st.caption(plain(threshold_words(review)))
    if not everything:
        frame = frame.set_index("image_id").reindex(list(subject.preview)).dropna(subset="label")
        frame = frame.reset_index()
        frame["correct"] = frame["correct"].astype(bool)
    rows = filtered(frame, str(wanted), review)
    if label is not None:
        rows = rows[rows["label"] == label]
    if everything:
        rows = errors_first(rows)
    else:
        st.caption(SAMPLE)
    if rows.empty and wanted == FIRST and label is None:
        st.success("No mistakes here.", icon=":material/check:")
        return
    _summary(evaluated, len(rows), mistakes=wanted == FIRST)
    image_list(subject, point, rows, evaluated.classes, key="preview")


def _summary(evaluated: StepEvaluation, shown: int, *, mistakes: bool) -> None:
    words = f"{shown:,} images."
    if mistakes:
        words = f"{shown:,} mistake{'s' if shown != 1 else ''}, the most confident first."
    if evaluated.compared_with is not None:
        counts = evaluated.frame["change"].value_counts()
        gained, lost = int(counts.get("newly right", 0)), int(counts.get("newly wrong", 0))
        words += (
            f" Since epoch {evaluated.compared_with}, of all {len(evaluated.frame):,}: "
            f"{gained:,} newly right, {lost:,} newly wrong."
        )
    st.caption(words)

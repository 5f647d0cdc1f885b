"""Evaluation: what a run answered at every step, and why."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.client.evaluation import Moment, Subject, describe
from app.client.judged import Judged
from app.components.address import Focus, pick_view, read_focus
from app.components.class_table import class_table, pairs_table
from app.components.confidence import confidence_panel
from app.components.confusion import focus_title, matrix_panel
from app.components.images import errors_first, image_list, of_focus
from app.components.moments import pick_moment, show_metrics, show_steps
from app.components.page import Action, empty_state, guarded, header, pick_run
from app.components.preview import preview_panel
from app.components.suspects import suspects_panel

VIEWS = {
    "images": "Images",
    "matrix": "Confusion matrix",
    "classes": "Classes",
    "confidence": "Confidence",
    "labels": "Suspected labels",
}


def main() -> None:
    """Draw the page."""
    header("Evaluation", "What the model answered at each step, which classes it confuses, and why.")
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        run = pick_run("evaluation")
    if run is None:
        return
    with guarded():
        subject = client().evaluation.subject(run)
        moment = pick_moment(subject, right)
        if moment is None:
            action = Action("Watch the run", page="run", icon="show_chart")
            empty_state(f"This run is {subject.state} and has no evaluation step yet.", action)
            return
        judged = client().evaluation.judged(run, moment)
        if judged.frame.empty:
            empty_state("No image was answered here.")
            return
        before = judged.compared_with
        numbers, curves = st.columns([5, 7], gap="medium", vertical_alignment="center")
        with numbers:
            show_metrics(judged, client().evaluation.judged(run, before) if before is not None else None)
        with curves:
            show_steps(subject, moment)
        _view(subject, moment, judged)


def _view(subject: Subject, moment: Moment, judged: Judged) -> None:
    focus = read_focus(judged.classes)
    opened = "matrix" if focus.cell else "classes" if focus.label else "images"
    view = pick_view(VIEWS, opened, "evaluation-view")
    if view == "images":
        preview_panel(subject, moment, judged)
    elif view == "confidence":
        confidence_panel(judged)
    elif view == "labels":
        suspects_panel(subject, judged.classes)
    else:
        _classes(subject, moment, judged, focus, view)


def _classes(subject: Subject, moment: Moment, judged: Judged, focus: Focus, view: str) -> None:
    """Draw the matrix with the pairs, or the table of classes; then the images of what was clicked."""
    name = f"{subject.run_id}-{moment}"
    if view == "matrix":
        left, right = st.columns(2 if focus.cell else [3, 2], gap="medium")
        with left:
            matrix_panel(subject, moment, judged, focus)
        with right:
            if focus.cell:  # beside the cell that was clicked, so that nobody has to look for them
                _images(subject, moment, judged, focus)
            st.markdown("**Most confused pairs**")
            pairs_table(judged.pairs, name)
    else:
        class_table(judged.per_class, name)
    if focus == Focus():
        st.caption(f"Click a cell, a pair or a class to see its images ({describe(moment)}).")
    elif view != "matrix" or not focus.cell:
        _images(subject, moment, judged, focus)


def _images(subject: Subject, moment: Moment, judged: Judged, focus: Focus) -> None:
    rows = errors_first(of_focus(judged.frame, focus))
    focus_title(focus, len(rows))
    image_list(subject, moment, rows, judged.classes, key="focus", narrow=focus.cell is not None)


main()

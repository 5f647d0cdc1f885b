"""Evaluation: a run's predictions after every epoch, and why."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.client.evaluation import EvaluationPoint, Subject, describe
from app.client.step_evaluation import StepEvaluation
from app.components.address import Focus, pick_view, read_focus
from app.components.class_table import class_table, pairs_table
from app.components.next_steps import Lead, next_steps
from app.components.page import Action, empty_state, guarded, header, pick_run
from app.views.evaluation.confidence import confidence_panel
from app.views.evaluation.confusion import focus_title, matrix_panel
from app.views.evaluation.evaluation_choice import pick_evaluation, say_which, show_metrics, show_steps
from app.views.evaluation.images import errors_first, image_list, of_focus
from app.views.evaluation.preview import preview_panel
from app.views.evaluation.relabelled import now_labelled, relabelled_bar, train_again
from app.views.evaluation.suspects import standing_suspects, suspects_panel
from workflows.data.label_checks import OPEN

VIEWS = {
    "images": "Images",
    "matrix": "Confusion matrix",
    "classes": "Classes",
    "confidence": "Confidence",
    "labels": "Suspected labels",
}


def main() -> None:
    """Draw the page."""
    header("Evaluation", "Predictions after each epoch: which classes are confused, on which images, and why.")
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        run = pick_run("evaluation")
    if run is None:
        return
    with guarded():
        subject = client().evaluation.subject(run)
        point = pick_evaluation(subject, right)
        if point is None:
            action = Action("Watch the run", page="run", icon="show_chart")
            empty_state(f"This run is {subject.state.words} and has not evaluated an epoch yet.", action)
            return
        evaluated = client().evaluation.evaluated(run, point)
        if evaluated.frame.empty:
            empty_state("No image was evaluated here.")
            return
        say_which(subject, point)
        numbers, curves = st.columns([5, 7], gap="medium", vertical_alignment="center")
        with numbers:
            show_metrics(subject, point, evaluated)
        with curves:
            show_steps(subject, point)
        _view(subject, point, evaluated)
        if subject.finals:
            relabelled_bar(subject)
            _next(subject)


def _next(subject: Subject) -> None:
    """Lead on: labels that are probably wrong first, then the models, then another training."""
    run, suspected = subject.run_id, int((standing_suspects(subject)["state"] == OPEN).sum())
    leads = []
    if suspected and st.query_params.get("view") != "labels":
        query = {"run": run, "view": "labels"}
        labels = "a suspected label" if suspected == 1 else f"{suspected:,} suspected labels"
        leads.append(Lead(f"Check {labels}", "evaluation", "label", query))
    if not client().models.of_run(run):
        leads.append(Lead("Register it as a model", "models", "inventory_2", {"run": run}))
    again = train_again(subject)
    next_steps([again, *leads] if now_labelled(subject) else [*leads, again], "evaluation")


def _view(subject: Subject, point: EvaluationPoint, evaluated: StepEvaluation) -> None:
    focus = read_focus(evaluated.classes)
    opened = "matrix" if focus.cell else "classes" if focus.label else "images"
    view = pick_view(VIEWS, opened, "evaluation-view")
    if view == "images":
        preview_panel(subject, point, evaluated)
    elif view == "confidence":
        confidence_panel(subject, point, evaluated)
    elif view == "labels":
        suspects_panel(subject, evaluated.classes)
    else:
        _classes(subject, point, evaluated, focus, view)


def _classes(subject: Subject, point: EvaluationPoint, evaluated: StepEvaluation, focus: Focus, view: str) -> None:
    """Draw the matrix with the pairs, or the table of classes; then the images of what was clicked."""
    name = f"{subject.run_id}-{point}"
    if view == "matrix":
        left, right = st.columns(2 if focus.cell else [3, 2], gap="medium")
        with left:
            matrix_panel(subject, point, evaluated, focus)
        with right:
            if focus.cell:  # beside the clicked cell, where they are easy to find
                _images(subject, point, evaluated, focus)
            st.markdown("**Most confused pairs**")
            pairs_table(evaluated.pairs, name)
    else:
        class_table(evaluated.per_class, name)
    if focus == Focus():
        st.caption(f"Click a cell, a pair or a class to see its images ({describe(point)}).")
    elif view != "matrix" or not focus.cell:
        _images(subject, point, evaluated, focus)


def _images(subject: Subject, point: EvaluationPoint, evaluated: StepEvaluation, focus: Focus) -> None:
    rows = errors_first(of_focus(evaluated.frame, focus))
    focus_title(focus, len(rows))
    image_list(subject, point, rows, evaluated.classes, key="focus", narrow=focus.cell is not None)


main()

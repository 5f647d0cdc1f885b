"""Forms for a new schedule and for a folder to watch."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.components.page import guarded

KINDS = {"cron": "At times", "every": "At an interval", "images": "As photos arrive"}
UNITS = {"minutes": 60, "hours": 3600, "days": 86_400}
OVERLAPS = {"skip": "Skip it", "queue": "Let it wait"}
MISSED = {"run-once": "Make up for it once", "skip": "Skip it"}
STARTS = {"pretrained": "Pretrained weights", "champion": "The champion's weights", "both": "Both; the better stands"}


def schedule_form(models: list[str]) -> None:
    """Draw the form for a new schedule."""
    left, right = st.columns(2)
    model = left.selectbox("Model", models, key="new-model")
    kind = right.segmented_control(
        "Retrain it", list(KINDS), format_func=KINDS.__getitem__, default="cron", key="new-kind", required=True
    )
    times = _times(str(kind))
    with st.expander("What else"):
        first, second, third = st.columns(3)
        overlap = first.selectbox(
            "While a retraining is under way", list(OVERLAPS), format_func=OVERLAPS.__getitem__, key="new-overlap"
        )
        missed = second.selectbox(
            "What fell into a time when the studio was off",
            list(MISSED),
            format_func=MISSED.__getitem__,
            key="new-missed",
        )
        start = third.selectbox(
            "The challenger starts from", list(STARTS), format_func=STARTS.__getitem__, key="new-start"
        )
        changes = st.number_input("Images that must have changed", 0, value=20, key="new-changes", width=240)
    if st.button("Add the schedule", type="primary", icon=":material/add:", key="new-add"):
        settings = {"min_changes": changes, "start_from": start}
        if kind == "images":
            settings["min_changes"] = min(changes, int(times["on_new_images"]))
        with guarded():
            client().schedules.add(model, settings=settings, overlap=overlap, missed=missed, **times)  # type: ignore[arg-type]
            st.rerun()


def _times(kind: str) -> dict[str, str | int]:
    """Ask when; return the argument of `Schedules.add`."""
    if kind == "cron":
        text = st.text_input(
            "Cron line: minute, hour, day of the month, month, day of the week",
            "0 3 * * 1",
            key="new-cron",
            help=f"`0 3 * * 1` is every Monday at 3:00, in the time zone {client().schedules.timezone()}.",
        )
        return {"cron": text}
    if kind == "images":
        return {"on_new_images": int(st.number_input("New labelled images", 1, value=200, key="new-images", width=240))}
    left, right = st.columns([1, 2])
    number = left.number_input("Every", 1, value=6, key="new-every")
    unit = right.selectbox("Unit", list(UNITS), index=1, key="new-unit", label_visibility="hidden")
    return {"every_seconds": int(number) * UNITS[unit]}


def watch_form() -> None:
    """Draw the form for a folder to watch."""
    left, right = st.columns([1, 2])
    dataset = left.text_input("Data set", key="watch-dataset", placeholder="birds")
    folder = right.text_input("Folder on the studio's machine", key="watch-folder", placeholder="/photos/new")
    labels = ""
    how = st.segmented_control(
        "Labels", ["Sub-folders", "A label file", "None yet"], default="Sub-folders", key="watch-how", required=True
    )
    if how == "A label file":
        labels = st.text_input(
            "Label file (CSV: filename, label)", key="watch-labels", placeholder="/photos/labels.csv"
        )
    every = st.number_input("Look every … seconds", 2, value=60, key="watch-every", width=240)
    if st.button("Watch it", type="primary", icon=":material/visibility:", key="watch-add"):
        with guarded():
            client().schedules.watch(dataset.strip(), folder.strip(), labels.strip(), how == "None yet", int(every))
            st.rerun()

"""Answers for dropped photos: a table with thumbnails, what is doubtful, and what to do about it."""

from __future__ import annotations

import base64

import pandas as pd
import streamlit as st

from app.client import client
from app.client.drops import Predicting
from app.client.evaluation import csv_of
from app.components.gallery import pager
from app.components.page import count, go, guarded, percent, plain

PER_PAGE = 25
ROW_HEIGHT = 68
SLIDER_WIDTH = 420
DEFAULT_THRESHOLD = 0.6
NEW = "A new data set …"
SENT = "predict-sent"
FILTERS = ("All", "Doubtful", "Sure", "Unreadable")


def predictions_panel(job: Predicting) -> None:
    """Show what was answered, let it be downloaded, and the doubtful photos be sent to annotation."""
    table = job.table()
    threshold = st.slider(
        "Doubtful below a confidence of",
        0.0,
        1.0,
        DEFAULT_THRESHOLD,
        0.01,
        key="predict-threshold",
        width=SLIDER_WIDTH,
        help="What the model is less sure of than this is worth a person's look.",
    )
    groups = group(table, threshold)
    _numbers(table, groups)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.segmented_control(
            "Show",
            FILTERS,
            format_func=lambda name: f"{name} ({len(groups[name])})",
            default="All",
            required=True,
            key="predict-shown",
            label_visibility="collapsed",
        )
        st.download_button(
            "Download as CSV",
            csv_of(table.drop(columns="number")),
            "predictions.csv",
            "text/csv",
            key="predict-csv",
            icon=":material/download:",
        )
    _table(job, groups[shown or "All"])
    _annotation(job, groups["Doubtful"])


def group(table: pd.DataFrame, threshold: float) -> dict[str, pd.DataFrame]:
    """Return the rows of each of :data:`FILTERS`; the least sure first, except among all."""
    answered = table[table["error"] == ""].sort_values("confidence", kind="stable")
    doubtful = answered["confidence"] < threshold
    return {
        "All": table,
        "Doubtful": answered[doubtful],
        "Sure": answered[~doubtful],
        "Unreadable": table[table["error"] != ""],
    }


def _numbers(table: pd.DataFrame, groups: dict[str, pd.DataFrame]) -> None:
    answered = table[table["error"] == ""]
    parts = [f"{count(len(table))} photo{'s' if len(table) != 1 else ''}"]
    if not answered.empty:
        common = answered["label"].value_counts()
        parts.append(
            "most often " + ", ".join(f"{plain(name)} ({count(int(n))})" for name, n in common.head(3).items())
        )
        parts.append(f"mean confidence {percent(float(answered['confidence'].mean()))}")
    if len(groups["Unreadable"]):
        parts.append(f"{count(len(groups['Unreadable']))} can't be read")
    st.caption(" · ".join(parts))


def _table(job: Predicting, rows: pd.DataFrame) -> None:
    if rows.empty:
        st.info("No photo is like that.", icon=":material/filter_alt_off:")
        return
    page = rows.iloc[pager(len(rows), PER_PAGE, "predict-page")]
    pictures = client().drops.thumbnails([job.drop.photos[number] for number in page["number"]])
    shown = pd.DataFrame(
        {
            "photo": [_uri(picture) for picture in pictures],
            "file": page["file"].to_numpy(),
            "label": [
                label or f"can't be read: {error}" for label, error in zip(page["label"], page["error"], strict=True)
            ],
            "confidence": (100 * page["confidence"]).to_numpy(),
            "next": [_next(row) for _, row in page.iterrows()],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        row_height=ROW_HEIGHT,
        height=min(10, len(shown)) * ROW_HEIGHT + 38,
        key="predict-table",
        column_config={
            "photo": st.column_config.ImageColumn("Photo", width=ROW_HEIGHT + 20),
            "file": st.column_config.TextColumn("File", width="medium"),
            "label": st.column_config.TextColumn("Prediction", width="medium"),
            "confidence": st.column_config.ProgressColumn("Confidence", min_value=0, max_value=100, format="%.1f %%"),
            "next": st.column_config.TextColumn("Next likeliest", width="medium"),
        },
    )


def _next(row: pd.Series) -> str:
    ranks = [rank for rank in (2, 3) if isinstance(row.get(f"label_{rank}"), str)]
    return ", ".join(f"{row[f'label_{rank}']} ({percent(float(row[f'confidence_{rank}']))})" for rank in ranks)


def _uri(picture: bytes | None) -> str | None:
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}" if picture else None


def _annotation(job: Predicting, doubtful: pd.DataFrame) -> None:
    """Let the doubtful photos be added to a data set, to be labelled by a person."""
    st.subheader("Send to annotation", anchor=False)
    st.caption(
        "The doubtful photos go into a data set without a label. Labelled by a person and trained on, "
        "they teach the model the most."
    )
    own = client().runs.get(job.run_id).dataset
    names = [each.name for each in client().store.datasets.list()]
    options = [*sorted(names, key=lambda name: name != own), NEW]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Into the data set", options, key="predict-dataset", width=280)
        name = chosen if chosen != NEW else st.text_input("Its name", key="predict-new-name", width=280).strip()
        pressed = st.button(
            f"Send {count(len(doubtful))} doubtful photo{'s' if len(doubtful) != 1 else ''}",
            key="predict-send",
            icon=":material/label:",
            type="primary",
            disabled=doubtful.empty or not name,
        )
    if pressed:
        with guarded(), st.spinner("Adding the photos …"):
            photos = [job.drop.photos[number] for number in doubtful["number"]]
            report = client().drops.send_to_annotation(name, photos)
            said = "is as it was: it has these photos" if not report.changed else "has them, without labels"
            sent = f"{plain(report.version.name)} v{report.version.number} {said}."
            st.session_state[SENT] = (job.batch.ticket, report.version.name if report.changed else "", sent)
    ticket, name, words = st.session_state.get(SENT, ("", "", ""))
    if ticket == job.batch.ticket:
        st.success(words, icon=":material/check:")
        if name and st.button(f"Label them in {plain(name)}", key="predict-label", icon=":material/label:"):
            go("annotate", dataset=name)

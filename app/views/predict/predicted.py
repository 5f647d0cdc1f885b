"""Predictions for dropped photos: a table with thumbnails, which are to be reviewed, and what to do with those."""

from __future__ import annotations

import base64

import pandas as pd
import streamlit as st

from app.client import client
from app.client.drops import Predicting
from app.client.evaluation import csv_of
from app.components.gallery import pager
from app.components.page import count, go, guarded, percent, plain
from app.words import threshold_words
from workflows.evaluation.thresholds import ReviewThreshold

PER_PAGE = 25
ROW_HEIGHT = 68
NEW = "A new data set …"
SENT = "predict-sent"
FILTERS = ("All", "To review", "Accepted", "Unreadable")


def predictions_panel(job: Predicting) -> None:
    """Show what was predicted, let it be downloaded, and the photos to review be sent to annotation."""
    review = client().models.threshold(job.run_id)
    table = judged(job.table(), review)
    groups = group(table)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plain(threshold_words(review)), width="content")
        if st.button("Change", key="predict-threshold", type="tertiary", icon=":material/tune:"):
            go("evaluation", run=job.run_id, step="val", view="confidence")
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
    _annotation(job, groups["To review"])


def judged(table: pd.DataFrame, review: ReviewThreshold) -> pd.DataFrame:
    """Return predictions with `to_review` (missing where a photo can't be read) and the `threshold` that decides it."""
    to_review = [review.to_review(value) if value == value else None for value in table["confidence"]]
    return table.assign(to_review=pd.Series(to_review, dtype="boolean", index=table.index), threshold=review.value)


def group(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of each of :data:`FILTERS`; the least confident first, except among all."""
    answered = table[table["error"] == ""].sort_values("confidence", kind="stable")
    to_review = answered["to_review"].astype(bool)
    return {
        "All": table,
        "To review": answered[to_review],
        "Accepted": answered[~to_review],
        "Unreadable": table[table["error"] != ""],
    }


def review_marks(table: pd.DataFrame) -> list[str]:
    """Return `to review` for each row that is to be reviewed, else nothing."""
    return ["to review" if value else "" for value in table["to_review"].fillna(False)]


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
        st.info("No photo matches this filter.", icon=":material/filter_alt_off:")
        return
    page = rows.iloc[pager(len(rows), PER_PAGE, "predict-page")]
    pictures = client().drops.thumbnails(job.run_id, [job.drop.photos[number] for number in page["number"]])
    shown = pd.DataFrame(
        {
            "photo": [_uri(picture) for picture in pictures],
            "file": page["file"].to_numpy(),
            "label": [
                label or f"can't be read: {error}" for label, error in zip(page["label"], page["error"], strict=True)
            ],
            "confidence": (100 * page["confidence"]).to_numpy(),
            "review": review_marks(page),
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
            "review": st.column_config.TextColumn("Review", width="small"),
            "next": st.column_config.TextColumn("Next likeliest", width="medium"),
        },
    )


def _next(row: pd.Series) -> str:
    ranks = [rank for rank in (2, 3) if isinstance(row.get(f"label_{rank}"), str)]
    return ", ".join(f"{row[f'label_{rank}']} ({percent(float(row[f'confidence_{rank}']))})" for rank in ranks)


def _uri(picture: bytes | None) -> str | None:
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}" if picture else None


def _annotation(job: Predicting, to_review: pd.DataFrame) -> None:
    """Let the photos to review be added to a data set, to be labelled by a person."""
    st.subheader("Send to annotation", anchor=False)
    st.caption(
        "The photos to review are added to a data set without labels. Once labelled by a person, "
        "they are the most useful training images."
    )
    own = client().runs.get(job.run_id).dataset
    names = [each.name for each in client().store.datasets.list()]
    options = [*sorted(names, key=lambda name: name != own), NEW]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Into the data set", options, key="predict-dataset", width=280)
        name = chosen if chosen != NEW else st.text_input("Name", key="predict-new-name", width=280).strip()
        pressed = st.button(
            f"Send {count(len(to_review))} photo{'s' if len(to_review) != 1 else ''} to review",
            key="predict-send",
            icon=":material/label:",
            type="primary",
            disabled=to_review.empty or not name,
        )
    if pressed:
        with guarded(), st.spinner("Adding the photos …"):
            photos = [job.drop.photos[number] for number in to_review["number"]]
            report = client().drops.send_to_annotation(name, photos)
            said = "already has these photos" if not report.changed else "has them now, without labels"
            sent = f"{plain(report.version.name)} v{report.version.number} {said}."
            st.session_state[SENT] = (job.batch.ticket, report.version.name if report.changed else "", sent)
    ticket, name, words = st.session_state.get(SENT, ("", "", ""))
    if ticket == job.batch.ticket:
        st.success(words, icon=":material/check:")
        if name and st.button(f"Label them in {plain(name)}", key="predict-label", icon=":material/label:"):
            go("annotate", dataset=name)

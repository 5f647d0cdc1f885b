"""Predict: what is on photos that the model has never seen."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.client.drops import ARCHIVES, Predicting
from app.components.page import count, guarded, header, pick_run, plain, show_error
from app.components.predicted import predictions_panel

JOB, ROUND = "predict-job", "predict-round"
POLL_SECONDS = 0.5


def main() -> None:
    """Draw the page."""
    header("Predict", "What is on photos that the model has never seen, and which of them a person should look at.")
    run = pick_run("predict", states=("finished",))
    if run is None:
        return
    with guarded():
        _take(run)
        job: Predicting | None = st.session_state.get(JOB)
        if job is None:
            return
        if job.run_id != run:  # another model was chosen for the same photos
            job.stop()
            job = st.session_state[JOB] = client().drops.predict(run, job.drop)
        st.fragment(_progress, run_every=None if job.finished else POLL_SECONDS)(job, job.finished)
        if job.finished and job.results:
            predictions_panel(job)


def _take(run: str) -> None:
    """Let photos be dropped; they are moved from the web process's memory to the disk at once."""
    place = st.session_state.setdefault(ROUND, 0)
    files = st.file_uploader(
        f"Drop photos here, or a {' or '.join(ARCHIVES[:2])} of photos",
        accept_multiple_files=True,
        key=f"predict-files-{place}",
    )
    if not files:
        return
    st.session_state[ROUND] = place + 1
    old: Predicting | None = st.session_state.pop(JOB, None)
    with st.spinner("Taking the photos in …"):
        drop = client().drops.take([(file.name, file) for file in files])
    if old is not None:
        old.stop()
        client().drops.discard(old.drop)
    st.session_state[JOB] = client().drops.predict(run, drop)
    st.rerun()


def _progress(job: Predicting, was_finished: bool) -> None:
    """Show how far the predictions are; looks again by itself until they are done."""
    if job.finished and not was_finished:
        st.rerun()
    done, total = len(job.results), len(job.drop.photos)
    if not job.finished:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(done / total, f"{count(done)} of {count(total)} photos")
            st.button("Stop", key="predict-stop", on_click=job.stop, icon=":material/stop:")
    if job.error is not None:
        show_error(job.error)
        if st.button("Try again", key="predict-again", icon=":material/refresh:"):
            st.session_state[JOB] = client().drops.predict(job.run_id, job.drop)
            st.rerun()
    elif job.finished and done < total:
        st.info(f"Stopped after {count(done)} of {count(total)} photos.", icon=":material/stop:")
    for name, reason in job.drop.ignored[:5]:
        st.caption(f":material/info: Left out: {plain(name)} ({plain(reason)})")


main()

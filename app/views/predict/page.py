"""Predict: predictions for photos that the model has never seen."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.client import client
from app.client.drops import MAX_PHOTO_BYTES, Predicting
from app.client.inference import ServerDown
from app.client.uploads import Batch
from app.components.answering import Answerer, asking, pick_answerer, server_down
from app.components.asking_first import stop_button
from app.components.lists import whole_list
from app.components.next_steps import Lead, in_use_of, next_steps
from app.components.page import count, guarded, header, plain
from app.components.uploads import drop_zone
from app.views.predict.predicted import predictions_panel

JOB = "predict-job"
POLL_SECONDS = 0.5
SHOWN_LEFT_OUT = 5


def main() -> None:
    """Draw the page."""
    header("Predict", "Predictions for photos that the model has never seen, and which of them a person should check.")
    chosen = pick_answerer("predict")
    if chosen is None:
        return
    with guarded():
        batch = drop_zone(
            key="predict",
            title="Drop photos, a folder of photos, or a zip here",
            hint=f"They stay on this machine and enter no data set. A photo may have up to {MAX_PHOTO_BYTES // 1024**2} MB.",
        )
        job = _job(chosen.run_id, batch)
        if job is None:
            return
        _left_out(job)
        if not job.finished:
            st.fragment(_progress, run_every=POLL_SECONDS)(job)
            return
        _outcome(job)
        if job.results:
            predictions_panel(job)
            _next(chosen)


def _next(answerer: Answerer) -> None:
    """Lead on to what comes after one's own look at the predictions: others use the model, once it is one."""
    if answerer.parameter == "model":
        leads = in_use_of(answerer.value)
    elif client().models.of_run(answerer.run_id):
        leads = []
    else:
        leads = [Lead("Register it as a model", "models", "inventory_2", {"run": answerer.run_id})]
    if leads:
        next_steps(leads, "predict")


def _job(run_id: str, batch: Batch | None) -> Predicting | None:
    """Return the prediction of what was dropped by this model, begun if it is another one than before.

    Raises:
        SourceError: there is no photo in it.
        StorageError: an archive can't be unpacked for lack of space.
    """
    job: Predicting | None = st.session_state.get(JOB)
    if job is not None and (job.batch is not batch or job.run_id != run_id):
        job.stop()
        job = st.session_state.pop(JOB) and None
    if job is None and batch is not None:
        with st.spinner("Reading what was dropped …"):
            job = st.session_state[JOB] = client().drops.predict(run_id, batch)
    return job


def _progress(job: Predicting) -> None:
    """Show the progress of the predictions; the whole page runs again once they are done."""
    if job.finished:
        st.rerun()
    done, total = len(job.results), len(job.drop.photos)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(done / total, f"{count(done)} of {count(total)} photos")
        stop_button("Stop", "The predictions so far stay.", key="predict-stop", on_click=job.stop)


def _outcome(job: Predicting) -> None:
    """Say why not all photos were answered, if so, and let it be tried again."""

    def again() -> None:
        st.session_state[JOB] = client().drops.predict(job.run_id, job.batch)

    done, total = len(job.results), len(job.drop.photos)
    if isinstance(job.error, ServerDown):
        server_down(job.error, "predict", again)
        return
    if job.error is not None:
        with asking(job.run_id, "predict"):
            raise job.error
    elif done < total:
        st.info(f"Stopped after {count(done)} of {count(total)} photos.", icon=":material/stop:")
    if done < total:
        st.button("Predict all again", key="predict-again", on_click=again, icon=":material/refresh:")


def _left_out(job: Predicting) -> None:
    ignored = job.drop.ignored
    if len(ignored) > SHOWN_LEFT_OUT:
        table = pd.DataFrame(ignored, columns=["File", "Why"])
        whole_list(f"{count(len(ignored))} files left out, and why", table, "left-out.csv", key="predict-left-out")
        return
    for name, reason in ignored:
        st.caption(f":material/info: Left out: {plain(name)} ({plain(reason)})")


main()

"""Imports, audits and checks of labels: their progress and results."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.client import client
from app.client.jobs import Job
from app.components.asking_first import stop_button
from app.components.lists import whole_list
from app.components.page import count, duration, go, plain, show_error, size_of
from app.components.stages import stage_title
from workflows.data.reports import already_words

POLL_SECONDS = 0.5
HERE_ALREADY = "here-already"
"""The photos of a data set that its last import brought again."""
BEGINNINGS = {"scan": "Scanning the source"}


def follow_job(job: Job, key: str) -> None:
    """Show a job's progress; the whole page runs again once it is over, and once an import has its version."""
    st.fragment(_progress, run_every=POLL_SECONDS if job.running else None)(job, key, job.running, job.result is None)


def _progress(job: Job, key: str, was_running: bool, had_nothing: bool) -> None:
    if (was_running and not job.running) or (had_nothing and job.result is not None):
        st.rerun()
    if not job.running:
        return
    share = min(1.0, job.done / job.total) if job.total else 0.0
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, plain(_words(job)))
        words = "What is done so far is not repeated when you start it again."
        stop_button("Stop", words, key=f"{key}-stop", on_click=job.stop)


def _words(job: Job) -> str:
    parts = [stage_title(job.stage) if job.stage else BEGINNINGS.get(job.kind, "Starting")]
    if job.stage in ("survey", "import", "measure", "features") and job.total:
        parts.append(f"{count(job.done)} of {count(job.total)}")
        if job.done > 20:
            left = (time.time() - job.started) * (job.total - job.done) / job.done
            parts.append(f"about {duration(left)} left" if left > 2 else "nearly done")
    elif job.text:
        parts.append(job.text)
    return ", ".join(parts) + " …"


def dataset_jobs(name: str) -> None:
    """Show what is under way for a data set, and the outcome of its last import until it is dismissed."""
    done = [job for job in client().jobs.of(name, "import") if job.result is not None and not job.running]
    for older in done[1:]:
        client().jobs.forget(older)
    for job in client().jobs.of(name, "import", "audit", "check labels"):
        key = f"job-{job.id}"
        if job.running:
            follow_job(job, key)
        if job.error is not None:
            with st.container(horizontal=True, vertical_alignment="center"):
                with st.container():
                    show_error(job.error)
                st.button("Dismiss", key=f"{key}-away", on_click=client().jobs.forget, args=(job,))
        elif job.kind == "import" and job.result is not None:
            _outcome(job, key)


def brought_again(name: str) -> tuple[str, ...]:
    """Return the photos of a data set that its last import brought again; none once that is dismissed."""
    found = [job.result["known"] for job in client().jobs.of(name, "import") if job.result is not None]
    return tuple(found[0]) if found else ()


def _outcome(job: Job, key: str) -> None:
    result: dict[str, Any] = job.result or {}
    already = already_words(result["changed"], result["accepted"], result["already"])
    words = (
        f"Version {result['version']}: {count(result['accepted'])} photos imported"
        if result["changed"]
        else f"Nothing new: {plain(result['dataset'])} is still at version {result['version']}"
    )
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f":material/check_circle: **{words}**")
            if not job.running:
                st.button("Dismiss", key=f"{key}-away", on_click=client().jobs.forget, args=(job,), type="tertiary")
        if already:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(already, width="content")
                if st.button("Show them", key=f"{key}-known", icon=":material/photo_library:", type="tertiary"):
                    go("data", dataset=str(result["dataset"]), finding=HERE_ALREADY)
        import_facts(result, result["left_out"], key)


def import_facts(result: dict[str, Any], left_out: list[dict[str, Any]], key: str) -> None:
    """Show what an import did with every file: numbers, remarks, and what was left out and why."""
    parts = [
        f"{count(result['accepted'])} accepted",
        f"{count(result['rejected'])} rejected",
        f"{count(result['ignored'])} ignored",
    ]
    took = f" · {duration(result['seconds'])}" if result.get("seconds") else ""
    st.caption(f"{' · '.join(parts)} of {count(result['total'])} files{took}")
    for note in result["notes"]:
        st.caption(f":material/info: {plain(note)}")
    if not left_out:
        return
    table = pd.DataFrame(left_out)[["outcome", "path", "reason"]].set_axis(["Outcome", "File", "Why"], axis=1)
    number = result["rejected"] + result["ignored"]
    title = f"{count(number)} file{'s' if number != 1 else ''} left out, and why"
    whole_list(title, table, "left-out.csv", key=f"{key}-left-out", expanded=number <= 10)


def quarantine(name: str) -> None:
    """List the rejected files in quarantine, with their folder."""
    rejected = client().datasets.quarantined(name)
    if not rejected:
        return
    table = pd.DataFrame(
        {
            "file": [each.path for each in rejected],
            "reason": [each.reason for each in rejected],
            "size": [size_of(each.bytes) for each in rejected],
            "copy": ["yes" if each.sha256 else "name only" for each in rejected],
        }
    )
    with st.expander(f"{count(len(rejected))} rejected file{'s' if len(rejected) != 1 else ''} in quarantine"):
        st.caption(
            "Copies of files that could not be read or used. They are never opened again: repair and re-import them. "
            f"Folder: {plain(client().store.quarantine_folder(name))}"
        )
        st.dataframe(
            table,
            hide_index=True,
            key=f"quarantine-{name}",
            height=min(320, 38 + 35 * len(table)),
            column_config={"file": "File", "reason": "Why", "size": "Size", "copy": "Copy"},
        )


def source_words(source: str) -> str:
    """Say where images came from: an upload by its own name, anything else by its path."""
    return f"upload {Path(source).name}" if client().uploads.holds(source) else source

"""Imports and audits under way: how far they are, and what came of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.client import client
from app.client.evaluation import csv_of
from app.client.jobs import Job
from app.components.page import count, duration, plain, show_error, size_of

POLL_SECONDS = 0.5
STAGES = {
    "unpack": "Unpacking",
    "import": "Checking and copying photos",
    "measure": "Measuring photos",
    "audit": "Looking for duplicates, leaks, odd photos",
}
BEGINNINGS = {"look": "Looking through the source", "import": "Beginning", "audit": "Beginning"}


def follow_job(job: Job, key: str) -> None:
    """Show how far a job is; the whole page runs again once it is over, and once an import has its version."""
    st.fragment(_progress, run_every=POLL_SECONDS if job.running else None)(job, key, job.running, job.result is None)


def _progress(job: Job, key: str, was_running: bool, had_nothing: bool) -> None:
    if (was_running and not job.running) or (had_nothing and job.result is not None):
        st.rerun()
    if not job.running:
        return
    share = min(1.0, job.done / job.total) if job.total else 0.0
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, plain(_words(job)))
        st.button("Stop", key=f"{key}-stop", icon=":material/stop:", on_click=job.stop)


def _words(job: Job) -> str:
    parts = [STAGES.get(job.stage, BEGINNINGS[job.kind] if not job.stage else job.stage)]
    if job.stage in ("import", "measure") and job.total:
        parts.append(f"{count(job.done)} of {count(job.total)}")
        if job.done > 20:
            left = (time.time() - job.started) * (job.total - job.done) / job.done
            parts.append(f"about {duration(left)} left" if left > 2 else "nearly done")
    elif job.text:
        parts.append(job.text)
    return ", ".join(parts) + " …"


def dataset_jobs(name: str) -> None:
    """Show what is under way for a data set, and the outcome of its last import until it is put away."""
    for job in client().jobs.of(name, "import", "audit"):
        key = f"job-{job.id}"
        if job.running:
            follow_job(job, key)
        if job.error is not None:
            with st.container(horizontal=True, vertical_alignment="center"):
                with st.container():
                    show_error(job.error)
                st.button("Put away", key=f"{key}-away", on_click=client().jobs.forget, args=(job,))
        elif job.kind == "import" and job.result is not None:
            _outcome(job, key)


def _outcome(job: Job, key: str) -> None:
    result: dict[str, Any] = job.result or {}
    words = (
        f"Version {result['version']}: {count(result['accepted'])} photos taken in"
        if result["changed"]
        else f"Nothing new: {plain(result['dataset'])} is at version {result['version']} as before"
    )
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f":material/check_circle: **{words}**")
            if not job.running:
                st.button("Put away", key=f"{key}-away", on_click=client().jobs.forget, args=(job,), type="tertiary")
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
    table = pd.DataFrame(left_out)[["outcome", "path", "reason"]]
    number = result["rejected"] + result["ignored"]
    with st.expander(f"{count(number)} file{'s' if number != 1 else ''} left out, and why", expanded=number <= 10):
        st.dataframe(
            table,
            hide_index=True,
            height=min(320, 38 + 35 * len(table)),
            key=f"{key}-left-out",
            column_config={"outcome": "Outcome", "path": "File", "reason": "Why"},
        )
        if len(table) < number:
            st.caption(f"The first {count(len(table))} of {count(number)}.")
        st.download_button(
            "As CSV",
            lambda: csv_of(table),
            "left-out.csv",
            "text/csv",
            key=f"{key}-left-out-csv",
            icon=":material/download:",
            on_click="ignore",
        )


def quarantine(name: str) -> None:
    """List the rejected files that are kept, with a way to each."""
    kept = client().datasets.quarantined(name)
    if not kept:
        return
    table = pd.DataFrame(
        {
            "file": [each.path for each in kept],
            "reason": [each.reason for each in kept],
            "size": [size_of(each.bytes) for each in kept],
            "kept": ["yes" if each.sha256 else "named only" for each in kept],
        }
    )
    with st.expander(f"{count(len(kept))} rejected file{'s' if len(kept) != 1 else ''} in quarantine"):
        st.caption(
            "Copies of what could not be read or used. They are never opened again; mend them and add them anew. "
            f"Folder: {plain(client().store.quarantine_folder(name))}"
        )
        st.dataframe(
            table,
            hide_index=True,
            key=f"quarantine-{name}",
            height=min(320, 38 + 35 * len(table)),
            column_config={"file": "File", "reason": "Why", "size": "Size", "kept": "Copy"},
        )


def source_words(source: str) -> str:
    """Say where images came from: an upload by its own name, anything else by its path."""
    return f"upload {Path(source).name}" if client().uploads.holds(source) else source

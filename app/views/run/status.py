"""A run's state and progress, and the actions on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from app.client import client
from app.components.address import change_address
from app.components.asking_first import stop_button
from app.components.page import ago, duration, go, guarded, percent, plain, show_error, size_of, state_badge
from app.components.stages import stage_title
from app.components.verdict import verdict_line
from workflows.data.version import SPLIT_WORDS
from workflows.errors import FieldguideError
from workflows.state import State
from workflows.targets.judged import judged_by
from workflows.targets.metrics import TOP1

if TYPE_CHECKING:
    from app.client.live import Live, StepSeen

TRAINING = "training"
"""The stage of a run that trains."""
TRAINING_WEIGHT = 30.0
"""How many other steps it is worth in the bar of progress: nearly all of the time is its own."""


def live_status(live: Live) -> None:
    """Draw state, progress and figures."""
    run = live.run
    with st.container(horizontal=True, vertical_alignment="center"):
        state_badge(run.state)
        parts = [
            f"data set {run.dataset} v{run.version}" if run.dataset else "",
            f"goal {run.goal}" if run.goal else "",
        ]
        parts += [f"on {_device(run.device)}" if run.device else "", f"queued {ago(run.created_at)}"]
        st.caption(plain(" · ".join(part for part in parts if part)))
    if run.state == State.PENDING:
        st.info(
            f"Waiting: {plain(client().studio.waits_for(run.run_id) or 'about to start')}.", icon=":material/hourglass:"
        )
    if run.state == State.RUNNING:
        _progress(live)
    if run.state.resumable:
        _ended_badly(live)
    if run.state.alive:
        _walk(live)
    _figures(live)


def _device(device: str) -> str:
    return "the CPU" if device == "cpu" else f"GPU {device}"


def _progress(live: Live) -> None:
    progress = client().studio.progress(live.run.run_id)
    share, text = 0.0, "starting: Python, PyTorch and the photos are loaded"
    if progress is not None:
        share = min(1.0, progress.done / progress.total) if progress.total else 0.0
        text = f"{stage_title(progress.stage)} {progress.text}".strip()
    if (progress is None or progress.stage == "train") and live.epochs and live.done:
        share, text = min(1.0, live.done / live.epochs), f"training, epoch {_epoch(live)} of {live.epochs}"
        if live.seconds_left is not None:
            text += f", about {duration(live.seconds_left)} left at most"
    st.progress(share_of_all(live.stages, share), text=plain(text))
    if live.stopping == "cancel":
        st.caption(":material/stop: Stopping at the next batch.")
    if live.stopping == "finish":
        st.caption(":material/flag: Training ends with this epoch; the best weights are saved and evaluated.")


def share_of_all(steps: Sequence[StepSeen], share: float) -> float:
    """Return how much of a run is done if `share` of its present step is, both in [0, 1]: never less than before."""
    weights = [TRAINING_WEIGHT if step.key == TRAINING else 1.0 for step in steps]
    done = sum(weight for step, weight in zip(steps, weights, strict=True) if step.seconds is not None)
    now = next((weight for step, weight in zip(steps, weights, strict=True) if step.seconds is None), 0.0)
    return min(1.0, (done + share * now) / sum(weights)) if weights else share


def _epoch(live: Live) -> int:
    return min(live.epochs or 1, int(live.done - 1e-9) + 1)


def _walk(live: Live) -> None:
    """Draw the steps as a line of words: done, under way, still to come."""
    parts = []
    current = next((step.key for step in live.stages if step.seconds is None), "")
    for step in live.stages:
        words = plain(step.words)
        if step.seconds is not None:
            parts.append(f":green[✓ {words}]")
        elif step.key == current and live.run.state == State.RUNNING:
            parts.append(f"**▶ {words}**")
        else:
            parts.append(f":gray[{words}]")
    st.markdown(" · ".join(parts))


def _figures(live: Live) -> None:
    """Draw the current figures, or the final ones."""
    batch, run = live.batch, live.run
    shown: list[tuple[str, str, str]] = []
    best = max((value for _, value in live.steps[TOP1.on("val")]), default=None)
    if run.state == State.RUNNING:
        shown += [
            (
                "Time left",
                duration(live.seconds_left) if live.seconds_left is not None else "–",
                "Of training, if it does not stop early",
            ),
            (
                "Images/s",
                f"{batch['images_per_second']:.0f}" if batch else "–",
                "Training images per second in this epoch",
            ),
            ("Loss", f"{batch['loss']:.3f}" if batch else "–", "Of the newest batch"),
            ("Learning rate", f"{batch['learning_rate']:.2g}" if batch else "–", "Of the newest batch"),
        ]
        if batch.get("gpu_memory_bytes"):
            shown.append(("GPU memory", size_of(batch["gpu_memory_bytes"]), "Reserved on the GPU by the training"))
        elif live.memory_bytes:
            shown.append(("Memory", size_of(live.memory_bytes), "Of the training's process"))
    elif run.started_at and run.finished_at:
        shown.append(
            ("Took", duration((run.finished_at - run.started_at).total_seconds()), "From its start to its end")
        )
        if batch:
            shown.append(("Epochs", f"{live.done:.0f} of {live.epochs}" if live.epochs else f"{live.done:.0f}", "Done"))
            shown.append(("Images/s", f"{batch['images_per_second']:.0f}", "Training images per second at the end"))
    judged = judged_by(run.final.metrics) if run.final is not None else None
    if judged is not None:
        shown.append((f"Top-1, {SPLIT_WORDS[judged.split]}", percent(judged.top1), f"On {judged.counted}"))
    if best is not None and run.final is None:
        shown.append(("Best top-1", percent(best), "On validation images, so far"))
    if shown:
        for column, (title, value, words) in zip(st.columns(len(shown)), shown, strict=True):
            column.metric(title, value, help=words)
    if run.final is not None:
        verdict_line(judged, run.dataset or "", "run")


def _ended_badly(live: Live) -> None:
    message, hint = said_and_hint(live.run.error or "It ended without an error message.")
    if live.run.state == State.FAILED:
        show_error(
            FieldguideError(
                message,
                hint
                or "Resume continues from its last checkpoint, the state that is saved after each epoch. See the log below for details.",
            )
        )
    else:
        st.info(
            f"{plain(message)} Resume continues from its last checkpoint, the state that is saved after each epoch.",
            icon=":material/info:",
        )


def said_and_hint(error: str) -> tuple[str, str]:
    """Take a recorded error apart: what went wrong (with the indented lines that belong to it), and what to do."""
    first, *rest = error.splitlines() or [""]
    belongs = 0
    while belongs < len(rest) and rest[belongs].startswith("  "):
        belongs += 1
    return "\n".join([first, *rest[:belongs]]), " ".join(rest[belongs:])


def live_orders(live: Live) -> None:
    """Draw the actions that the run's state allows."""
    run, studio = live.run, client().studio
    with st.container(horizontal=True), guarded():
        if run.state == State.RUNNING:
            stopping = live.stopping
            training = any(step.key == TRAINING and step.seconds is None for step in live.stages)
            if st.button(
                "Stop early",
                key="live-finish",
                icon=":material/flag:",
                disabled=bool(stopping) or not training,
                help="End the training with this epoch, save the best weights, evaluate and explain them.",
            ):
                studio.stop_and_keep(run.run_id)
                st.rerun()
        if run.state.alive:
            words = "The training stops at the next batch. The last checkpoint stays, so it can be resumed."
            if stop_button("Cancel", words, key="live-cancel", disabled=live.stopping == "cancel"):
                studio.cancel(run.run_id)
                st.rerun()
        if run.state.resumable and st.button("Resume", key="live-resume", icon=":material/play_arrow:", type="primary"):
            studio.resume(run.run_id)
            st.rerun()
        if run.state == State.FINISHED:
            _links(run.run_id)
        if (
            run.workflow
            and run.state != State.PENDING
            and st.button("Change and train again", key="live-again", icon=":material/account_tree:")
        ):
            go("workflow", dataset=run.dataset or "", run=run.run_id)
        if not run.state.alive:
            _delete(run.run_id)


def _links(run_id: str) -> None:
    for name, label, icon in (
        ("evaluation", "Evaluation", "grid_on"),
        ("explain", "Explain", "center_focus_strong"),
        ("predict", "Predict", "image_search"),
    ):
        if st.button(
            label,
            key=f"live-to-{name}",
            icon=f":material/{icon}:",
            type="primary" if name == "evaluation" else "secondary",
        ):
            go(name, run=run_id)
    report = client().runs.artifact(run_id, "report")
    if report is not None:
        st.download_button(
            "Report",
            report.read_bytes,
            f"{run_id}.html",
            "text/html",
            key="live-report",
            icon=":material/download:",
            on_click="ignore",
        )


def _delete(run_id: str) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        st.markdown("The run with its checkpoints, predictions, pictures and report. This can't be undone.")
        if st.button("Delete it", key="live-delete", type="primary", icon=":material/delete:"):
            client().runs.delete(run_id)
            change_address({"run": None})
            st.rerun()

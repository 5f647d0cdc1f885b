"""Schedules and watched folders as cards, each with what can be done with it; and the log of firings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import streamlit as st

from app.client import client
from app.client.schedules import Firing, ScheduleBrief, WatchedFolder, next_fire
from app.components.page import BadgeColour, ago, duration, go, guarded, plain

STATES: dict[str, tuple[BadgeColour, str]] = {
    "waiting": ("yellow", "hourglass_empty"),
    "running": ("blue", "play_arrow"),
    "done": ("green", "check"),
    "skipped": ("gray", "skip_next"),
    "failed": ("red", "error"),
    "cancelled": ("gray", "stop"),
}


def schedule_card(brief: ScheduleBrief) -> None:
    """Draw one schedule."""
    schedule, key = brief.schedule, brief.schedule.id
    with st.container(border=True, key=f"schedule-card-{key}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(schedule.model)}** · {plain(brief.when)}", width="stretch")
            if schedule.paused:
                st.badge("paused", color="gray", icon=":material/pause:")
            elif brief.at_work and brief.last is not None:
                colour, icon = STATES[brief.last.state]
                st.badge(brief.last.state, color=colour, icon=f":material/{icon}:")
        left, middle, right = st.columns([1, 1, 3])
        _fact(left, "Next", _next(brief))
        _fact(middle, "Last", ago(schedule.last_fired_at) if schedule.last_fired_at else "never")
        note = brief.last.note if brief.at_work and brief.last is not None else schedule.last_outcome
        _fact(right, "Now" if brief.at_work else "Outcome", note or "-")
        with st.container(horizontal=True):
            _pause_button(key, schedule.paused)
            _button("Run now", f"run-{key}", "play_arrow", lambda: client().schedules.run_now(key))
            if brief.last is not None and brief.last.state == "done":
                _button("Last decision", f"decision-{key}", "gavel", lambda: go("models", decision=_id(brief)))
            _remove(key, "The schedule is forgotten; its log and the model stay.", client().schedules.remove)


def _id(brief: ScheduleBrief) -> str:
    return brief.last.decision_id if brief.last is not None else ""


def _fact(column: st.delta_generator.DeltaGenerator, title: str, text: str) -> None:
    with column.container(gap=None):
        st.caption(title)
        st.markdown(plain(text))


def _next(brief: ScheduleBrief) -> str:
    moment = next_fire(brief.schedule)
    if brief.schedule.paused:
        return "when it is resumed"
    if moment is None:
        return "as photos arrive"
    seconds = (moment - datetime.now(UTC)).total_seconds()
    if seconds < 0:
        return "due"
    return f"in {duration(seconds)}" if seconds < 172_800 else f"{moment:%Y-%m-%d %H:%M} UTC"


def _button(label: str, key: str, icon: str, do: Callable[[], object]) -> None:
    if st.button(label, key=key, icon=f":material/{icon}:", type="tertiary"):
        with guarded():
            do()
            st.rerun()


def _pause_button(key: str, paused: bool) -> None:
    if paused:
        _button("Resume", f"resume-{key}", "play_circle", lambda: client().schedules.resume(key))
    else:
        _button("Pause", f"pause-{key}", "pause", lambda: client().schedules.pause(key))


def _remove(key: str, words: str, remove: Callable[[str], object]) -> None:
    with st.popover("Remove", icon=":material/delete:", type="tertiary"):
        st.caption(words)
        if st.button("Remove it", key=f"remove-{key}", type="primary"):
            with guarded():
                remove(key)
                st.rerun()


def watch_card(watch: WatchedFolder) -> None:
    """Draw one watched folder."""
    key = watch.id
    with st.container(border=True, key=f"watch-card-{key}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            how = (
                "without labels"
                if watch.unlabelled
                else "labels from a file"
                if watch.labels
                else "labels: sub-folders"
            )
            st.markdown(f"**{plain(watch.dataset)}** ← {plain(watch.folder)} · {how}", width="stretch")
            if watch.paused:
                st.badge("paused", color="gray", icon=":material/pause:")
        left, right = st.columns([1, 4])
        _fact(left, "Looked at", ago(watch.last_seen_at) if watch.last_seen_at else "not yet")
        _fact(right, "Last import", watch.outcome)
        with st.container(horizontal=True):
            label, icon = ("Resume", "play_circle") if watch.paused else ("Pause", "pause")
            _button(label, f"hold-{key}", icon, lambda: client().schedules.pause_watch(key, not watch.paused))
            _button("Import now", f"import-{key}", "download", lambda: client().schedules.import_now(key))
            _button("Open the data set", f"open-{key}", "photo_library", lambda: go("data", dataset=watch.dataset))
            _remove(key, "The folder is watched no longer; what was imported stays.", client().schedules.remove_watch)


def log_table(firings: list[Firing]) -> None:
    """Draw the log; choosing a line opens its decision."""
    rows = [
        {
            "When": one.planned_at,
            "Model": one.model,
            "Cause": one.trigger,
            "State": one.state,
            "Outcome": one.note,
            "Took": _took(one),
        }
        for one in firings
    ]
    chosen = st.dataframe(
        rows,
        key="schedule-log",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "When": st.column_config.DatetimeColumn("When", format="YYYY-MM-DD HH:mm"),
            "Outcome": st.column_config.TextColumn("Outcome", width="large"),
        },
    )
    selected = chosen["selection"]["rows"]
    if selected and selected[0] < len(firings):
        firing = firings[selected[0]]
        if firing.state == "done":
            go("models", decision=firing.decision_id)
        else:
            st.info(plain(f"{firing.trigger}: {firing.note or firing.state}"))


def _took(firing: Firing) -> str:
    if firing.started_at is None or firing.finished_at is None:
        return "-"
    return duration((firing.finished_at - firing.started_at).total_seconds())

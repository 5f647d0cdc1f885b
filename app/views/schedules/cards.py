"""Schedules and watched folders as cards, each with its actions, and the log of scheduled runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import streamlit as st

from app.client import client
from app.client.schedules import ScheduleBrief, ScheduledRun, WatchedFolder, next_run
from app.components.choosing import chosen_row
from app.components.clock import clock, own_zone
from app.components.page import ago, duration, go, guarded, plain, state_badge
from app.views.schedules.forms import open_form
from workflows.state import State

SOON_SECONDS = 172_800.0
SHOWN_TIMES = 3
OPENED = "schedule-log-opened"


def schedule_card(brief: ScheduleBrief) -> None:
    """Draw one schedule."""
    schedule, key = brief.schedule, brief.schedule.id
    with st.container(border=True, key=f"schedule-card-{key}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(schedule.model)}** · {plain(brief.when)}", width="stretch")
            if schedule.paused:
                st.badge("paused", color="gray", icon=":material/pause:")
            elif brief.is_active and brief.last is not None:
                state_badge(brief.last.state)
        left, middle, right = st.columns([2, 1, 3])
        _next(left, brief)
        _fact(middle, "Last", ago(schedule.last_fired_at) if schedule.last_fired_at else "never")
        note = brief.last.note if brief.is_active and brief.last is not None else schedule.last_outcome
        _fact(right, "Now" if brief.is_active else "Outcome", note or "-")
        if brief.obstacle:
            st.warning(f"The next retraining can't succeed. {plain(brief.obstacle)}", icon=":material/block:")
        with st.container(horizontal=True):
            _pause_button(key, schedule.paused)
            if st.button("Edit", key=f"edit-{key}", icon=":material/edit:", type="tertiary"):
                open_form(key)
            _button("Run now", f"run-{key}", "play_arrow", lambda: client().schedules.run_now(key))
            if brief.last is not None and brief.last.state == State.FINISHED:
                _button("Last decision", f"decision-{key}", "gavel", lambda: go("models", decision=_id(brief)))
            _remove(key, "The schedule is deleted; its log and the model stay.", client().schedules.remove)


def _id(brief: ScheduleBrief) -> str:
    return brief.last.decision_id if brief.last is not None else ""


def _fact(column: st.delta_generator.DeltaGenerator, title: str, text: str) -> None:
    with column.container(gap=None):
        st.caption(title)
        st.markdown(plain(text))


def _next(column: st.delta_generator.DeltaGenerator, brief: ScheduleBrief) -> None:
    """Say when a schedule is due next, and the two times after that."""
    schedule, moment = brief.schedule, next_run(brief.schedule)
    if schedule.paused or moment is None:
        _fact(column, "Next", "when it is resumed" if schedule.paused else "as photos arrive")
        return
    seconds = (moment - datetime.now(UTC)).total_seconds()
    first = clock(moment, schedule.timezone)
    if seconds < 0:
        first = "due"
    elif seconds < SOON_SECONDS:
        first = f"in {duration(seconds)}: {first}"
    _fact(column, "Next", first)
    with column.container(gap=None), guarded():
        later = [one for one in brief.upcoming() if one > moment][: SHOWN_TIMES - 1]
        if later:
            st.caption(f"then {', '.join(plain(clock(one, schedule.timezone)) for one in later)}")
        if moment.utcoffset() != moment.astimezone(ZoneInfo(own_zone())).utcoffset():
            st.caption(f"by your clock {plain(clock(moment))}")


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
        _fact(left, "Last checked", ago(watch.last_seen_at) if watch.last_seen_at else "not yet")
        _fact(right, "Last import", watch.outcome)
        with st.container(horizontal=True):
            label, icon = ("Resume", "play_circle") if watch.paused else ("Pause", "pause")
            _button(label, f"hold-{key}", icon, lambda: client().schedules.pause_watch(key, not watch.paused))
            _button("Import now", f"import-{key}", "download", lambda: client().schedules.import_now(key))
            _button("Open the data set", f"open-{key}", "photo_library", lambda: go("data", dataset=watch.dataset))
            _remove(key, "The folder is no longer watched; imported photos stay.", client().schedules.remove_watch)


def log_table(runs: list[ScheduledRun]) -> None:
    """Draw the log; choosing a line opens its decision."""
    rows = [
        {
            "When": one.planned_at,
            "Model": one.model,
            "Cause": one.trigger,
            "State": one.state.words,
            "Outcome": one.note,
            "Took": _took(one),
        }
        for one in runs
    ]
    chosen = chosen_row(
        rows,
        key="schedule-log",
        on_select=_open_chosen,
        column_config={
            "When": st.column_config.DatetimeColumn("When", format="YYYY-MM-DD HH:mm", timezone=own_zone()),
            "Outcome": st.column_config.TextColumn("Outcome", width="large"),
        },
    )
    if chosen is not None:
        scheduled = runs[chosen]
        pressed = st.session_state.pop(OPENED, False)  # the table is drawn again and again: leave the page once
        if scheduled.state == State.FINISHED and pressed:
            go("models", decision=scheduled.decision_id)
        elif scheduled.state != State.FINISHED:
            st.info(plain(f"{scheduled.trigger}: {scheduled.note or scheduled.state.words}"))


def _open_chosen() -> None:
    st.session_state[OPENED] = True


def _took(scheduled: ScheduledRun) -> str:
    if scheduled.started_at is None or scheduled.finished_at is None:
        return "-"
    return duration((scheduled.finished_at - scheduled.started_at).total_seconds())

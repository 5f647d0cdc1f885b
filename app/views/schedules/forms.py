"""Forms for a schedule, new or to be changed, and for a folder to watch. They open as dialogs and close when saved."""

from __future__ import annotations

from contextlib import suppress
from datetime import time
from pathlib import Path
from typing import Any

import streamlit as st

from app.client import client
from app.client.label_tables import TABLE_SUFFIXES, beginning
from app.client.schedules import WEEKDAYS, Schedule, Weekly, time_zones, weekly_of
from app.components.clock import clock, own_zone
from app.components.dataset_columns import NO_CHOICE, choose_columns
from app.components.page import guarded, plain
from workflows.errors import FieldguideError

KINDS = {"weekly": "By day and time", "every": "At an interval", "images": "As photos arrive", "cron": "Cron line"}
UNITS = {"minutes": 60, "hours": 3600, "days": 86_400}
OVERLAPS = {"skip": "Skip it", "queue": "Queue it"}
MISSED = {"run-once": "Run once", "skip": "Skip it"}
STARTS = {
    "pretrained": "Pretrained weights",
    "champion": "The champion's weights",
    "both": "Both; the better one is used",
}
FIRST = Weekly(frozenset({0}), 3, 0)
"""What a new schedule starts with: Mondays at 3:00, when hardly anybody needs the machine."""
FEWEST_CHANGES = 20
OPEN = "schedules-open"
"""In the session's state: which form is open, `NEW`, `WATCH` or the id of a schedule."""
NEW, WATCH = "new", "watch"


def open_form(which: str) -> None:
    """Open a form; it is drawn by the run of the whole page that this starts."""
    st.session_state[OPEN] = which
    st.rerun()


def _close() -> None:
    st.session_state.pop(OPEN, None)


def draw_form(models: list[str], schedules: list[Schedule]) -> None:
    """Draw the form that is open, if one is."""
    which = st.session_state.get(OPEN)
    schedule = next((one for one in schedules if one.id == which), None)
    if which == NEW and models:
        st.dialog("Add a schedule", width="medium", on_dismiss=_close)(_schedule_form)(models, None)
    elif which == WATCH:
        st.dialog("Watch a folder", width="medium", on_dismiss=_close)(_watch_form)()
    elif schedule is not None:
        st.dialog("Change the schedule", width="medium", on_dismiss=_close)(_schedule_form)(models, schedule)
    else:
        _close()  # of a schedule that is gone


def _schedule_form(models: list[str], schedule: Schedule | None) -> None:
    """Draw the form for a schedule: a new one, or one that is there."""
    key = schedule.id if schedule else NEW
    if schedule is None:
        named = st.query_params.get("model")  # another page leads here with it
        first = models.index(named) if named in models else 0
        model = st.selectbox("Model", models, index=first, key=f"{key}-model")
    else:
        model = schedule.model
        st.markdown(f"**{plain(model)}**")
    kind = st.segmented_control(
        "Retrain it",
        list(KINDS),
        format_func=KINDS.__getitem__,
        default=_kind(schedule),
        key=f"{key}-kind",
        required=True,
    )
    times = _times(str(kind), key, schedule)
    options = _options(key, schedule)
    label, icon = ("Save", "check") if schedule else ("Add the schedule", "add")
    if not st.button(label, type="primary", icon=f":material/{icon}:", key=f"{key}-add", disabled=times is None):
        return
    with guarded():
        if schedule is None:
            client().schedules.add(str(model), **options, **(times or {}))
        else:
            client().schedules.edit(schedule.id, **options, **(times or {}))
        _close()
        st.rerun()


def _kind(schedule: Schedule | None) -> str:
    if schedule is None:
        return "weekly"
    if schedule.cron is not None:
        return "weekly" if weekly_of(schedule.cron) else "cron"
    return "every" if schedule.every_seconds is not None else "images"


def _times(kind: str, key: str, schedule: Schedule | None) -> dict[str, Any] | None:
    """Let the times be chosen; return the arguments of `Schedules.add`, None while they are incomplete."""
    if kind == "images":
        many = schedule.on_new_images if schedule else None
        number = st.number_input("New labelled images", 1, value=many or 200, key=f"{key}-images", width=240)
        return {"on_new_images": int(number)}
    if kind == "every":
        return {"every_seconds": _interval(key, schedule.every_seconds if schedule else None)}
    line = schedule.cron if schedule else None
    cron = _weekly(key, line) if kind == "weekly" else _line(key, line)
    zone = _zone(key, schedule.timezone if schedule else own_zone())
    if cron is None:
        return None
    with suppress(FieldguideError):  # reported when it is added; an unfinished line is never valid
        found = client().schedules.upcoming(cron, zone)
        st.caption(f"Next: {' · '.join(plain(clock(moment, zone)) for moment in found)}")
        if kind == "weekly":
            st.caption(f"As a cron line: `{cron}`")
    return {"cron": cron, "timezone": zone}


def _weekly(key: str, line: str | None) -> str | None:
    """Let weekdays and a time of day be chosen; return their cron line, None without a day."""
    before = (weekly_of(line) if line else None) or FIRST
    with st.container(horizontal=True, vertical_alignment="bottom"):
        days = st.pills(
            "Days",
            range(len(WEEKDAYS)),
            selection_mode="multi",
            default=sorted(before.days),
            format_func=lambda day: WEEKDAYS[day][:3],
            key=f"{key}-days",
            wrap=True,
        )
        at = st.time_input("Time of day", before.clock, step=300, key=f"{key}-clock", width=140)
    if not days:
        st.caption(":material/info: Choose at least one day.")
        return None
    return Weekly.at(days, at or time()).cron


def _line(key: str, line: str | None) -> str:
    return st.text_input(
        "Cron line: minute, hour, day of the month, month, day of the week",
        line or FIRST.cron,
        key=f"{key}-cron",
        help="Each is a number, `*` (every), a list (`1,15`), a range (`1-5`) or a step (`*/6`). `0 3 * * 1`: Mondays at 3:00; "
        "`30 6 1 * *`: the first of each month at 6:30.",
    )


def _zone(key: str, zone: str) -> str:
    """Let the time zone be chosen whose clock counts."""
    known = time_zones()
    options = known if zone in known else [zone, *known]
    own = own_zone()
    return st.selectbox(
        "Time zone",
        options,
        index=options.index(zone),
        format_func=lambda name: f"{name} (yours)" if name == own else name,
        key=f"{key}-zone",
        width=320,
    )


def _interval(key: str, seconds: int | None) -> int:
    """Let an interval be chosen, in the largest unit that it is a whole number of."""
    seconds = seconds or 6 * 3600
    whole = [unit for unit, length in UNITS.items() if seconds % length == 0]
    left, right = st.columns([1, 2])
    if not whole:  # set in a terminal
        return int(left.number_input("Every … seconds", 10, value=seconds, key=f"{key}-seconds"))
    number = left.number_input("Every", 1, value=seconds // UNITS[whole[-1]], key=f"{key}-every")
    units = list(UNITS)
    unit = right.selectbox("Unit", units, index=units.index(whole[-1]), key=f"{key}-unit", label_visibility="hidden")
    return int(number) * UNITS[unit]


def _options(key: str, schedule: Schedule | None) -> dict[str, Any]:
    """Let the rest be chosen; return the arguments of `Schedules.add`."""
    settings = schedule.settings if schedule else {}
    with st.expander("More options"):
        first, second, third = st.columns(3)
        now = ("skip", "run-once") if schedule is None else (schedule.overlap, schedule.missed)
        with first:
            overlap = _one_of("While a retraining is under way", OVERLAPS, now[0], f"{key}-overlap")
        with second:
            missed = _one_of("Runs missed while the studio was off", MISSED, now[1], f"{key}-missed")
        with third:
            start = settings.get("start_from", "pretrained")
            start = _one_of("The challenger starts from", STARTS, start, f"{key}-start")
        changes = st.number_input(
            "Minimum number of changed images",
            0,
            value=int(settings.get("min_changes", FEWEST_CHANGES)),
            key=f"{key}-changes",
            width=240,
        )
    return {"overlap": overlap, "missed": missed, "settings": {"min_changes": int(changes), "start_from": start}}


def _one_of(label: str, titles: dict[str, str], before: str, key: str) -> str:
    names = list(titles)
    return st.selectbox(label, names, index=names.index(before), format_func=titles.__getitem__, key=key)


def _watch_form() -> None:
    """Draw the form for a folder to watch."""
    left, right = st.columns([1, 2])
    dataset = left.text_input("Data set", key="watch-dataset", placeholder="birds")
    folder = right.text_input("Folder on the studio's machine", key="watch-folder", placeholder="/photos/new")
    labels, columns = "", NO_CHOICE
    how = st.segmented_control(
        "Labels", ["Sub-folders", "A label file", "None yet"], default="Sub-folders", key="watch-how", required=True
    )
    if how == "A label file":
        labels = st.text_input(
            "Label file (CSV: filename, label)", key="watch-labels", placeholder="/photos/labels.csv"
        ).strip()
        columns = _columns(labels)
    every = st.number_input("Check every … seconds", 2, value=60, key="watch-every", width=240)
    if st.button("Watch it", type="primary", icon=":material/visibility:", key="watch-add"):
        with guarded():
            client().schedules.watch(dataset.strip(), folder.strip(), labels, how == "None yet", int(every), **columns)
            _close()
            st.rerun()


def _columns(labels: str) -> dict[str, str | None]:
    """Let the columns of a label file be chosen once it is named."""
    file = Path(labels).expanduser()
    if not labels or file.suffix.lower() not in TABLE_SUFFIXES:
        return NO_CHOICE
    try:
        preview = beginning(file)
    except FieldguideError:
        return NO_CHOICE  # it may be created later
    if preview is None:
        return NO_CHOICE
    return choose_columns("watch", file.name, preview, expanded=bool(preview.notes or not preview.complete))

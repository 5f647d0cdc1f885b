"""What every page has: a heading, errors in words, an empty state, the choice of a data set or run, numbers, colours.

Names that people typed are shown as text: in Streamlit's widgets and tables they are, in headings and
markdown put them through :func:`plain`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import streamlit as st

from app.client import client
from app.words import duration, headline, metric, percent, size_of
from workflows.errors import FieldguideError

__all__ = [
    "Action",
    "Colours",
    "ago",
    "colours",
    "count",
    "duration",
    "empty_state",
    "go",
    "guarded",
    "header",
    "headline",
    "metric",
    "percent",
    "pick_dataset",
    "pick_run",
    "plain",
    "show_error",
    "size_of",
    "state_badge",
    "view",
]

BadgeColour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray"]

STATES: dict[str, tuple[BadgeColour, str]] = {
    "pending": ("yellow", "hourglass_empty"),
    "running": ("blue", "play_arrow"),
    "finished": ("green", "check"),
    "failed": ("red", "error"),
    "cancelled": ("gray", "stop"),
    "interrupted": ("orange", "bolt"),
}
_MARKED = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&])")


@dataclass(frozen=True)
class Colours:
    """Colours for charts in the theme that the browser shows, from Okabe and Ito's palette."""

    ink: str
    soft: str
    line: str
    train: str
    val: str
    test: str
    good: str
    bad: str
    warn: str


_LIGHT = Colours("#1c2430", "#5b6675", "#dfe3e8", "#d55e00", "#0072b2", "#9b4f8c", "#009e73", "#d55e00", "#b07d00")
_DARK = Colours("#e6e9ee", "#9aa5b3", "#30363f", "#ee8a3c", "#56b4e9", "#d795c9", "#3fc79a", "#ee8a3c", "#e6c04c")


def colours() -> Colours:
    """Return the colours of the theme that this browser shows."""
    return _DARK if st.context.theme.type == "dark" else _LIGHT


def plain(text: object) -> str:
    """Return `text` so that markdown shows it as it is: one line, nothing in it is a mark-up."""
    return _MARKED.sub(r"\\\1", " ".join(str(text).split()))


def view(name: str) -> str:
    """Return what `st.switch_page` and `st.page_link` call the page `name`, e.g. `run`."""
    return f"views/{name}.py"


def go(name: str, **query: str) -> None:
    """Leave for the page `name`, with these parameters in its address, e.g. `go("run", run=run_id)`."""
    st.switch_page(view(name), query_params=query)


def header(title: str, caption: str = "") -> None:
    """Draw the page's heading; `caption` says in a line what it is for."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.header(plain(title), anchor=False, width="content")
        if caption:
            st.caption(plain(caption), width="content")


def show_error(error: FieldguideError) -> None:
    """Say what went wrong and what to do about it, where the person is looking."""
    lines = [plain(line) for line in error.message.splitlines()]
    lines += [f"**What to do:** {plain(error.hint)}"] if error.hint else []
    st.error("  \n".join(lines), icon=":material/error:")


@contextmanager
def guarded() -> Iterator[None]:
    """Show a FieldguideError of the body in words in its place; the page goes on behind the block."""
    try:
        yield
    except FieldguideError as error:
        show_error(error)


@dataclass(frozen=True)
class Action:
    """A way out of an empty state: a page to go to, or something to do."""

    label: str
    page: str | None = None
    do: Callable[[], object] | None = None
    icon: str | None = None
    primary: bool = False


def empty_state(text: str, *actions: Action, key: str = "empty") -> None:
    """Say that there is nothing here yet, and offer what to do about it."""
    with st.container(border=True, horizontal_alignment="center", gap="medium"):
        st.markdown(plain(text), text_alignment="center")
        if not actions:
            return
        with st.container(horizontal=True, horizontal_alignment="center"):
            for number, action in enumerate(actions):
                pressed = st.button(
                    action.label,
                    key=f"{key}-{number}",
                    type="primary" if action.primary else "secondary",
                    icon=f":material/{action.icon}:" if action.icon else None,
                )
                if pressed and action.do is not None:
                    with guarded():
                        action.do()
                if pressed and action.page is not None:
                    st.switch_page(view(action.page))


def state_badge(state: str) -> None:
    """Draw a run's state as a coloured word."""
    colour, icon = STATES.get(state, ("gray", "help"))
    st.badge(state, color=colour, icon=f":material/{icon}:")


def pick_dataset(key: str = "pick") -> str | None:
    """Let a data set be chosen, bound to `?dataset=`; None (and an empty state) if there is none."""
    with guarded():
        names = [dataset.name for dataset in client().store.datasets.list()]
        if names:
            return _pick("Data set", "dataset", names, key)
        empty_state(
            "There are no data sets yet.",
            Action("Bring in photos", page="data", icon="upload", primary=True),
            key=key,
        )
    return None


def pick_run(key: str = "pick") -> str | None:
    """Let a run be chosen, bound to `?run=`; None (and an empty state) if there is none.

    Args:
        key: tells several choices in one page apart.
    """
    with guarded():
        ids = client().runs.ids(besides=st.query_params.get("run"))
        if ids:
            return _pick("Run", "run", ids, key)
        train = Action("Set up a training", page="workflow", icon="play_arrow", primary=True)
        begin = Action("Bring in photos", page="data", icon="upload", primary=True)
        empty_state("Nothing was trained yet.", train if client().store.datasets.list() else begin, key=key)
    return None


def _pick(label: str, parameter: str, options: Sequence[str], key: str) -> str:
    """Choose one of `options`; the address says which, and other pages begin with the same one."""
    widget, last = f"{key}-{parameter}", f"last-{parameter}"
    wanted = st.query_params.get(parameter)
    if wanted is not None and wanted not in options:
        st.warning(plain(f"There is no {label.lower()} {wanted!r} to show here."))
    if wanted not in options:
        wanted = st.session_state.get(last)
    st.session_state[widget] = wanted if wanted in options else options[0]

    def note() -> None:
        st.query_params[parameter] = st.session_state[widget]

    chosen = st.selectbox(label, options, key=widget, on_change=note)
    st.session_state[last] = st.query_params[parameter] = chosen
    return chosen


def count(number: int) -> str:
    """12345 -> '12,345'."""
    return f"{number:,}"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Say how long ago `moment` (aware) was, as '5 s ago', '3 min ago', '2 h ago', '4 days ago'; '-' for None."""
    if moment is None:
        return "-"
    seconds = max(0.0, ((now or datetime.now(moment.tzinfo)) - moment).total_seconds())
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"

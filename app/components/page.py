"""What every page has: a heading, error messages, an empty state, the choice of a data set or run, numbers, colours.

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

import pandas as pd
import streamlit as st

from app.client import client
from app.components.address import change_address
from app.components.lists import whole_list
from app.words import duration, metric, percent, size_of
from workflows.errors import FieldguideError
from workflows.palette import PALETTES, Palette
from workflows.state import State
from workflows.words import SHOWN

__all__ = [
    "Action",
    "ago",
    "colours",
    "count",
    "duration",
    "empty_state",
    "go",
    "guarded",
    "header",
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

STATES: dict[State, tuple[BadgeColour, str]] = {
    State.PENDING: ("yellow", "hourglass_empty"),
    State.RUNNING: ("blue", "play_arrow"),
    State.STOPPING: ("gray", "stop"),
    State.FINISHED: ("green", "check"),
    State.SKIPPED: ("gray", "skip_next"),
    State.FAILED: ("red", "error"),
    State.CANCELLED: ("gray", "stop"),
    State.INTERRUPTED: ("orange", "bolt"),
}
_MARKED = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&])")


def colours() -> Palette:
    """Return the colours of the theme that this browser shows."""
    return PALETTES["dark" if st.context.theme.type == "dark" else "light"]


def plain(text: object) -> str:
    """Return `text` escaped for markdown, on one line: nothing in it acts as mark-up."""
    return _MARKED.sub(r"\\\1", " ".join(str(text).split()))


def view(name: str) -> str:
    """Return what `st.switch_page` and `st.page_link` call the page `name`, e.g. `run`."""
    return f"views/{name}/page.py"


def go(name: str, **query: str) -> None:
    """Leave for the page `name`, with these parameters in its address, e.g. `go("run", run=run_id)`."""
    st.switch_page(view(name), query_params=query)


def header(title: str, caption: str = "") -> None:
    """Draw the page's heading; `caption` is one line about its purpose."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.header(plain(title), anchor=False, width="content")
        if caption:
            st.caption(plain(caption), width="content")


def show_error(error: FieldguideError) -> None:
    """Show what went wrong and what to do about it, in place."""
    lines = [plain(line) for line in error.message.splitlines()]
    lines += [f"**What to do:** {plain(error.hint)}"] if error.hint else []
    st.error("  \n".join(lines), icon=":material/error:")
    if len(error.problems) > SHOWN:
        whole_list(f"All {len(error.problems):,}", pd.DataFrame({"Problem": error.problems}), "problems.csv")


@contextmanager
def guarded() -> Iterator[None]:
    """Show a FieldguideError of the body in its place; the page continues after the block."""
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
    """Show that there is nothing here yet, and offer what to do about it."""
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


def state_badge(state: State) -> None:
    """Draw a state as a coloured word."""
    colour, icon = STATES[state]
    st.badge(state.words, color=colour, icon=f":material/{icon}:")


def pick_dataset(key: str = "pick") -> str | None:
    """Let a data set be chosen, bound to `?dataset=`; None (and an empty state) if there is none."""
    with guarded():
        names = [dataset.name for dataset in client().store.datasets.list()]
        if names:
            return _pick("Data set", "dataset", names, key, client().marks.called("dataset"))
        empty_state(
            "There are no data sets yet.",
            Action("Import photos", page="data", icon="upload", primary=True),
            key=key,
        )
    return None


def pick_run(key: str = "pick") -> str | None:
    """Let a run be chosen, bound to `?run=`; None (and an empty state) if there is none.

    Args:
        key: distinguishes several choices on one page.
    """
    with guarded():
        ids = client().runs.ids(besides=st.query_params.get("run"))
        if ids:
            return _pick("Run", "run", ids, key, client().marks.called("run"))
        train = Action("Set up a training", page="workflow", icon="play_arrow", primary=True)
        begin = Action("Import photos", page="data", icon="upload", primary=True)
        empty_state("There are no runs yet.", train if client().store.datasets.list() else begin, key=key)
    return None


def _pick(label: str, parameter: str, options: Sequence[str], key: str, called: Callable[[str], str]) -> str:
    """Let one of `options` be chosen; the address holds it, and other pages start with the same one."""
    widget, last = f"{key}-{parameter}", f"last-{parameter}"
    wanted = st.query_params.get(parameter)
    if wanted is not None and wanted not in options:
        st.warning(plain(f"No {label.lower()} is called {wanted!r}."))
    if wanted not in options:
        wanted = st.session_state.get(last)
    st.session_state[widget] = wanted if wanted in options else options[0]

    def note() -> None:
        change_address({parameter: st.session_state[widget]})

    chosen = st.selectbox(label, options, key=widget, on_change=note, format_func=called)
    change_address({parameter: chosen})
    st.session_state[last] = chosen
    return chosen


def count(number: int) -> str:
    """12345 -> '12,345'."""
    return f"{number:,}"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago `moment` (aware) was, as '5 s ago', '3 min ago', '2 h ago', '4 days ago'; '-' for None."""
    if moment is None:
        return "-"
    seconds = max(0.0, ((now or datetime.now(moment.tzinfo)) - moment).total_seconds())
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"

"""The page's state in its address: `?step=12&view=matrix&cell=rose→tulip` opens exactly that, and follows changes.

The address is the source of truth: widgets are set from it before they are drawn and write to it when they change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

ARROW = "→"
OVERTAKEN_SECONDS = 0.7
"""Seconds after a choice in which a rerun may still carry the address from before it."""


@dataclass(frozen=True)
class Focus:
    """Which images are shown: those of one cell, of one class, or all.

    Attributes:
        cell: (true class, predicted class).
        label: a class; its images, and those predicted as it.
    """

    cell: tuple[str, str] | None = None
    label: str | None = None


def read_focus(classes: Sequence[str]) -> Focus:
    """Return what `?cell=` or `?class=` names; classes that the run does not have are ignored."""
    cell, label = st.query_params.get("cell"), st.query_params.get("class")
    return Focus(parse_cell(cell, classes) if cell else None, label if label in set(classes) else None)


def parse_cell(text: str, classes: Sequence[str]) -> tuple[str, str] | None:
    """Split `true→predicted`. Names may contain arrows themselves: the first split into two known names counts."""
    known, parts = set(classes), text.split(ARROW)
    for cut in range(1, len(parts)):
        true, predicted = ARROW.join(parts[:cut]), ARROW.join(parts[cut:])
        if true in known and predicted in known:
            return true, predicted
    return None


def focus_on(*, cell: tuple[str, str] | None = None, label: str | None = None) -> None:
    """Show the images of a cell or a class; with neither, of no particular one."""
    shown = "matrix" if "cell" in st.query_params else "classes"
    had = [st.query_params.pop(name, None) for name in ("cell", "class")]
    if any(had) and cell is None and label is None and "view" not in st.query_params:
        st.query_params["view"] = shown  # stay in the same view
    if cell is not None:
        st.query_params["cell"] = ARROW.join(cell)
    if label is not None:
        st.query_params["class"] = label


def bind(parameter: str, options: Sequence[str], default: str, key: str) -> Callable[[], None]:
    """Set the widget `key` from the address; return its `on_change`, which writes the address."""
    last = f"{key}-last-choice"

    def write(chosen: str | None) -> None:
        if chosen is None or chosen == default:
            st.query_params.pop(parameter, None)
        else:
            st.query_params[parameter] = chosen

    def note() -> None:
        chosen = st.session_state.get(key)
        st.session_state[last] = _Choice(st.query_params.get(parameter), chosen, time.monotonic())
        write(chosen)

    choice: _Choice | None = st.session_state.get(last)
    if choice is not None and choice.is_newer_than(st.query_params.get(parameter)):
        write(choice.chosen)
    wanted = st.query_params.get(parameter)
    st.session_state[key] = wanted if wanted in options else default
    return note


@dataclass(frozen=True)
class _Choice:
    """The latest choice, and the address before it."""

    before: str | None
    chosen: str | None
    at: float

    def is_newer_than(self, address: str | None) -> bool:
        """Return whether this address is one from before the choice.

        A rerun that something else triggered (a job that ended, say) just when a person chose may come after
        the choice with the address from before it. Without this the choice would be undone.
        """
        return address == self.before and time.monotonic() - self.at < OVERTAKEN_SECONDS


def pick_view(titles: Mapping[str, str], default: str, key: str) -> str:
    """Let one of a page's views be chosen (`?view=`).

    Args:
        titles: what to call each view, by its name in the address.
        default: the view that is shown where the address names none; it keeps the address short.
        key: the widget's.
    """
    note = bind("view", list(titles), default, key)
    chosen = st.segmented_control(
        "View",
        list(titles),
        format_func=titles.__getitem__,
        key=key,
        on_change=note,
        required=True,
        label_visibility="collapsed",
    )
    return str(chosen)

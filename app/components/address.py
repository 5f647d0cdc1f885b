"""The page's state in its address: `?step=12&view=matrix&cell=rose→tulip` opens exactly that, and follows changes.

The address is the source of truth: widgets are set from it before they are drawn and write to it when they change.

A browser sends its address with every rerun that it asks for. One that something else asks for (a part of the page that
polls, say) in the moment of a choice brings the address from before the choice, which would undo it. So all writing goes
through :func:`change_address`, which notes what the address was, and :func:`kept_address` puts back what such a rerun lost.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

ARROW = "→"
OVERTAKEN_SECONDS = 1.0
"""Seconds after the run that changed the address in which a rerun may still bring the one from before it. For as long,
the browser's way back is not followed."""
TRAIL = "address-trail"
Address = frozenset[tuple[str, str]]


@dataclass
class _Trail:
    """How this session's address changed.

    Attributes:
        page: which one is open. On another page all of this is forgotten.
        newest: the address after the latest change.
        left: addresses before changes, and when the run that left them ended, in seconds; infinity: it goes on.
    """

    page: str
    newest: dict[str, str]
    left: dict[Address, float]


def change_address(changes: Mapping[str, str | None]) -> None:
    """Change parameters of the address; those whose value is None are dropped, the others stay."""
    before = _catch_up(_trail())
    left = {name: value for name, value in before.items() if name not in changes}
    replace_address(left | {name: value for name, value in changes.items() if value is not None})


def replace_address(address: Mapping[str, str]) -> None:
    """Give the address these parameters and no others."""
    trail = _trail()
    before, wanted = _catch_up(trail), dict(address)
    if wanted != before:
        trail.left[frozenset(before.items())] = math.inf
        trail.left.pop(frozenset(wanted.items()), None)
        trail.newest = wanted
        _write(wanted)


def _trail() -> _Trail:
    trail: _Trail = st.session_state.setdefault(TRAIL, _Trail("", {}, {}))
    return trail


@contextmanager
def kept_address(page: str) -> Iterator[None]:
    """Draw a page within this: choices made a moment ago stay, whatever address this run came with.

    Args:
        page: its name.
    """
    trail: _Trail | None = st.session_state.get(TRAIL)
    if trail is None or trail.page != page:
        trail = st.session_state[TRAIL] = _Trail(page, {}, {})
    _catch_up(trail)
    try:
        yield
    finally:
        now = time.monotonic()
        trail.left = {each: min(at, now) for each, at in trail.left.items() if now - at < OVERTAKEN_SECONDS}


def _catch_up(trail: _Trail) -> dict[str, str]:
    """Put the newest address back if this run came with one from before it; return the address."""
    address = st.query_params.to_dict()
    left = trail.left.get(frozenset(address.items()))
    if left is None or time.monotonic() - left >= OVERTAKEN_SECONDS:
        return address
    _write(trail.newest)
    return dict(trail.newest)


def _write(address: Mapping[str, str]) -> None:
    if address:
        st.query_params.from_dict(address)
    else:
        st.query_params.clear()


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
    had = "cell" in st.query_params or "class" in st.query_params
    if had and cell is None and label is None and "view" not in st.query_params:
        change_address({"view": shown})  # stay in the same view
    change_address({"cell": None if cell is None else ARROW.join(cell), "class": label})


def bind(parameter: str, options: Sequence[str], default: str, key: str) -> Callable[[], None]:
    """Set the widget `key` from the address; return its `on_change`, which writes the address."""

    def note() -> None:
        chosen = st.session_state.get(key)
        change_address({parameter: None if chosen == default else chosen})

    wanted = st.query_params.get(parameter)
    st.session_state[key] = wanted if wanted in options else default
    return note


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

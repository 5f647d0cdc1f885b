"""Pictures in a grid that can be selected.

Everything typed by people reaches the page as text, never as HTML: the browser side only sets `textContent`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from app.components.component_key import component_key

Tone = Literal["", "good", "bad", "warn"]
Select = Literal["none", "one", "many"]

_HERE = Path(__file__).parent
_HTML = '<div class="grid" role="group"></div>\n'
_component = st.components.v2.component(
    "fieldguide.gallery",
    html=_HTML,
    css=(_HERE / "gallery.css").read_text(encoding="utf-8"),
    js=(_HERE / "gallery.js").read_text(encoding="utf-8"),
)

# A grey square with a slash, for pictures that can't be read.
_MISSING = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8" fill="#8884"/>'
    b'<path d="M2 6L6 2" stroke="#888" stroke-width=".4"/></svg>'
)
BLANK = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"/>'
"""Keeps the place of a picture that is still being made."""
_KINDS = ((b"\x89PNG", "image/png"), (b"GIF8", "image/gif"), (b"RIFF", "image/webp"), (b"<svg", "image/svg+xml"))


@dataclass(frozen=True)
class Tile:
    """One picture of a gallery.

    Attributes:
        key: identifies the tile in what `gallery` returns.
        image: a small picture (JPEG, PNG, WebP or GIF), as a file or as bytes; None shows a placeholder.
        caption: first line below, and the picture's description for screen readers.
        detail: second line.
        tone: marks the tile as good (✓), bad (✗) or to be looked at (!).
        second_image: shown beside the first, e.g. its heat-map.
    """

    key: str
    image: Path | bytes | None
    caption: str
    detail: str = ""
    tone: Tone = ""
    second_image: Path | bytes | None = None


def gallery(tiles: Sequence[Tile], *, key: str, columns: int = 6, select: Select = "one") -> list[str]:
    """Show tiles and return the keys of those that are chosen, in the order of the tiles.

    Args:
        tiles: one page of them: dozens, not thousands.
        key: of the widget; a choice lasts as long as a gallery with this key is shown.
        columns: tiles side by side.
        select: whether none, one or many can be chosen.

    Returns:
        Chosen keys among `tiles`. What was chosen on another page counts again when that page is shown.
    """
    widget = _widget_key(key)
    data = {
        "tiles": [_document(tile) for tile in tiles],
        "columns": columns,
        "select": select,
        "selected": chosen_before(key),
    }
    result = _component(key=widget, data=data, default={"selected": []}, on_selected_change=_nothing)
    chosen = set(result.get("selected") or []) if select != "none" else set()
    return [tile.key for tile in tiles if tile.key in chosen]


def chosen_before(key: str) -> list[str]:
    """Return what is chosen in the gallery with this key, before it is drawn: for what depends on it above it."""
    state = st.session_state.get(_widget_key(key)) or {}
    return list(state.get("selected") or [])


def clear_selection(key: str) -> None:
    """Let nothing be chosen in the gallery with this key, from the next run of the page on."""
    rounds = f"{key}-round"
    st.session_state[rounds] = int(st.session_state.get(rounds, 0)) + 1


def pager(total: int, page_size: int, key: str) -> slice:
    """Show which page of `total` items is open, with buttons to the others; return which items to show.

    Nothing is drawn where one page holds all.
    """
    pages = max(1, -(-total // page_size))
    place = min(int(st.session_state.get(key, 1)), pages)
    if st.session_state.get(key, place) != place:
        st.session_state[key] = place  # there were more pages a moment ago
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            place = st.pagination(pages, key=key)
            st.caption(f"{(place - 1) * page_size + 1:,} to {min(place * page_size, total):,} of {total:,}")
    return slice((place - 1) * page_size, min(place * page_size, total))


def _nothing() -> None:
    """A state of a component needs a callback to exist."""


def _widget_key(key: str) -> str:
    return component_key(f"{key}-{st.session_state.get(f'{key}-round', 0)}")


def _document(tile: Tile) -> dict[str, Any]:
    images = [_source(tile.image)]
    if tile.second_image is not None:
        images.append(_source(tile.second_image))
    return {"key": tile.key, "images": images, "caption": tile.caption, "detail": tile.detail, "tone": tile.tone}


def _source(image: Path | bytes | None) -> str:
    """Return a picture as a data URI."""
    if image is None:
        return _as_uri(_MISSING)
    if isinstance(image, bytes):
        return _as_uri(image)
    try:
        return _file_uri(image, image.stat().st_mtime_ns)
    except OSError:  # deleted in between: a hole in the gallery is better than no page
        return _as_uri(_MISSING)


@lru_cache(maxsize=2048)  # of some 10 KB each
def _file_uri(path: Path, changed: int) -> str:
    return _as_uri(path.read_bytes())


def _as_uri(content: bytes) -> str:
    kind = next((name for start, name in _KINDS if content.startswith(start)), "image/jpeg")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

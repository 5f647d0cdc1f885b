"""A drop zone for photos, folders and archives, which stream to disk, whatever their number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from app.client import client
from app.client.uploads import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, Batch
from app.components.component_key import component_key
from app.components.page import count, plain, size_of

PATH = "fieldguide/upload"
_HERE = Path(__file__).parent
_HTML = """
<div class="zone" role="group">
  <div class="title"></div>
  <div class="hint"></div>
  <div class="limits"></div>
  <div class="bar"><div class="fill"></div></div>
  <div class="note" role="status"></div>
  <div class="buttons">
    <button type="button" class="files">Choose files</button>
    <button type="button" class="folder">Choose a folder</button>
    <button type="button" class="stop">Stop</button>
  </div>
  <input type="file" class="pick-files" multiple>
  <input type="file" class="pick-folder" webkitdirectory>
</div>
"""
_component = st.components.v2.component(
    "fieldguide.uploads",
    html=_HTML,
    css=(_HERE / "uploads.css").read_text(encoding="utf-8"),
    js=(_HERE / "uploads.js").read_text(encoding="utf-8"),
)


def drop_zone(*, key: str, title: str, hint: str, many: bool = True) -> Batch | None:
    """Let files be dropped; return the batch once it is complete.

    The same batch is returned until :func:`forget_drop`; files that failed are listed.

    Args:
        key: distinguishes several zones.
        title: what may be dropped.
        hint: a line below.
        many: show the limits for many files; not useful where one photo is expected.
    """
    batch = _batch(key)
    if st.session_state.get(f"{key}-arrived") == batch.ticket:
        _arrived(key, batch)
        return batch
    data = {
        "title": title,
        "hint": hint,
        "limits": f"At most {count(MAX_FILES)} files and {MAX_TOTAL_BYTES // 1024**3} GB at once." if many else "",
        "path": f"/{PATH}",
        "ticket": batch.ticket,
        "maxFile": MAX_FILE_BYTES,
        "maxTotal": MAX_TOTAL_BYTES,
        "maxFiles": MAX_FILES,
    }
    widget = component_key(f"{key}-{batch.ticket[:8]}")
    result = _component(key=widget, data=data, default={"done": None}, on_done_change=_nothing)
    done: dict[str, Any] = result.get("done") or {}
    if done.get("ticket") != batch.ticket:
        return None
    if done.get("stopped"):
        forget_drop(key)
    else:
        st.session_state[f"{key}-arrived"] = batch.ticket
        st.session_state[f"{key}-failed"] = (int(done.get("failedCount") or 0), list(done.get("failed") or []))
    st.rerun()


def _arrived(key: str, batch: Batch) -> None:
    """Show what arrived and what did not; offer to start over."""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        files = f"{count(len(batch.files))} file{'s' if len(batch.files) != 1 else ''}"
        st.markdown(f":material/task_alt: {files}, {size_of(batch.bytes)}, arrived.", width="stretch")
        st.button("Drop something else", key=f"{key}-again", on_click=forget_drop, args=(key,), type="tertiary")
    number, failed = st.session_state.get(f"{key}-failed", (0, []))
    if number:
        name, why = failed[0]
        st.warning(plain(f"{count(number)} did not arrive, e.g. {name}: {why}"))


def forget_drop(key: str) -> None:
    """Start over: what was dropped before is removed from the disk, unless something uses it."""
    ticket = st.session_state.pop(f"{key}-ticket", None)
    batch = client().uploads.find(ticket) if ticket else None
    if batch is not None:
        client().uploads.discard(batch)


def hand_over(key: str) -> None:
    """Start over, and leave what was dropped to whatever uses it, which discards it later."""
    ticket = st.session_state.pop(f"{key}-ticket", None)
    batch = client().uploads.find(ticket) if ticket else None
    if batch is not None:
        client().uploads.keep(batch)


def _batch(key: str) -> Batch:
    ticket = st.session_state.get(f"{key}-ticket")
    batch = client().uploads.find(ticket) if ticket else None
    if batch is None:
        batch = client().uploads.open()
        st.session_state[f"{key}-ticket"] = batch.ticket
    return batch


def _nothing() -> None:
    """A state of a component needs a callback to exist."""

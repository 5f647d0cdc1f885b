"""The head of the Data page: which data set, and its facts in a line."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.client.datasets import DatasetVersion
from app.components.address import change_address, replace_address
from app.components.marks import mark_bar
from app.components.page import ago, count, go, guarded, plain
from app.views.data.actions import change
from workflows.data.version import SPLITS

NEW = "New data set …"
"""A choice beside the data sets; none can be called so."""


def pick() -> str:
    """Let a data set be chosen, or a new one be begun; bound to `?dataset=` (`?new=` for a new one)."""
    known = client().datasets.names()
    coming = [job.dataset for job in client().jobs.of_all("import") if job.dataset not in known]
    options = [*known, *dict.fromkeys(coming), NEW]
    wanted = st.query_params.get("dataset")
    if wanted is not None and wanted not in options:
        st.warning(plain(f"No data set is called {wanted!r}."))
    if st.query_params.get("new"):
        wanted = NEW
    if wanted not in options:
        wanted = st.session_state.get("last-dataset")
    st.session_state["data-dataset"] = wanted if wanted in options else options[0]
    if len(options) == 1:
        return NEW
    with st.container(horizontal=True, vertical_alignment="bottom"):
        called = client().marks.called("dataset")
        chosen = str(
            st.selectbox("Data set", options, key="data-dataset", on_change=_note, width=420, format_func=called)
        )
        if chosen != NEW:
            st.button("New data set", key="data-new", icon=":material/add:", on_click=_begin)
            st.space("stretch")
            if chosen in known and st.button("Annotate", key="data-annotate", icon=":material/label:"):
                go("annotate", dataset=chosen)
            if chosen in known and st.button("Train", key="data-train", icon=":material/play_arrow:", type="primary"):
                go("workflow", dataset=chosen)
    if chosen != NEW:
        change_address({"dataset": chosen})
        st.session_state["last-dataset"] = chosen
    return chosen


def _note() -> None:
    """Another data set was chosen: drop the previous one's parameters from the address."""
    chosen = st.session_state["data-dataset"]
    for each in ("browse-text", "browse-page", "browse-everything", "delete-show", "delete-name"):
        st.session_state.pop(each, None)
    if chosen == NEW:
        _begin()
    else:
        dropped = ("new", "class", "split", "finding", "image", "search", "version", "against")
        change_address({"dataset": chosen, **dict.fromkeys(dropped)})


def _begin() -> None:
    replace_address({"new": "1"})


def facts(version: DatasetVersion) -> None:
    """Show what a data set holds, and what is pending."""
    images = client().datasets.images(version)
    splits = images.counts.sum()
    parts = [f"{count(version.images)} photos", f"{count(len(version.classes))} classes"]
    parts.append(", ".join(f"{count(int(splits[split]))} {split}" for split in SPLITS))
    if images.unlabelled:
        parts.append(f"{count(images.unlabelled)} without a label")
    parts.append(f"version {version.number}, {ago(version.created_at)} by {plain(version.author or 'somebody')}")
    with st.container(gap=None):
        st.caption(" · ".join(parts))
        mark_bar("dataset", version.name)
    pending = client().annotation.pending(version.name)
    if not pending:
        return
    number = f"{count(len(pending))} label{'s' if len(pending) != 1 else ''}"
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/edit_note: {number} from the Annotate page are not in a version yet.", width="stretch")
        if st.button("Make a version", key="data-record", type="primary"):
            with guarded():
                change(lambda: client().annotation.record(version.name) or version)

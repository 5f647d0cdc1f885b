"""Storing workflows: save, open, duplicate, delete, download and upload."""

from __future__ import annotations

import hashlib

import streamlit as st

from app.client import client
from app.client.workflows import Saved
from app.components.page import ago, guarded, plain
from app.views.workflow.draft import Draft, come_from, reset


def workflow_bar(draft: Draft) -> None:
    """Draw the bar above the graph: the workflow's name, and the actions on it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(draft.workflow.name)}**{_origin(draft)}", width="stretch")
        if draft.changed and st.button("Undo changes", key="workflow-reset", icon=":material/undo:"):
            reset()
            st.rerun()
        _save(draft)
        _open()
        st.download_button(
            "YAML",
            lambda: client().workflows.as_yaml(draft.workflow),
            "workflow.yaml",
            "application/yaml",
            key="workflow-download",
            icon=":material/download:",
            on_click="ignore",
            help="Train with it in a terminal: fieldguide train NAME --workflow workflow.yaml",
        )


def _origin(draft: Draft) -> str:
    words = {
        "goal": "recommended",
        "run": f"from run {draft.source[2]}",
        "saved": "ready-made" if draft.source[2] in client().workflows.templates() else "saved",
        "upload": "uploaded",
    }[draft.source[1]]
    return f" :gray[{plain(words)}{', changed by you' if draft.changed else ''}]"


def _save(draft: Draft) -> None:
    with st.popover("Save", icon=":material/save:"):
        name = st.text_input("Name", draft.workflow.name, key=f"workflow-name-{draft.turn}", max_chars=200)
        known = {saved.name for saved in client().workflows.saved()}
        if " ".join(name.split()) in known:
            st.caption("A workflow with this name exists; saving replaces it.")
        if st.button("Save", key="workflow-save", type="primary"):
            with guarded():
                key = client().workflows.save(draft.workflow, name)
                come_from("saved", key)
                st.toast(f"Saved as {plain(name)}.", icon=":material/check:")
                st.rerun()


def _open() -> None:
    with st.popover("Open", icon=":material/folder_open:"):
        saved = client().workflows.saved()
        st.markdown("**Saved workflows**")
        if not saved:
            st.caption("None yet.")
        with st.container(height=260 if len(saved) > 4 else "content", border=False):
            for one in saved:
                _line(one)
        st.markdown("**Ready-made**")
        with st.container(horizontal=True, gap="small"):
            for name in client().workflows.templates():
                if st.button(name.replace("-", " "), key=f"template-{name}"):
                    come_from("saved", name)
                    st.rerun()
        st.markdown("**From a file**")
        _upload()


def _line(saved: Saved) -> None:
    files = client().workflows
    with st.container(horizontal=True, vertical_alignment="center"):
        words = f"**{plain(saved.name)}**  \n:gray[{ago(saved.changed_at)}]"
        st.markdown(words, width="stretch")
        if st.button("Open", key=f"open-{saved.key}"):
            come_from("saved", saved.key)
            st.rerun()
        with guarded():
            if st.button("", key=f"copy-{saved.key}", icon=":material/content_copy:", help="Duplicate"):
                files.duplicate(saved.key)
                st.rerun()
            if st.button("", key=f"delete-{saved.key}", icon=":material/delete:", help="Delete"):
                files.delete(saved.key)
                st.rerun()


def _upload() -> None:
    uploaded = st.file_uploader(
        "A workflow in YAML", type=["yaml", "yml"], key="workflow-upload", label_visibility="collapsed"
    )
    if uploaded is None:
        return
    content = uploaded.getvalue()
    mark = hashlib.sha256(content).hexdigest()[:12]
    if st.session_state.get("workflow-imported") == uploaded.file_id:
        return
    with guarded():
        workflow = client().workflows.from_yaml(content, uploaded.name)
        st.session_state["workflow-uploaded"] = (mark, workflow)
        st.session_state["workflow-imported"] = uploaded.file_id
        come_from("upload", mark)
        st.rerun()

"""The head of a run, a data set or a version: its star, tags and note, and the form that changes them."""

from __future__ import annotations

import streamlit as st

from app.client import client
from app.client.marks import Mark, Subject
from app.components.page import guarded, plain

IDS: dict[Subject, str] = {"run": "run", "dataset": "data set", "version": "version"}


def mark_bar(subject: Subject, key: str) -> None:
    """Draw star, tags and note, and let them be changed."""
    mark, widget = client().marks.get(subject, key), f"mark-{subject}-{key}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        star, does = ("star", "Remove the star") if mark.starred else ("star_border", "Add a star")
        st.button(
            does,
            key=f"{widget}-star",
            icon=f":material/{star}:",
            type="tertiary",
            on_click=client().marks.star,
            args=(subject, key, not mark.starred),
        )
        with st.popover("Name and notes", icon=":material/edit:", type="tertiary"):
            _form(subject, key, mark, widget)
        for tag in mark.tags:
            st.badge(plain(tag), color="gray")
        if mark.note:
            st.caption(plain(mark.note), width="content")


def _form(subject: Subject, key: str, mark: Mark, widget: str) -> None:
    """Draw the form. Its fields begin anew with each change, so that they never show what somebody else replaced."""
    fresh = f"{widget}-{mark.changed_at}"
    with st.form(fresh, border=False, enter_to_submit=False):
        title = st.text_input("Name", mark.title, key=f"{fresh}-title", placeholder=key, max_chars=120)
        if subject != "version":
            st.caption(f"A name to read and to search for. The {IDS[subject]}'s id stays {plain(key)}.")
        note = st.text_area("Note", mark.note, key=f"{fresh}-note")
        known = list(dict.fromkeys([*mark.tags, *client().marks.tags(subject)]))
        tags = st.multiselect(
            "Tags", known, mark.tags, key=f"{fresh}-tags", accept_new_options=True, placeholder="Choose or type tags"
        )
        if st.form_submit_button("Save", key=f"{fresh}-save", type="primary"):
            with guarded():
                client().marks.change(subject, key, title, note, tags)
                st.rerun()

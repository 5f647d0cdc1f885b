"""What can be done with many photos at once: label, move, remove, review list. Each is one new version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pandas as pd
import streamlit as st

from app.client import client
from app.client.datasets import SPLITS, DatasetVersion
from app.components.address import change_address
from app.components.gallery import clear_selection
from app.components.page import count, guarded, plain

GALLERY = "browse-gallery"
DONE = "data-done"


def action_bar(
    version: DatasetVersion, rows: pd.DataFrame, page: Sequence[str], chosen: Sequence[str], show: str
) -> None:
    """Draw the actions on the chosen photos, or on all that were found; always in the same places.

    Args:
        rows: all that were found.
        page: the ids that are on this page.
        chosen: the ids that are chosen.
        show: the list that is shown, e.g. `review`.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        everything = st.session_state.get("browse-everything", False)
        number = len(rows) if everything else len(chosen)
        st.markdown(f"**{count(number)} chosen** of {count(len(rows))}" if number else f"**{count(len(rows))} photos**")
        st.button(
            "Choose this page",
            key="browse-choose",
            on_click=choose,
            args=(list(page),),
            type="tertiary",
            disabled=everything or len(chosen) == len(page),
        )
        if len(rows) > len(page):
            st.checkbox(f"All {count(len(rows))}", key="browse-everything", help="Also those on the other pages")
        st.button(
            "Choose none",
            key="browse-none",
            on_click=choose,
            args=([],),
            type="tertiary",
            disabled=everything or not chosen,
        )
        st.space("stretch")
        _actions(version, rows.loc[rows.index.tolist() if everything else list(chosen)], show)


def chosen_among(image_ids: Iterable[str]) -> list[str]:
    """Return which of these photos are chosen in the gallery, also before it is drawn."""
    state = st.session_state.get(f"{GALLERY}-{st.session_state.get(f'{GALLERY}-round', 0)}") or {}
    selected = set(state.get("selected") or ())
    return [image for image in image_ids if image in selected]


def choose(image_ids: Sequence[str]) -> None:
    """Let these photos be chosen in the gallery, and no others."""
    clear_selection(GALLERY)
    st.session_state[f"{GALLERY}-{st.session_state[f'{GALLERY}-round']}"] = {"selected": list(image_ids)}


def _actions(version: DatasetVersion, rows: pd.DataFrame, show: str) -> None:
    ids, name, none = rows.index.tolist(), version.name, rows.empty
    with st.popover("Label", icon=":material/label:", disabled=none):
        options = client().annotation.classes(version)
        label = st.selectbox(
            "Class",
            options,
            index=None,
            accept_new_options=True,
            key="bulk-label",
            placeholder="Choose, or type a new one",
        )
        text = f"Label {_photos(ids)}"
        if st.button(text, key="bulk-label-do", type="primary", disabled=none or not label) and label:
            change(lambda: client().datasets.relabel(name, dict.fromkeys(ids, str(label))))
        if rows["label"].notna().any() and st.button("Remove the label", key="bulk-unlabel", type="tertiary"):
            change(lambda: client().datasets.relabel(name, dict.fromkeys(ids)))
    with st.popover("Move", icon=":material/drive_file_move:", disabled=none):
        split = st.segmented_control("To the split", SPLITS, key="bulk-split")
        for warning in client().datasets.release_warnings(name, ids) if split == "train" else ():
            st.warning(plain(warning), icon=":material/warning:")
        if st.button(f"Move {_photos(ids)}", key="bulk-move", type="primary", disabled=none or not split) and split:
            change(lambda: client().datasets.move(name, ids, split))
    with st.popover("Review", icon=":material/playlist_add:", disabled=none):
        note = st.text_input("Reason (optional)", key="bulk-note")
        if st.button(f"Put {_photos(ids)} on the list", key="bulk-review", type="primary", disabled=none):
            with guarded():
                client().datasets.add_to_review(name, ids, note)
                report_done(f"{_photos(ids)} on the review list.")
        if show == "review" and st.button("Remove from the list", key="bulk-reviewed", disabled=none):
            with guarded():
                client().datasets.reviewed(name, ids)
                report_done(f"{_photos(ids)} off the review list.")
    with st.popover("Remove", icon=":material/delete:", disabled=none):
        st.markdown(
            f"{_photos(ids)} will not be in the next version. Older versions still hold them: undo restores them."
        )
        if st.button(f"Remove {_photos(ids)}", key="bulk-remove", type="primary", disabled=none):
            change(lambda: client().datasets.remove(name, ids))


def change(edit: Callable[[], DatasetVersion], after_labels_of: str = "") -> None:
    """Make an edit; show the page with its outcome.

    Args:
        edit: makes the version.
        after_labels_of: labels that are pending for this data set are recorded first, so that the edit concerns them.
    """
    with guarded():
        if after_labels_of:
            client().annotation.record(after_labels_of)
        version = edit()
        clear_selection(GALLERY)
        st.session_state.pop("browse-everything", None)
        change_address({"image": None})
        report_done(f"Version {version.number}: {version.reason}.")


def report_done(text: str) -> None:
    """Show the page anew, with what was done."""
    st.session_state[DONE] = text
    st.rerun()


def report_version(version: DatasetVersion) -> None:
    """Show the page anew after a repair or a new split, and have the version audited."""
    client().jobs.start("audit", version.name)
    report_done(f"Version {version.number}: {version.reason}.")


def say_what_was_done() -> None:
    """Show what the last action did, once."""
    text = st.session_state.pop(DONE, None)
    if text:
        st.toast(plain(text), icon=":material/check:")


def _photos(ids: Sequence[str]) -> str:
    return f"{count(len(ids))} photo{'s' if len(ids) != 1 else ''}"

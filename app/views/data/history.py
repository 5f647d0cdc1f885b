"""A data set's history: its versions, what each changed, undoing the last one, deleting the data set."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd
import streamlit as st

from app.client import client
from app.client.datasets import DatasetVersion, ImageChange
from app.client.marks import version_key
from app.components.address import change_address
from app.components.choosing import chosen_row
from app.components.gallery import Tile, gallery
from app.components.lists import whole_list
from app.components.marks import mark_bar
from app.components.page import count, go, guarded, plain, size_of
from app.views.data.actions import DONE, change
from app.views.data.jobs import import_facts, quarantine, source_words
from workflows.words import listed

SHOWN_IMAGES = 16
LOOKED, AGAINST = "version", "against"
"""In the address: the version that is looked at, and the one that it is compared with."""
KINDS = {"added": "Added", "removed": "Removed", "relabelled": "Relabelled", "moved": "Moved to another split"}


def history_panel(version: DatasetVersion) -> None:
    """Draw the versions of a data set, the newest first, and what one of them changed."""
    changes = client().datasets.history(version.name)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{count(len(changes))} version{'s' if len(changes) != 1 else ''}**")
        _walk(version.name, changes)
    _one(version, changes, _versions(changes))
    with st.expander("Where the photos came from"):
        _import(version)
    quarantine(version.name)
    with st.expander("Delete this data set"):
        _delete(version.name)


def _walk(name: str, changes: list[DatasetVersion]) -> None:
    """Draw the buttons that walk back and forward through the changes."""
    line, reasons = client().datasets.timeline(name), {each.number: each.reason for each in changes}
    with st.container(horizontal=True, width="content"):
        undone = reasons[line.past[-1]] if len(line.past) > 1 else None
        tip = None if undone is None else plain(f"Takes back: {undone}")
        if st.button("Undo", key="history-undo", icon=":material/undo:", disabled=undone is None, help=tip):
            change(lambda: client().datasets.undo(name))
        again = reasons[line.future[-1]] if line.future else None
        tip = None if again is None else plain(f"Makes again: {again}")
        if st.button("Redo", key="history-redo", icon=":material/redo:", disabled=again is None, help=tip):
            change(lambda: client().datasets.redo(name))


def _versions(changes: list[DatasetVersion]) -> int:
    """Show the versions as a table; return which one is looked at: the chosen one, else that of the address."""
    words = client().marks.words("version")
    table = pd.DataFrame(
        {
            "version": [each.number for each in changes],
            "when": [each.created_at for each in changes],
            "who": [each.author for each in changes],
            "what": [each.action.replace("-", " ") for each in changes],
            "images": [each.images for each in changes],
            "classes": [len(each.classes) for each in changes],
            "why": [_why(each.reason) for each in changes],
            "name": [words(version_key(each.name, each.number)) for each in changes],
        }
    )
    chosen = chosen_row(
        table,
        key="history-table",
        height=min(330, 38 + 35 * len(table)),
        column_config={
            "version": st.column_config.NumberColumn("Version", width=70, format="v%d"),
            "when": st.column_config.DatetimeColumn("When", format="YYYY-MM-DD HH:mm"),
            "who": st.column_config.TextColumn("Who", width="small"),
            "what": st.column_config.TextColumn("What", width="small"),
            "why": st.column_config.TextColumn("Why", width="large"),
            "name": st.column_config.TextColumn("Name and tags", width="small"),
            "images": st.column_config.NumberColumn("Photos", format="localized", width=80),
            "classes": st.column_config.NumberColumn("Classes", format="localized", width=80),
        },
    )
    if chosen is not None:
        change_address(dict.fromkeys((LOOKED, AGAINST)))
        return chosen
    return next((place for place, each in enumerate(changes) if str(each.number) == st.query_params.get(LOOKED)), 0)


def _why(reason: str) -> str:
    """Name uploads by their own name."""
    before, middle, path = reason.partition(" from ")
    return f"{before}{middle}{source_words(path)}" if path.startswith("/") else reason


def _one(version: DatasetVersion, changes: list[DatasetVersion], place: int) -> None:
    """Show what people noted on a version, and how it differs from another."""
    looked = changes[place]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Version {looked.number}**")
        mark_bar("version", version_key(looked.name, looked.number))
    others = [each.number for each in changes if each.number != looked.number]
    if not others:
        return
    if looked.fingerprint != changes[0].fingerprint and st.button(
        f"Go back to version {looked.number}", key="history-restore", icon=":material/history:"
    ):
        change(lambda: client().datasets.restore(version.name, looked.number))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Compared with")
        against = next((each for each in others if str(each) == st.query_params.get(AGAINST)), looked.parent)
        first = others.index(against) if against in others else 0
        other = st.selectbox(
            "Compared with",
            others,
            index=first,
            format_func=lambda number: f"version {number}",
            key=f"history-other-{looked.number}",
            label_visibility="collapsed",
            width=140,
        )
    found = client().datasets.diff(version.name, int(other), looked.number)
    if found.empty:
        st.caption("No differences.")
        return
    for title, names in (("New classes", found.classes_added), ("Removed classes", found.classes_removed)):
        if names:
            st.caption(f"{title}: {', '.join(map(plain, names))}")
    parts: dict[str, tuple[ImageChange, ...]] = {kind: getattr(found, kind) for kind in KINDS}
    for kind, images in parts.items():
        if images:
            with st.expander(f"{KINDS[kind]}: {count(len(images))}", expanded=sum(map(bool, parts.values())) == 1):
                _images(version.name, int(other), looked.number, kind, images)


def _images(name: str, before: int, after: int, kind: str, images: tuple[ImageChange, ...]) -> None:
    number = before if kind == "removed" else after
    version = client().datasets.version(name, number)
    table = client().datasets.images(version).table
    first = [each for each in images[:SHOWN_IMAGES] if each.image_id in table.index]
    contents = {each.image_id: str(table.at[each.image_id, "sha256"]) for each in first}
    thumbs = client().datasets.thumbnails(version, contents.values())
    tiles = [
        Tile(
            each.image_id, thumbs.get(contents[each.image_id]), _change_words(kind, each), each.path.rpartition("/")[2]
        )
        for each in first
    ]
    gallery(tiles, key=f"diff-{before}-{after}-{kind}", columns=8, select="none")
    if len(images) > len(first):
        rows = pd.DataFrame([asdict(each) for each in images])[["path", "before", "after"]]
        rows.columns = pd.Index(["File", "Before", "After"])
        whole_list(f"All {count(len(rows))}", rows, f"{kind}.csv", key=f"diff-table-{before}-{after}-{kind}")


def _change_words(kind: str, image: ImageChange) -> str:
    if kind in ("added", "removed"):
        return (image.after if kind == "added" else image.before) or "no label"
    return f"{image.before or 'none'} → {image.after or 'none'}"


def _import(version: DatasetVersion) -> None:
    st.caption(plain(source_words(version.source)))
    report = client().datasets.report(version)
    if report is None:
        st.caption("No report of this import was stored.")
        return
    facts: dict[str, Any] = {
        "accepted": report.accepted,
        "rejected": report.rejected,
        "ignored": report.ignored,
        "total": report.total,
        "notes": report.notes,
    }
    import_facts(facts, [asdict(entry) for entry in report.left_out()], f"report-{version.number}")


def _delete(name: str) -> None:
    """Show what would be deleted, and delete it once its name is typed."""
    with guarded():
        if not st.toggle("Show what would be deleted", key="delete-show"):
            return
        plan = client().datasets.deletion_plan(name)
        st.markdown(
            f"- {count(plan.versions)} version{'s' if plan.versions != 1 else ''}, {count(plan.images)} pictures "
            f"({size_of(plan.bytes_freed)} are freed)\n"
            + (
                f"- {count(plan.shared)} pictures stay, because other data sets or models use them\n"
                if plan.shared
                else ""
            )
            + (f"- {count(plan.quarantined)} rejected files\n" if plan.quarantined else "")
        )
        if plan.active_runs:
            st.warning(f"Runs that have not ended use it: {plain(listed(plan.active_runs, full='the page Run'))}.")
        if plan.runs:
            st.warning(
                f"{count(len(plan.runs))} runs were trained on it. They stay, but can't be resumed or evaluated again."
            )
        typed = st.text_input(f"Type {plain(name)} to delete it permanently", key="delete-name")
        if st.button("Delete it", key="delete-do", icon=":material/delete_forever:", disabled=typed.strip() != name):
            client().datasets.delete(name, force=bool(plan.runs))
            client().annotation.forget(name)
            st.session_state.pop("last-dataset", None)
            st.session_state[DONE] = f"{name} is deleted."
            go("data")

"""How a data set became what it is: versions, what each changed, taking the last back, deleting it all."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd
import streamlit as st

from app.client import client
from app.client.datasets import DatasetVersion, ImageChange
from app.components.dataset_actions import DONE, change
from app.components.dataset_jobs import import_facts, quarantine, source_words
from app.components.gallery import Tile, gallery
from app.components.page import count, go, guarded, plain, size_of

SHOWN_IMAGES = 16
SHOWN_ROWS = 1000
KINDS = {"added": "Added", "removed": "Removed", "relabelled": "Relabelled", "moved": "Moved to another split"}


def history_panel(version: DatasetVersion) -> None:
    """Draw the versions of a data set, the newest first, and what one of them changed."""
    changes = client().datasets.history(version.name)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{count(len(changes))} version{'s' if len(changes) != 1 else ''}**")
        newest = changes[0]
        if st.button(
            "Undo the last change",
            key="history-undo",
            icon=":material/undo:",
            disabled=newest.parent is None,
            help=None if newest.parent is None else plain(f"Takes back: {newest.reason}"),
        ):
            change(lambda: client().datasets.undo(version.name))
    rows = _versions(changes)
    if rows is not None:
        _one(version, changes, rows)
    with st.expander("Where the photos came from"):
        _import(version)
    quarantine(version.name)
    with st.expander("Delete this data set"):
        _delete(version.name)


def _versions(changes: list[DatasetVersion]) -> int:
    """Show the versions as a table; return which one is looked at."""
    table = pd.DataFrame(
        {
            "version": [each.number for each in changes],
            "when": [each.created_at for each in changes],
            "who": [each.author for each in changes],
            "what": [each.action.replace("-", " ") for each in changes],
            "images": [each.images for each in changes],
            "classes": [len(each.classes) for each in changes],
            "why": [_why(each.reason) for each in changes],
        }
    )
    chosen = st.dataframe(
        table,
        hide_index=True,
        key="history-table",
        on_select="rerun",
        selection_mode="single-row",
        height=min(330, 38 + 35 * len(table)),
        column_config={
            "version": st.column_config.NumberColumn("Version", width=70, format="v%d"),
            "when": st.column_config.DatetimeColumn("When", format="YYYY-MM-DD HH:mm"),
            "who": st.column_config.TextColumn("Who", width="small"),
            "what": st.column_config.TextColumn("What", width="small"),
            "why": st.column_config.TextColumn("Why", width="large"),
            "images": st.column_config.NumberColumn("Photos", format="localized", width=80),
            "classes": st.column_config.NumberColumn("Classes", format="localized", width=80),
        },
    )["selection"]["rows"]
    return int(chosen[0]) if chosen and chosen[0] < len(changes) else 0


def _why(reason: str) -> str:
    """Say where uploads came from by their own name."""
    before, middle, path = reason.partition(" from ")
    return f"{before}{middle}{source_words(path)}" if path.startswith("/") else reason


def _one(version: DatasetVersion, changes: list[DatasetVersion], place: int) -> None:
    """Show what a version has otherwise than another."""
    looked = changes[place]
    others = [each.number for each in changes if each.number != looked.number]
    if not others:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Version {looked.number}** compared with")
        first = others.index(looked.parent) if looked.parent in others else 0
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
        st.caption("Both hold the same.")
        return
    for title, names in (("New classes", found.classes_added), ("Classes that are gone", found.classes_removed)):
        if names:
            st.caption(f"{title}: {', '.join(map(plain, names[:20]))}{' …' if len(names) > 20 else ''}")
    parts: dict[str, tuple[ImageChange, ...]] = {kind: getattr(found, kind) for kind in KINDS}
    for kind, images in parts.items():
        if images:
            with st.expander(f"{KINDS[kind]}: {count(len(images))}", expanded=sum(map(bool, parts.values())) == 1):
                _images(version.name, int(other), looked.number, kind, images)


def _images(name: str, before: int, after: int, kind: str, images: tuple[ImageChange, ...]) -> None:
    number = before if kind == "removed" else after
    table = client().datasets.images(client().datasets.version(name, number)).table
    first = [each for each in images[:SHOWN_IMAGES] if each.image_id in table.index]
    contents = {each.image_id: str(table.at[each.image_id, "sha256"]) for each in first}
    thumbs = client().datasets.thumbnails(contents.values())
    tiles = [
        Tile(
            each.image_id, thumbs.get(contents[each.image_id]), _change_words(kind, each), each.path.rpartition("/")[2]
        )
        for each in first
    ]
    gallery(tiles, key=f"diff-{before}-{after}-{kind}", columns=8, select="none")
    if len(images) > len(first):
        rows = [asdict(each) for each in images[:SHOWN_ROWS]]
        st.dataframe(
            pd.DataFrame(rows)[["path", "before", "after"]],
            hide_index=True,
            height=240,
            key=f"diff-table-{before}-{after}-{kind}",
            column_config={"path": "File", "before": "Before", "after": "After"},
        )


def _change_words(kind: str, image: ImageChange) -> str:
    if kind in ("added", "removed"):
        return (image.after if kind == "added" else image.before) or "no label"
    return f"{image.before or 'none'} → {image.after or 'none'}"


def _import(version: DatasetVersion) -> None:
    st.caption(plain(source_words(version.source)))
    report = client().datasets.report(version)
    if report is None:
        st.caption("What the import did was not kept.")
        return
    facts: dict[str, Any] = {
        "accepted": report.accepted,
        "rejected": report.rejected,
        "ignored": report.ignored,
        "total": report.total,
        "notes": report.notes,
    }
    import_facts(facts, [asdict(entry) for entry in report.left_out()[:SHOWN_ROWS]], f"report-{version.number}")


def _delete(name: str) -> None:
    """Say what would go, and let it go if its name is typed."""
    with guarded():
        if not st.toggle("Show what would go", key="delete-show"):
            return
        plan = client().datasets.deletion_plan(name)
        st.markdown(
            f"- {count(plan.versions)} version{'s' if plan.versions != 1 else ''}, {count(plan.images)} pictures "
            f"({size_of(plan.bytes_freed)} are freed)\n"
            + (f"- {count(plan.shared)} pictures stay, because others hold them too\n" if plan.shared else "")
            + (f"- {count(plan.quarantined)} rejected files\n" if plan.quarantined else "")
        )
        if plan.active_runs:
            st.warning(f"Runs that have not ended use it: {plain(', '.join(plan.active_runs[:3]))}.")
        if plan.runs:
            st.warning(
                f"{count(len(plan.runs))} runs were trained on it. They stay, but can't be resumed or evaluated again."
            )
        typed = st.text_input(f"Type {plain(name)} to delete it for good", key="delete-name")
        if st.button("Delete it", key="delete-do", icon=":material/delete_forever:", disabled=typed.strip() != name):
            client().datasets.delete(name, force=bool(plan.runs))
            client().annotation.forget(name)
            st.session_state.pop("last-dataset", None)
            st.session_state[DONE] = f"{name} is deleted."
            go("data")

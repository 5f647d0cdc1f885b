"""Classes, labels and splits of a data set as a whole: renamed, merged, read from a CSV, re-split."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.client import client
from app.client.datasets import SPLITS, DatasetVersion, LabelChanges, expected_splits, too_small
from app.client.images import NO_SPLIT
from app.client.label_tables import ENCODINGS, beginning
from app.components.dataset_columns import NO_CHOICE, choose_columns
from app.components.lists import whole_list
from app.components.page import count, guarded, plain
from app.components.resplitting import resplit_dialog
from app.views.data.actions import change, report_version
from workflows.data.columns import Columns
from workflows.words import SHOWN, listed

MAX_MEGABYTES = 64


def classes_panel(version: DatasetVersion) -> None:
    """Draw everything that concerns many labels at once."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        _table(version)
        with st.container(border=True):
            _csv(version)
        with st.container(border=True):
            _resplit(version)
    with right:
        with st.container(border=True):
            _name(version)
        with st.container(border=True):
            _rename(version)
        with st.container(border=True):
            _merge(version)


def _table(version: DatasetVersion) -> None:
    images = client().datasets.images(version)
    counts = images.counts
    named = [name for name in client().annotation.classes(version) if name not in counts.index]
    empty = pd.DataFrame(0, index=named, columns=counts.columns)
    table = pd.concat([counts, empty]) if named else counts
    st.markdown(
        f"**{count(len(table))} classes**"
        + (f", {count(images.unlabelled)} photos without a label" if images.unlabelled else "")
    )
    if table.empty:
        st.caption("No classes yet: add some on the right, or import a CSV of labels below.")
        return
    columns = [*SPLITS, *([NO_SPLIT] if table[NO_SPLIT].any() else []), "all"]
    st.dataframe(
        table[columns].rename_axis("class").reset_index(),
        hide_index=True,
        key="classes-table",
        height=min(420, 38 + 35 * len(table)),
        column_config={
            "class": st.column_config.TextColumn("Class", width="medium", pinned=True),
            NO_SPLIT: st.column_config.NumberColumn("no split yet", format="localized"),
            **{name: st.column_config.NumberColumn(name, format="localized") for name in (*SPLITS, "all")},
        },
    )


def _name(version: DatasetVersion) -> None:
    st.markdown("**New classes**")
    text = st.text_area(
        "One per line",
        key="classes-new",
        height=96,
        placeholder="daisy\ndandelion\nrose",
        help="Assign them on the Annotate page, or to many photos at once under Photos.",
    )
    if st.button("Add them", key="classes-name", disabled=not text.strip()):
        with guarded():
            fresh = client().annotation.name_classes(version.name, text.splitlines())
            st.session_state["data-done"] = f"{count(len(fresh))} new classes can be assigned now."
            st.rerun()


def _rename(version: DatasetVersion) -> None:
    st.markdown("**Rename a class**")
    one, two = st.columns(2, vertical_alignment="bottom")
    old = one.selectbox("Class", version.classes, index=None, key="rename-old", placeholder="Choose")
    new = two.text_input("New name", key="rename-new").strip()
    if st.button("Rename", key="rename-do", disabled=not old or not new or old == new):
        change(lambda: client().datasets.rename_class(version.name, str(old), new), version.name)


def _merge(version: DatasetVersion) -> None:
    st.markdown("**Merge classes**")
    olds = st.multiselect("Classes that become one", version.classes, key="merge-olds", placeholder="Choose")
    if olds and st.session_state.get("merge-into") is None:
        st.session_state["merge-into"] = olds[0]
    into = st.selectbox(
        "New class",
        [*olds, *(name for name in version.classes if name not in olds)],
        index=None,
        accept_new_options=True,
        key="merge-into",
        placeholder="One of these, or a new name",
    )
    counts = client().datasets.images(version).counts["all"]
    number = int(sum(counts[name] for name in olds if name != into))
    text = f"Merge: {count(number)} photos change their class" if number else "Merge"
    if st.button(text, key="merge-do", disabled=not number or not into):
        change(lambda: client().datasets.merge_classes(version.name, olds, str(into)), version.name)


def _resplit(version: DatasetVersion) -> None:
    st.markdown(
        "**Re-split**",
        help="All labelled photos are distributed over train, val and test again. Look-alikes, copies and groups stay together.",
    )
    ratios = version.ratios() or (0.7, 0.15, 0.15)
    values = [
        column.number_input(split, 0, 100, round(100 * share / sum(ratios)), 5, key=f"resplit-{split}")
        for column, split, share in zip(st.columns(3), SPLITS, ratios, strict=True)
    ]
    with guarded():
        counts = {str(name): int(number) for name, number in client().datasets.images(version).counts["all"].items()}
        expected = expected_splits(counts, values)
        small = too_small(counts, values)
        sums = ", ".join(f"{count(int(expected[split].sum()))} {split}" for split in SPLITS)
        st.caption(f"About {sums}." if counts else "No photo has a label yet.")
        if small:
            st.caption(f":material/warning: Too few photos: {plain(listed(small, full='For each class'))}.")
        if version.given_split:
            st.caption(":material/info: The split that came with the photos would be replaced.")
        with st.expander("For each class"):
            st.dataframe(expected.rename_axis("class").reset_index(), hide_index=True, key="resplit-table", height=240)
        if st.button("Re-split …", key="resplit-do", disabled=not counts or bool(small)):
            resplit_dialog(version.name, values, report_version)


def _csv(version: DatasetVersion) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("**Labels as CSV**")
        st.download_button(
            "Download filename,label,split",
            lambda: client().datasets.labels_csv(version),
            f"{version.name}-v{version.number}-labels.csv",
            "text/csv",
            key="labels-csv",
            icon=":material/download:",
            on_click="ignore",
        )
    place = st.session_state.get("labels-round", 0)
    file = st.file_uploader(
        "Read labels from a CSV, e.g. with the columns filename and label",
        type=["csv", "tsv"],
        max_upload_size=MAX_MEGABYTES,
        key=f"labels-file-{place}",
    )
    if file is None:
        return
    encoding = st.selectbox("Encoding", ENCODINGS, key="labels-encoding", width=220)
    with guarded():
        known = None if encoding == ENCODINGS[0] else encoding
        preview = beginning(file.getvalue(), known)
        chosen = NO_CHOICE
        if preview is not None:
            unsure = bool(preview.notes or not preview.complete)
            chosen = choose_columns("labels", file.name, preview, expanded=unsure)
        columns = Columns(chosen["filename_column"], chosen["label_column"])
        changes = client().datasets.label_changes(version, file.getvalue(), known, columns)
        _preview(changes)
        text = f"Apply {count(len(changes.labels))} change{'s' if len(changes.labels) != 1 else ''}"
        if st.button(text, key="labels-apply", type="primary", disabled=not changes.labels):
            st.session_state["labels-round"] = place + 1
            change(lambda: client().datasets.relabel(version.name, changes.labels, reason=f"labels from {file.name}"))


def _preview(changes: LabelChanges) -> None:
    """Show what a label file would change."""
    parts = [f"{count(len(changes.labels))} photos get a new label", f"{count(changes.same)} already have theirs"]
    if changes.unknown:
        parts.append(f"{count(len(changes.unknown))} names in the file match no photo")
    st.caption(" · ".join(parts))
    if changes.new_classes:
        st.caption(f":material/info: New classes: {plain(', '.join(changes.new_classes))}")
    if len(changes.unknown) > SHOWN:
        names = pd.DataFrame({"No photo is called": changes.unknown})
        whole_list(f"{count(len(names))} names match no photo", names, "unknown.csv", key="labels-unknown")
    elif changes.unknown:
        st.caption(f":material/warning: No photo is called {plain(', '.join(changes.unknown))}.")
    if changes.labels:
        rows = changes.rows.set_axis(["File", "Current label", "New label"], axis=1)
        title = f"{count(len(rows))} change{'s' if len(rows) != 1 else ''}"
        whole_list(title, rows, "changes.csv", key="labels-preview", expanded=True)

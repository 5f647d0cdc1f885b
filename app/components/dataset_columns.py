"""The choice of a label file's columns for photos and labels."""

from __future__ import annotations

from zlib import crc32

import pandas as pd
import streamlit as st

from app.components.page import plain
from workflows.data.delimited import Preview

NO_CHOICE: dict[str, str | None] = {"filename_column": None, "label_column": None}


def choose_columns(key: str, name: str, table: Preview, *, expanded: bool) -> dict[str, str | None]:
    """Show the first rows of a table and the guessed columns; let others be chosen.

    Args:
        name: of the table.
        table: its beginning.
        expanded: whether it starts unfolded.

    Returns:
        `filename_column` and `label_column` of an import's request; None where the guess holds.
    """
    mark = crc32("\0".join([name, *table.names]).encode())  # another table, another choice
    one_each = f"one column for each class ({len(table.classes)})"
    with st.expander(f"Columns of {plain(name)}", expanded=expanded, icon=":material/table:"):
        left, right = st.columns(2)
        filename = left.selectbox(
            "Column with file names",
            table.names,
            index=_index(table.names, table.filename),
            placeholder="Choose a column",
            key=f"{key}-filename-column-{mark}",
        )
        labels = [one_each, *table.names] if table.classes else table.names
        guessed = one_each if table.classes else table.label
        label = right.selectbox(
            "Column with labels",
            labels,
            index=_index(labels, guessed),
            placeholder="Choose a column",
            key=f"{key}-label-column-{mark}",
        )
        as_guessed = (filename, label) == (table.filename, guessed)
        st.caption(_guess_notes(table) if as_guessed or None in (filename, label) else "Columns as chosen here.")
        st.dataframe(
            pd.DataFrame(table.rows, columns=table.names).astype(str),
            hide_index=True,
            key=f"{key}-table-{mark}",
            height=38 + 35 * max(len(table.rows), 1),
        )
    if as_guessed:
        return dict(NO_CHOICE)
    return {"filename_column": filename, "label_column": None if label == one_each else label}


def _index(names: list[str], name: str | None) -> int | None:
    return names.index(name) if name in names else None


def _guess_notes(table: Preview) -> str:
    """Explain the guess."""
    if table.complete and table.notes:
        return " ".join(f":material/info: {plain(note)}" for note in table.notes)
    if table.complete:
        return "Recognised by the names of the columns."
    missing = [
        what
        for what, known in (
            ("the photos' names", table.filename is not None),
            ("the labels", table.label is not None or bool(table.classes)),
        )
        if not known
    ]
    return f":material/warning: No column name suggests {' or '.join(missing)}: choose the column if there is one."

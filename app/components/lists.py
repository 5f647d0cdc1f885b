"""Long lists on a page: a table of the whole list, and its download."""

from __future__ import annotations

import hashlib

import pandas as pd
import streamlit as st
from streamlit.errors import StreamlitDuplicateElementKey

from app.client.evaluation import csv_of


def whole_list(title: str, table: pd.DataFrame, file: str, *, key: str = "", expanded: bool = False) -> None:
    """Draw all rows of a list, folded away under a title, with a button that downloads them as CSV.

    Args:
        title: what the list is; plain text or markdown.
        table: its rows; the columns are shown under their names.
        file: what the download is called.
        key: distinguishes it from other lists on the page; by default derived from its contents.
        expanded: whether it starts unfolded.
    """
    key = key or f"list-{hashlib.sha256(f'{title}{file}{table.to_json()}'.encode()).hexdigest()[:12]}"
    with st.expander(title, expanded=expanded):
        try:
            st.dataframe(table, hide_index=True, height=min(320, 38 + 35 * len(table)), key=key)
            st.download_button(
                "As CSV",
                lambda: csv_of(table),
                file,
                "text/csv",
                key=f"{key}-csv",
                icon=":material/download:",
                on_click="ignore",
            )
        except StreamlitDuplicateElementKey:
            st.caption("The same list is shown above.")

"""Choosing one of many: a row of a table, and from the one that is shown another, or all again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.components.address import replace_address


def chosen_row(rows: pd.DataFrame | Sequence[Mapping[str, Any]], *, key: str, **options: Any) -> int | None:
    """Draw a table; return the number of the row that is chosen, from 0, or None.

    Args:
        rows: from top to bottom.
        key: of the widget. A choice is forgotten once there are too few rows for it.
        options: more arguments of `st.dataframe`.
    """
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    chosen = st.dataframe(
        table,
        **{
            "key": key,
            "hide_index": True,
            "placeholder": "",
            "on_select": "rerun",
            "selection_mode": "single-row",
            **options,
        },
    )["selection"]["rows"]
    return int(chosen[0]) if chosen and chosen[0] < len(table) else None


def choose_another(label: str, names: Sequence[str], shown: str, *, parameter: str, width: int = 320) -> None:
    """Draw the choice of another one than is shown, and the way back to all of them.

    Args:
        label: what they are, in the singular, such as `Model`.
        names: all of them.
        shown: the one that the page is about.
        parameter: of the page's address, which names the one that is shown. The others are dropped by a choice.
    """
    key = f"another-{parameter}"

    def choose() -> None:
        replace_address({parameter: st.session_state[key]})

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.session_state[key] = shown
        st.selectbox(label, names, key=key, width=width, on_change=choose)
        if st.button(f"All {label.lower()}s", icon=":material/list:", key=f"all-{parameter}"):
            replace_address({})
            st.rerun()

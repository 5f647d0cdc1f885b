"""A button that stops long work, after it has asked."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st


def stop_button(
    label: str,
    question: str,
    *,
    key: str,
    disabled: bool = False,
    on_click: Callable[[], None] | None = None,
) -> bool:
    """Draw a button that opens a question; return whether the answer was to stop.

    Args:
        label: of the button, e.g. "Cancel".
        question: what is lost, and what stays.
        key: of the button that answers.
        on_click: called when it was pressed.
    """
    with st.popover(label, icon=":material/stop:", disabled=disabled):
        st.markdown(question)
        return st.button("Stop it", key=key, type="primary", disabled=disabled, on_click=on_click)

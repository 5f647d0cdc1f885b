"""Who may come in: everybody on this machine, or whoever knows the password or signs in, if that is set up."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import streamlit as st

from app.password import is_right, is_set

WAIT_SECONDS = 2.0
"""How long a wrong password costs, for everybody who tries: guessing gets no faster with more windows."""

_one_guess_at_a_time = threading.Lock()


def let_in(home: Path) -> bool:
    """Return whether this session may see the studio; if not, the page now asks for what is missing."""
    if _signs_in():
        return _signed_in()
    if not is_set(home) or st.session_state.get("let-in"):
        return True
    _ask(home)
    return bool(st.session_state.get("let-in"))


def _signs_in() -> bool:
    """Return whether a login by OIDC is configured (`[auth]` in `HOME/secrets.toml`)."""
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets


def _signed_in() -> bool:
    if st.user.is_logged_in:
        return True
    with _middle():
        st.button("Sign in", type="primary", on_click=st.login)
    return False


def _ask(home: Path) -> None:
    with _middle(), st.form("door", border=False):
        password = st.text_input("Password", type="password", autocomplete="current-password")
        sent = st.form_submit_button("Open the studio", type="primary")
        if not sent:
            return
        with _one_guess_at_a_time:
            right = is_right(home, password)
            if not right:
                time.sleep(WAIT_SECONDS)
    if right:
        st.session_state["let-in"] = True
        st.rerun()
    st.error("That is not the password.")


def _middle() -> st.delta_generator.DeltaGenerator:
    """A box in the middle of an otherwise empty page."""
    st.space("large")
    _, middle, _ = st.columns([1, 1, 1])
    box = middle.container(border=True)
    box.header("Fieldguide", anchor=False)
    return box

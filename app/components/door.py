"""Who may come in: everybody on this machine, or whoever gave the password or signed in, if that is set up.

The password itself is asked for before Streamlit, see :mod:`app.gate`; here its session is looked at once more at every
run of a page, so that an open window ends with it.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.gate import LOGOUT
from app.oidc import may_come_in, people
from app.password import is_set
from app.sessions import Sessions


def let_in(home: Path) -> bool:
    """Return whether this session may see the studio; if not, the page now says what is missing."""
    if _signs_in():
        return _signed_in()
    if not is_set(home) or _has_session(home):
        return True
    with _middle():
        st.write("Your session has ended.")
        st.html('<a href="/" target="_self">Sign in again</a>')
    return False


def way_out(home: Path) -> None:
    """Offer to sign out, below the pages' names, where there is a login."""
    if _signs_in():
        st.sidebar.button("Sign out", on_click=st.logout, type="tertiary", icon=":material/logout:")
    elif is_set(home):
        st.sidebar.html(f'<a href="{LOGOUT}" target="_self" style="color: inherit">Sign out</a>')


def _has_session(home: Path) -> bool:
    sessions = Sessions(home, st.get_option("server.cookieSecret"), st.get_option("server.port"))
    return sessions.knows(st.context.cookies.get(sessions.cookie))


def _signs_in() -> bool:
    """Return whether a login by OIDC is configured (`[auth]` in `HOME/secrets.toml`)."""
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets


def _signed_in() -> bool:
    if not st.user.is_logged_in:
        with _middle():
            st.button("Sign in", type="primary", on_click=st.login)
        return False
    if may_come_in(people(st.secrets), st.user.to_dict()):
        return True
    with _middle():
        st.write("You are signed in, but not among those who may come in.")
        st.text(str(st.user.get("email") or ""))
        st.button("Sign in as somebody else", on_click=st.logout)
    return False


def _middle() -> st.delta_generator.DeltaGenerator:
    """A box in the middle of an otherwise empty page."""
    st.space("large")
    _, middle, _ = st.columns([1, 1, 1])
    box = middle.container(border=True)
    box.header("Fieldguide", anchor=False)
    return box

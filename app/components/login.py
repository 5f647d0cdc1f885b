"""Login on the pages: everybody on this machine may use the studio, unless a password or OpenID Connect is configured.

The login with a password takes place before Streamlit, see :mod:`app.password_login`; its session is checked again at
every run of a page, so that an open window ends with it.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.oidc import is_allowed, people
from app.password import is_set
from app.password_login import LOGOUT
from app.sessions import Sessions


def require_login(home: Path) -> bool:
    """Return whether this session may use the studio; if not, draw what it must do first."""
    if _uses_oidc():
        return _signed_in()
    if not is_set(home) or _has_session(home):
        return True
    with _centred_box():
        st.write("Your session has ended.")
        st.html('<a href="/" target="_self">Sign in again</a>')
    return False


def sign_out_link(home: Path) -> None:
    """Draw a link or button to sign out in the sidebar, if a login is configured."""
    if _uses_oidc():
        st.sidebar.button("Sign out", on_click=st.logout, type="tertiary", icon=":material/logout:")
    elif is_set(home):
        st.sidebar.html(f'<a href="{LOGOUT}" target="_self" style="color: inherit">Sign out</a>')


def _has_session(home: Path) -> bool:
    sessions = Sessions(home, st.get_option("server.cookieSecret"), st.get_option("server.port"))
    return sessions.is_valid(st.context.cookies.get(sessions.cookie))


def _uses_oidc() -> bool:
    """Return whether a login by OIDC is configured (`[auth]` in `HOME/secrets.toml`)."""
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets


def _signed_in() -> bool:
    if not st.user.is_logged_in:
        with _centred_box():
            st.button("Sign in", type="primary", on_click=st.login)
        return False
    if is_allowed(people(st.secrets), st.user.to_dict()):
        return True
    with _centred_box():
        st.write("You are signed in, but your account may not use this studio.")
        st.text(str(st.user.get("email") or ""))
        st.button("Sign in with another account", on_click=st.logout)
    return False


def _centred_box() -> st.delta_generator.DeltaGenerator:
    """Return a box in the middle of an otherwise empty page."""
    st.space("large")
    _, middle, _ = st.columns([1, 1, 1])
    box = middle.container(border=True)
    box.header("Fieldguide", anchor=False)
    return box

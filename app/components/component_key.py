"""Keys that Streamlit's own components take, whatever a person or chance wrote into them."""

from __future__ import annotations


def component_key(key: str) -> str:
    """Return `key` as a component of version 2 takes it: Streamlit refuses two underscores in a row.

    Different keys stay different: each underscore gets a hyphen behind it.
    """
    return key.replace("_", "_-")

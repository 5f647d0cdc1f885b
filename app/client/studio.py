"""What runs behind the studio, and the orders that a page can give it."""

from __future__ import annotations

from workflows.store.store import Store


class Studio:
    """State of the studio's processes; orders to the runner."""

    def __init__(self, store: Store) -> None:
        self._store = store

"""Data sets, as pages show and change them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workflows.data.edits import relabel
from workflows.data.version import DatasetVersion
from workflows.store.store import Store


class Datasets:
    """Reads and edits data sets; every edit makes a new version."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def relabel(self, name: str, labels: Mapping[str, str | None], reason: str = "") -> DatasetVersion:
        """Give images (by id) other labels, None taking the label away.

        Raises:
            DatasetError: there is no such data set, or it has no such image.
        """
        return relabel(self._store, name, dict(labels), reason=reason)

    def add_to_review(self, name: str, image_ids: Iterable[str], note: str = "") -> int:
        """Put images on the data set's review list; return how many."""
        return self._store.reviews.add(name, image_ids, note)

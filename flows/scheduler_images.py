"""Counts the images that are new to a model, for schedules with `--on-new-images`."""

from __future__ import annotations

from workflows.data.history import diff
from workflows.registry.models import champion
from workflows.store.store import Store


def new_images(store: Store, model: str) -> tuple[str, int, int]:
    """Return the model's data set, the number of its newest version, and how many labelled images are new in it.

    They are counted from the version that the champion was trained on, or that a later retraining used, so that
    one that did not replace the champion is not repeated for the same images. A first label counts as a new image.

    Raises:
        ModelError: no such model, or one without a champion.
        DatasetError: its data set was deleted.
    """
    current = champion(store, model)
    numbers = [record.number for record in store.datasets.versions(current.dataset)]
    newest = max(numbers, default=0)
    seen = max([current.version, *_looked_at(store, model, current.dataset)])
    if newest <= seen or seen not in numbers:
        return current.dataset, newest, 0
    found = diff(store, current.dataset, seen, newest)
    added = sum(change.after is not None for change in found.added)
    return current.dataset, newest, added + sum(change.before is None for change in found.relabelled)


def _looked_at(store: Store, model: str, dataset: str) -> list[int]:
    """Return the versions of a data set that retrainings of a model have trained on."""
    trained = [one.document.get("data") or {} for one in store.models.decisions(model) if one.outcome != "unchanged"]
    return [int(data["version"]) for data in trained if data.get("name") == dataset]

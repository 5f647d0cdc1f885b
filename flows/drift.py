"""Checks whether the photos that champions predict still resemble those that they were trained on."""

from __future__ import annotations

from typing import Any

from flows.alerts import alert
from workflows.errors import FieldguideError, StorageError
from workflows.evaluation.drift import Drift, find_drift
from workflows.evaluation.steps import read_final
from workflows.registry.models import champion
from workflows.store.files import read_json, read_table, write_json
from workflows.store.recent import RecentAnswers
from workflows.store.store import Store
from workflows.targets.registry import target_in

LAST_ANSWERS = 1000


def drift_of(store: Store, model: str) -> Drift:
    """Compare the newest answers of a model's champion with its training and validation. Raises FieldguideError.

    A champion that was also trained on the validation photos is compared with its test.
    """
    current = champion(store, model)
    recent = RecentAnswers(store.home).read(current.run_id, LAST_ANSWERS)
    folder = store.run_folder(current.run_id)
    records = read_table(folder.records)
    trained = target_in(current.card).named(records[records["split"] == "train"])
    split = "val" if (records["split"] == "val").any() else "test"
    sure = read_final(folder.evaluation.predictions, split)[0]["confidence"].tolist()
    return find_drift(trained, [label for _, label, _ in recent], sure, [confidence for _, _, confidence in recent])


def look_for_drift(store: Store) -> None:
    """Send alerts for models whose photos have drifted: once, until the drift ends or the champion changes."""
    if not any("drift" in hook.events for hook in store.webhooks.list()):
        return
    path = store.cache_folder / "drift.json"
    alerted = _alerted(store)
    for model, number in store.models.champions().items():
        try:
            found = drift_of(store, model)
        except (FieldguideError, OSError, KeyError):
            continue  # an old run without a validation, or one whose files are gone
        if not found.drifted:
            alerted.pop(model, None)
        elif alerted.get(model) != number:
            alerted[model] = number
            text = f"The photos that {model} predicts have drifted: {'; '.join(found.reasons)}."
            alert(store, "drift", text, model=model, champion=number, drift=vars(found))
    write_json(path, alerted)


def _alerted(store: Store) -> dict[str, Any]:
    try:
        return dict(read_json(store.cache_folder / "drift.json"))
    except (StorageError, TypeError, ValueError):
        return {}

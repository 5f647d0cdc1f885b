"""Resolving names to runs."""

from __future__ import annotations

from collections.abc import Callable

from workflows.errors import RunError
from workflows.registry.models import resolve_run
from workflows.state import State
from workflows.store.run_list import newest_ids
from workflows.store.store import Store

LATEST = "latest"

Resolve = Callable[[str], str]
"""Returns the id of the run of a name; raises RunError or ModelError if there is none."""


def run_resolver(store: Store) -> Resolve:
    """Return the resolver of names: a model's (its champion), `model:2`, a run's id or its beginning, or `latest` for
    the newest run that has finished."""

    def resolve(name: str) -> str:
        if name != LATEST:
            return resolve_run(store, name)
        newest = next(iter(newest_ids(store.database, 1, (State.FINISHED,))), None)
        if newest is None:
            raise RunError("No run has finished yet, so there is no model.", "Train one: `fieldguide train FOLDER`.")
        return newest

    return resolve


def registered(store: Store) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return for each run its registered model versions, such as `birds:2`, and the models whose champion it is."""
    names: dict[str, list[str]] = {}
    champions: dict[str, list[str]] = {}
    crowned = store.models.champions()
    for version in store.models.versions():
        names.setdefault(version.run_id, []).append(f"{version.model}:{version.number}")
        if crowned.get(version.model) == version.number:
            champions.setdefault(version.run_id, []).append(version.model)
    return names, champions


def is_model(store: Store, name: str) -> bool:
    """Return whether `name` is the name of a model, whose champion may change."""
    return name != LATEST and name in store.models.names()

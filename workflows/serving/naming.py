"""Which run a name means."""

from __future__ import annotations

from collections.abc import Callable

from workflows.errors import RunError
from workflows.registry.models import resolve_run
from workflows.store.store import Store

LATEST = "latest"

Resolve = Callable[[str], str]
"""Returns the id of the run that a name means; raises RunError or ModelError if there is none."""


def run_resolver(store: Store) -> Resolve:
    """Return the resolver of names: a model's (its champion), `model:2`, a run's id or its beginning, or `latest` for
    the newest run that has finished."""

    def resolve(name: str) -> str:
        if name != LATEST:
            return resolve_run(store, name)
        newest = next((run.run_id for run in store.runs.list() if run.state == "finished"), None)
        if newest is None:
            raise RunError("No run has finished yet, so there is no model.", "Train one: `fieldguide train FOLDER`.")
        return newest

    return resolve


def registered(store: Store) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return for runs the names of the models' versions that they are, as `birds:2`, and the models they champion."""
    names: dict[str, list[str]] = {}
    champions: dict[str, list[str]] = {}
    crowned = store.models.champions()
    for version in store.models.versions():
        names.setdefault(version.run_id, []).append(f"{version.model}:{version.number}")
        if crowned.get(version.model) == version.number:
            champions.setdefault(version.run_id, []).append(version.model)
    return names, champions


def is_model(store: Store, name: str) -> bool:
    """Return whether `name` is that of a model, whose champion may change."""
    return name != LATEST and name in store.models.names()

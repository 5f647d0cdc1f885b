"""Which model a name means."""

from __future__ import annotations

from collections.abc import Callable

from workflows.errors import RunError
from workflows.store.store import Store

Resolve = Callable[[str], str]
"""Returns the id of the run that a name means; raises RunError if there is none. A registry of models fits here."""


def run_resolver(store: Store) -> Resolve:
    """Return the resolver of runs: an id, its beginning, or `latest` for the newest one that has finished."""

    def resolve(name: str) -> str:
        if name != "latest":
            return store.runs.get(name).run_id
        newest = next((run.run_id for run in store.runs.list() if run.state == "finished"), None)
        if newest is None:
            raise RunError("No run has finished yet, so there is no model.", "Train one: `fieldguide train FOLDER`.")
        return newest

    return resolve

"""Two or more runs beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from app.client.evaluation import Kept
from workflows.errors import RunError
from workflows.evaluation.comparison import Comparison, compare
from workflows.evaluation.steps import read_final
from workflows.store.store import RunRecord, Store

# Enough for two digits of an interval; 2,000 as in the command line would keep a page with 300 classes waiting.
RESAMPLES = 400


class Comparing:
    """Compares finished runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found = Kept(32)

    def compare(self, run_a: str, run_b: str, split: Literal["val", "test"]) -> Comparison:
        """Compare two runs on the images of a split that both have answered.

        Raises:
            RunError: a run has no final evaluation, or they have no image in common.
        """
        paths = [self._store.run_folder(run) / "evaluation" / "predictions.parquet" for run in (run_a, run_b)]
        for run, path in zip((run_a, run_b), paths, strict=True):
            if not path.is_file():
                raise RunError(f"Run {run} has no final evaluation yet.", "Wait for it, or resume it.")

        def make() -> Comparison:
            frames = [read_final(path, split)[0].assign(split=split) for path in paths]
            return compare(frames[0], frames[1], split, names=(run_a, run_b), resamples=RESAMPLES)

        stamps = tuple(path.stat().st_mtime_ns for path in paths)
        return self._found.get((run_a, run_b, split, stamps), make)

    def differing_settings(self, run_ids: Sequence[str]) -> pd.DataFrame:
        """Return the settings that are not the same in all these runs: `setting` and one text column per run."""
        found = {run: _settings_of(self._store.runs.get(run)) for run in run_ids}
        names = list(dict.fromkeys(name for settings in found.values() for name in settings))
        rows = [
            {"setting": name, **{run: _words(settings.get(name)) for run, settings in found.items()}}
            for name in names
            if len({_words(settings.get(name)) for settings in found.values()}) > 1
        ]
        return pd.DataFrame(rows, columns=["setting", *run_ids], dtype=object)


def _settings_of(record: RunRecord) -> dict[str, Any]:
    """Return everything that a run was told, by a name such as `training · epochs`."""
    settings: dict[str, Any] = {
        "data set": record.dataset,
        "data set · version": record.version,
        "goal": record.goal,
        "device": record.device,
    }
    for node in (record.workflow or {}).get("nodes", []):
        kind = str(node.get("kind", node.get("id", "")))
        if kind != "dataset":
            settings.update({f"{kind} · {field}": value for field, value in (node.get("settings") or {}).items()})
    return settings


def _words(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)

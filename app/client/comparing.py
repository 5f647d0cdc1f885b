"""Two or more runs side by side."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from app.client.cache import Cache
from workflows.data.history import change_words, diff
from workflows.errors import DatasetError, RunError, StorageError
from workflows.evaluation.comparison import Comparison, compare, left_out_of_runs, left_out_words
from workflows.evaluation.predictions import common_target
from workflows.evaluation.steps import read_final
from workflows.store.files import read_table
from workflows.store.store import RunRecord, Store

# Enough for two digits of an interval; 2,000 as in the command line would keep a page with 300 classes waiting.
RESAMPLES = 400


@dataclass(frozen=True)
class DataChange:
    """How a data set changed from one version to another, in words."""

    dataset: str
    before: int
    after: int
    words: str


class Comparing:
    """Compares finished runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found = Cache(32)

    def compare(self, run_a: str, run_b: str, split: Literal["val", "test"]) -> Comparison:
        """Compare two runs on the images of a split that both have predicted.

        Raises:
            RunError: a run has no final evaluation, or they have no image in common.
        """
        paths = [self._store.run_folder(run).evaluation.predictions for run in (run_a, run_b)]
        for run, path in zip((run_a, run_b), paths, strict=True):
            if not path.is_file():
                raise RunError(f"Run {run} has no final evaluation yet.", "Wait for it, or resume it.")

        def make() -> Comparison:
            (frame_a, known_a), (frame_b, known_b) = (read_final(path, split) for path in paths)
            first, second = frame_a.assign(split=split), frame_b.assign(split=split)
            known = {*known_a, *known_b}
            target, names = common_target(*paths), (run_a, run_b)
            return compare(first, second, split, names=names, known=known, target=target, resamples=RESAMPLES)

        stamps = tuple(path.stat().st_mtime_ns for path in paths)
        return self._found.get((run_a, run_b, split, stamps), make)

    def left_out(self, run_a: str, run_b: str, found: Comparison) -> str:
        """Return how many images a comparison leaves out, and why; empty if it leaves none out."""
        folders = self._store.run_folder(run_a), self._store.run_folder(run_b)
        return left_out_words(found, left_out_of_runs(found, *folders))

    def validation_sets(self, run_ids: Sequence[str]) -> list[list[str]]:
        """Return the runs in groups of the same validation images with the same labels, in the order given."""
        groups: dict[Hashable, list[str]] = {}
        for run in run_ids:
            groups.setdefault(self._validation(run), []).append(run)
        return list(groups.values())

    def _validation(self, run: str) -> Hashable:
        path = self._store.run_folder(run).records
        if not path.is_file():
            return run  # not known: comparable with nothing
        records = read_table(path, ["image_id", "split", "label"])
        val = records[records["split"] == "val"]
        return frozenset(zip(val["image_id"].astype(str), val["label"].astype(str), strict=True))

    def data_changes(self, run_a: str, run_b: str) -> DataChange | None:
        """Return how the data set changed between two runs; None if it is the same version, another set, or gone."""
        first, second = (self._store.runs.get(run) for run in (run_a, run_b))
        if first.dataset != second.dataset or first.version == second.version:
            return None
        if first.dataset is None or first.version is None or second.version is None:
            return None
        try:
            found = diff(self._store, first.dataset, first.version, second.version)
        except (DatasetError, StorageError):
            return None
        return DataChange(first.dataset, first.version, second.version, change_words(found))

    def differing_settings(self, run_ids: Sequence[str]) -> pd.DataFrame:
        """Return the settings that differ between these runs: `setting` and one text column per run."""
        found = {run: _settings_of(self._store.runs.get(run)) for run in run_ids}
        names = list(dict.fromkeys(name for settings in found.values() for name in settings))
        rows = [
            {"setting": name, **{run: _words(settings.get(name)) for run, settings in found.items()}}
            for name in names
            if len({_words(settings.get(name)) for settings in found.values()}) > 1
        ]
        return pd.DataFrame(rows, columns=["setting", *run_ids], dtype=object)


def _settings_of(record: RunRecord) -> dict[str, Any]:
    """Return all settings of a run, by a name such as `training · epochs`."""
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

"""Checks of a data set's labels, and what people decided about the suspected ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

import pandas as pd

from app.client.cache import Cache
from app.client.jobs import Job, Jobs
from workflows.data.catalog import list_versions
from workflows.data.label_checks import (
    CHECK_FILE,
    Estimate,
    StoredCheck,
    confirm_labels,
    estimate,
    standing,
    stored_check,
)
from workflows.data.version import DatasetVersion
from workflows.store.store import Store

KIND: Final = "check labels"
KEPT_CHECKS = 8


class LabelChecks:
    """Starts checks and reads what they found."""

    def __init__(self, store: Store, jobs: Jobs) -> None:
        self._store, self._jobs = store, jobs
        self._checks, self._estimates = Cache(KEPT_CHECKS), Cache(KEPT_CHECKS)

    def start(self, name: str, weights: str = "auto") -> Job:
        """Check the labels of a data set's newest version, in a process of its own."""
        return self._jobs.start(KIND, name, {"weights": weights})

    def newest(self, name: str) -> StoredCheck | None:
        """Return the newest check of a data set, possibly of an older version; None if there is none."""
        for version in reversed(list_versions(self._store, name)):
            try:
                stamp = (version.folder / CHECK_FILE).stat().st_mtime_ns
            except OSError:
                continue
            found = self._checks.get((name, version.fingerprint, stamp), partial(stored_check, version))
            if found is not None:
                return found
        return None

    def estimate(self, version: DatasetVersion) -> Estimate:
        """Return what a check of a version would cost. Raises StorageError."""
        ended = sum(not job.running for job in self._jobs.of_all(KIND))  # each may have stored features
        return self._estimates.get((version.name, version.fingerprint, ended), partial(estimate, self._store, version))

    def standing(self, suspicions: pd.DataFrame, name: str, labels: pd.Series) -> pd.DataFrame:
        """Return suspicions with their `state`; see :func:`workflows.data.label_checks.standing`."""
        return standing(suspicions, labels, self.confirmed(name))

    def confirmed(self, name: str) -> dict[str, str]:
        """Return the labels (by image id) that somebody found right."""
        return self._store.confirmed_labels.of(name)

    def confirm(self, name: str, labels: Mapping[str, str]) -> None:
        """Record that these labels (by image id) are right, so that they are not suspected again."""
        confirm_labels(self._store, name, labels)

    def reopen(self, name: str, image_ids: Iterable[str]) -> None:
        """Withdraw the confirmation of these images' labels."""
        self._store.confirmed_labels.remove(name, image_ids)

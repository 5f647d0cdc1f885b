"""Models: names that people rely on, the version in use for each, and retraining."""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from app.client.cache import Cache
from flows.background_jobs import BackgroundJob, BackgroundJobs
from workflows.data.publishing import resolve_author
from workflows.errors import ModelError, UsageError
from workflows.evaluation.comparison import Comparison
from workflows.evaluation.thresholds import ReviewThreshold
from workflows.registry.models import export_model, get_model, register, rollback
from workflows.registry.thresholds import as_threshold, threshold_of
from workflows.report.decision import TITLES as DECISION_TITLES
from workflows.report.review import set_threshold
from workflows.requests import RetrainSettings, validated
from workflows.retraining.by_hand import Evidence, evidence, promote_by_hand
from workflows.store.models import DecisionRecord, ModelVersion, Promotion
from workflows.store.names import slug
from workflows.store.store import Store

__all__ = [
    "DECISION_TITLES",
    "BackgroundJob",
    "DecisionRecord",
    "Evidence",
    "ModelBrief",
    "ModelVersion",
    "Models",
    "Promotion",
    "RetrainSettings",
]

REPORT_FILE = "report.html"
SHOWN_DECISIONS = 200
RESAMPLES = 400
"""Of the bootstrap, for a page: enough for two digits of an interval."""


@dataclass(frozen=True)
class ModelBrief:
    """One model in a list."""

    name: str
    champion: ModelVersion | None
    versions: int
    since: Promotion | None
    """How the current champion was promoted."""


class Models:
    """The model registry, and retraining."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.jobs = BackgroundJobs(store)
        self._evidence = Cache(32)

    # ---------------------------------------------------------------- looking

    def names(self) -> list[str]:
        """Return the names of all models."""
        return self._store.models.names()

    def briefs(self) -> list[ModelBrief]:
        """Return all models with their champions."""
        records, champions = self._store.models, self._store.models.champions()
        versions: dict[str, list[ModelVersion]] = {}
        for version in records.versions():
            versions.setdefault(version.model, []).append(version)
        found = []
        for name in records.names():
            own, number = versions.get(name, []), champions.get(name)
            log = records.promotions(name)
            crowned = next((version for version in own if version.number == number), None)
            found.append(ModelBrief(name, crowned, len(own), log[-1] if log else None))
        return found

    def get(self, name: str, number: int | None = None) -> ModelVersion:
        """Return a version of a model, by default its champion. Raises ModelError."""
        return get_model(self._store, name, number)

    def champion_number(self, name: str) -> int | None:
        """Return the number of a model's champion."""
        return self._store.models.champions().get(name)

    def versions(self, name: str) -> list[ModelVersion]:
        """Return a model's versions, the newest first."""
        return self._store.models.versions(name)[::-1]

    def log(self, name: str) -> list[Promotion]:
        """Return the promotions with their reasons, the newest first."""
        return self._store.models.promotions(name)[::-1]

    def decisions(self, name: str) -> list[DecisionRecord]:
        """Return the decisions about a model, the newest first."""
        return self._store.models.decisions(name, SHOWN_DECISIONS)

    def decision(self, decision_id: str) -> DecisionRecord:
        """Return one decision. Raises ModelError."""
        found = self._store.models.decision(decision_id)
        if found is None:
            raise ModelError(f"No decision is called {decision_id!r}.", "The model's page lists the decisions.")
        return found

    def comparison(self, decision: DecisionRecord) -> Comparison | None:
        """Return the comparison behind a decision; None where no challenger was evaluated."""
        found = (decision.document.get("decision") or {}).get("comparison")
        if not found:
            return None
        return Comparison(
            split=found["split"],
            names=(found["a"], found["b"]),
            images=found["images"],
            left_out=found["left_out"],
            metrics=pd.DataFrame(found["metrics"]),
            p_value=found["p_value"],
            classes=pd.DataFrame(found["classes"]),
            changed=_changed(found["changed"]),
            verdict=found["verdict"],
            absent=tuple(found.get("absent", ())),
        )

    def report(self, decision_id: str) -> bytes | None:
        """Return a decision's report (self-contained HTML), if it still exists."""
        path = self._store.decision_folder(decision_id) / REPORT_FILE
        return path.read_bytes() if path.is_file() else None

    # ----------------------------------------------------------------- acting

    def register(self, name: str, run_id: str, reason: str = "") -> ModelVersion:
        """Make a finished run the next version of a model (a new name makes a new model).

        Raises:
            UsageError: an invalid name.
            RunError: the run is not finished.
        """
        if not name:
            raise UsageError("The model needs a name.", "Give one, for example birds.")
        return register(self._store, name, run_id, reason=reason.strip())

    def of_run(self, run_id: str) -> list[ModelVersion]:
        """Return the versions, of any model, that a run is; those that are champions first."""
        champions = self._store.models.champions()
        found = [one for one in self._store.models.versions() if one.run_id == run_id]
        return sorted(found, key=lambda one: champions.get(one.model) != one.number)

    def suggested_name(self, run_id: str) -> str:
        """Return a name for a new model made of a run: that of its data set."""
        return slug(self._store.runs.get(run_id).dataset or "model")

    def evidence(self, name: str, number: int) -> Evidence:
        """Return how a version compares with the champion on the champion's frozen images. Raises ModelError."""
        version, current = self.get(name, number), self.champion_number(name)
        newest = self._store.datasets.newest()
        data = next((each.number for each in newest if each.dataset == version.dataset), None)  # labels may change
        key = (name, number, current, data)
        return self._evidence.get(key, lambda: evidence(self._store, name, number, resamples=RESAMPLES))

    def promote(self, name: str, number: int, reason: str, *, accept_worse: bool = False) -> ModelVersion:
        """Make a version the champion, and record the comparison with the one before.

        Raises:
            ModelError: unknown, already the champion, or worse without `accept_worse`.
            UsageError: no reason was given.
        """
        promote_by_hand(self._store, name, number, reason=_given(reason), accept_worse=accept_worse)
        return self.get(name, number)

    def roll_back(self, name: str, reason: str) -> ModelVersion:
        """Make the previous champion the champion again. Raises ModelError; UsageError without a reason."""
        return rollback(self._store, name, reason=_given(reason))

    def archive(self, name: str, number: int) -> bytes:
        """Return a zip of a version: weights, card, instructions for use. Raises ModelError, StorageError."""
        with tempfile.TemporaryDirectory(prefix="fieldguide-") as place:
            folder = Path(place) / f"{name}-v{number}"
            export_model(self._store, name, folder, number)
            target = Path(place) / "model.zip"
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as packed:  # weights do not compress
                for path in sorted(folder.iterdir()):
                    packed.write(path, f"{folder.name}/{path.name}")
            return target.read_bytes()

    # ------------------------------------------------------ review thresholds

    def threshold(self, run_id: str) -> ReviewThreshold:
        """Return the review threshold of a run's classifier: the saved one, or the default."""
        return threshold_of(self._store, run_id)

    def thresholds(self, run_id: str) -> list[ReviewThreshold]:
        """Return all thresholds that were saved for a run's classifier, the newest first."""
        return [as_threshold(line) for line in self._store.thresholds.log(run_id)]

    def set_threshold(
        self, run_id: str, value: float | None, reason: str, *, wanted: float | None = None, chosen_on: str = ""
    ) -> ReviewThreshold:
        """Save a review threshold (None: the default); see `set_threshold`. Raises UsageError without a reason."""
        return set_threshold(self._store, run_id, value, reason=_given(reason), wanted=wanted, chosen_on=chosen_on)

    # ------------------------------------------------------------- retraining

    def retrain(self, name: str, settings: dict[str, Any]) -> BackgroundJob:
        """Start to retrain a model in the background.

        Args:
            name: the model.
            settings: fields of `RetrainSettings`.

        Raises:
            UsageError: a setting is out of range, or the model is being retrained already.
        """
        checked = validated(RetrainSettings, settings)
        if any(self.jobs.state(each).alive for each in self.jobs.all("retrain", name)):
            raise UsageError(f"{name} is being retrained already.", "Wait for its decision, or stop it.")
        self.get(name)
        decision_id = self._store.models.new_decision_id(name)
        request = checked.model_dump(mode="json")
        return self.jobs.start("retrain", name, request, subject=decision_id, author=resolve_author())

    def retrainings(self, name: str) -> list[BackgroundJob]:
        """Return the retrainings of a model started from pages, the newest first."""
        return self.jobs.all("retrain", name)


def _given(reason: str) -> str:
    if not reason.strip():
        raise UsageError("A reason is needed: it goes into the log.", "Write a few words.")
    return reason.strip()


def _changed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = [
        "image_id",
        "path",
        "label",
        "predicted_a",
        "predicted_b",
        "confidence_a",
        "confidence_b",
        "change",
    ]
    return pd.DataFrame(rows, columns=None if rows else columns)

"""Models: names that people rely on, which version of each is in use, and retraining them."""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from app.client.asked import checked
from flows.errands import STATES_AT_WORK, Errand, Errands, ErrandState
from flows.telling import Told
from workflows.data.publishing import resolve_author
from workflows.errors import ModelError, UsageError
from workflows.evaluation.comparison import Comparison
from workflows.registry.models import export_model, get_model, promote, register, rollback
from workflows.report.decision import TITLES as DECISION_TITLES
from workflows.retraining.plan import RetrainSettings
from workflows.store.models import DecisionRecord, ModelVersion, Promotion
from workflows.store.names import slug
from workflows.store.store import Store

__all__ = [
    "DECISION_TITLES",
    "STATES_AT_WORK",
    "DecisionRecord",
    "Errand",
    "ErrandState",
    "ModelBrief",
    "ModelVersion",
    "Models",
    "Promotion",
    "RetrainSettings",
    "Told",
]

REPORT_FILE = "report.html"
SHOWN_DECISIONS = 200


@dataclass(frozen=True)
class ModelBrief:
    """One model in a list."""

    name: str
    champion: ModelVersion | None
    versions: int
    since: Promotion | None
    """How the champion became it."""


class Models:
    """The registry; orders to retrain."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.errands = Errands(store)

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
        """Return who was champion when and why, the newest first."""
        return self._store.models.promotions(name)[::-1]

    def decisions(self, name: str) -> list[DecisionRecord]:
        """Return what was decided about a model, the newest first."""
        return self._store.models.decisions(name, SHOWN_DECISIONS)

    def decision(self, decision_id: str) -> DecisionRecord:
        """Return one decision. Raises ModelError."""
        found = self._store.models.decision(decision_id)
        if found is None:
            raise ModelError(f"There is no decision {decision_id!r}.", "The model's page lists those that there are.")
        return found

    def comparison(self, decision: DecisionRecord) -> Comparison | None:
        """Return what was compared for a decision; None where no challenger came so far."""
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
        )

    def report(self, decision_id: str) -> bytes | None:
        """Return a decision's page (HTML that needs nothing else), if it is still there."""
        path = self._store.decision_folder(decision_id) / REPORT_FILE
        return path.read_bytes() if path.is_file() else None

    # ----------------------------------------------------------------- acting

    def register(self, name: str, run_id: str, reason: str = "") -> ModelVersion:
        """Make a finished run the next version of a model (a new name makes a new model).

        Raises:
            UsageError: an impossible name.
            RunError: the run is not finished.
        """
        if not name:
            raise UsageError("The model needs a name.", "Give one, for example birds.")
        return register(self._store, name, run_id, reason=reason.strip())

    def suggested_name(self, run_id: str) -> str:
        """Return a name for a new model made of a run: that of its data set."""
        return slug(self._store.runs.get(run_id).dataset or "model")

    def promote(self, name: str, number: int, reason: str) -> ModelVersion:
        """Make a version the champion. Raises ModelError; UsageError without a reason."""
        return promote(self._store, name, number, reason=_given(reason))

    def roll_back(self, name: str, reason: str) -> ModelVersion:
        """Make the champion before the present one the champion again. Raises ModelError; UsageError without a reason."""
        return rollback(self._store, name, reason=_given(reason))

    def archive(self, name: str, number: int) -> bytes:
        """Return a zip of a version: weights, card, words on how to use them. Raises ModelError, StorageError."""
        with tempfile.TemporaryDirectory(prefix="fieldguide-") as place:
            folder = Path(place) / f"{name}-v{number}"
            export_model(self._store, name, folder, number)
            target = Path(place) / "model.zip"
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as packed:  # weights can't be made smaller
                for path in sorted(folder.iterdir()):
                    packed.write(path, f"{folder.name}/{path.name}")
            return target.read_bytes()

    # ------------------------------------------------------------- retraining

    def retrain(self, name: str, settings: dict[str, Any]) -> Errand:
        """Begin to retrain a model, beside the pages.

        Args:
            name: the model.
            settings: fields of `RetrainSettings`.

        Raises:
            UsageError: a setting is out of range, or the model is being retrained already.
        """
        asked = checked(RetrainSettings, settings)
        if any(self.errands.state(each) in STATES_AT_WORK for each in self.errands.all("retrain", name)):
            raise UsageError(f"{name} is being retrained already.", "Wait until that is decided, or stop it.")
        self.get(name)
        decision_id = self._store.models.new_decision_id(name)
        request = asked.model_dump(mode="json")
        return self.errands.start("retrain", name, request, subject=decision_id, author=resolve_author())

    def retrainings(self, name: str) -> list[Errand]:
        """Return the retrainings of a model that pages began, the newest first."""
        return self.errands.all("retrain", name)


def _given(reason: str) -> str:
    if not reason.strip():
        raise UsageError("Why? The reason is kept in the log.", "Write a few words.")
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

"""Tunings: the studies, their trials, what came of them; beginning one beside the pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from optuna.study import Study

from app.client.asked import checked
from app.client.evaluation import Kept
from flows.errands import STATES_AT_WORK, Errand, Errands, ErrandState
from workflows.data.publishing import resolve_author
from workflows.errors import RunError, UsageError
from workflows.graph.workflow import Workflow, dumps
from workflows.store.store import Store
from workflows.tuning.space import workflow_at
from workflows.tuning.study import (
    STUDY_FILE,
    TuneRequest,
    Tuning,
    importances,
    open_tuning,
    pareto,
    trials_table,
    tuning_ids,
)

__all__ = ["STATES_AT_WORK", "Errand", "ErrandState", "StudyBrief", "Trials", "TuneRequest", "Tuning", "Tunings"]

KEPT_STUDIES = 8


@dataclass(frozen=True)
class StudyBrief:
    """One tuning in a list."""

    study_id: str
    dataset: str
    version: int
    goal: str
    created_at: str
    """ISO 8601, UTC."""
    budget: str
    state: str
    best: float | None
    """Best top-1 accuracy on validation; known once it has ended."""
    start: float | None


@dataclass(frozen=True)
class Trials:
    """What the trials of a study found so far.

    Attributes:
        table: see :func:`workflows.tuning.study.trials_table`.
        front: those that no other beats in both accuracy and time of inference.
        importances: how much each dimension mattered; empty too early to say.
        start: number of the trial that is the workflow itself, once it is done.
    """

    table: pd.DataFrame
    front: pd.DataFrame
    importances: dict[str, float]
    start: int | None

    @property
    def complete(self) -> pd.DataFrame:
        """The trials that were trained to their end, in their order."""
        return self.table[self.table["state"] == "complete"] if len(self.table) else self.table

    @property
    def best(self) -> float | None:
        """The best value so far."""
        return float(self.complete["value"].max()) if len(self.complete) else None


class Tunings:
    """Reads studies; begins, stops and resumes tunings."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.errands = Errands(store)
        self._tunings, self._studies, self._found = Kept(256), Kept(KEPT_STUDIES), Kept(KEPT_STUDIES)

    # ---------------------------------------------------------------- looking

    def ids(self) -> list[str]:
        """Return the ids of all tunings, the newest first."""
        return tuning_ids(self._store)

    def get(self, study_id: str) -> Tuning:
        """Return a tuning. Raises RunError."""
        path = self._store.home / "tuning" / study_id / STUDY_FILE
        if not path.is_file():  # nor is a beginning of an id enough for what is kept by it
            return open_tuning(self._store, study_id)
        return self._tunings.get(study_id, lambda: open_tuning(self._store, study_id))

    def briefs(self) -> list[StudyBrief]:
        """Return all tunings, the newest first."""
        errands = self._by_subject()
        found = []
        for study_id in self.ids():
            tuning = self.get(study_id)
            result, request = tuning.result() or {}, tuning.request
            found.append(
                StudyBrief(
                    study_id,
                    request.dataset,
                    tuning.version,
                    request.goal,
                    tuning.document["created_at"],
                    budget_words(request),
                    self._state(errands.get(study_id), bool(result)),
                    (result.get("best") or {}).get("val_top1"),
                    (result.get("start") or {}).get("val_top1"),
                )
            )
        return found

    def trials(self, study_id: str) -> Trials:
        """Return what the trials of a study found so far. Raises RunError."""
        study = self._study(study_id)
        every = study.get_trials(deepcopy=False)
        # what ended never changes; of those at work, the evaluations reported
        stamp = tuple((trial.number, trial.state, len(trial.intermediate_values)) for trial in every)

        def make() -> Trials:
            table = trials_table(study)
            start = next((trial.number for trial in every if trial.user_attrs.get("start")), None)
            done = sum(trial.state.name == "COMPLETE" for trial in every)
            mattered = self._found.get((study_id, "importances", done), lambda: importances(study))
            return Trials(table, pareto(table) if len(table) else table, mattered, start)

        return self._found.get((study_id, stamp), make)

    def errand(self, study_id: str) -> Errand | None:
        """Return the work of this studio on a study; None if it was begun by the command line."""
        return self._by_subject().get(study_id)

    def beginning(self) -> list[Errand]:
        """Return the tunings that were ordered and are not recorded yet, or never came so far."""
        return [errand for errand in self.errands.all("tune") if not errand.subject]

    def state(self, study_id: str) -> str:
        """Return how a study stands: `done`, or the state of its work, or `not finished`."""
        return self._state(self.errand(study_id), self.get(study_id).result() is not None)

    def _state(self, errand: Errand | None, finished: bool) -> str:
        if finished:
            return "done"
        return self.errands.state(errand) if errand is not None else "not finished"

    def _by_subject(self) -> dict[str, Errand]:
        return {errand.subject: errand for errand in reversed(self.errands.all("tune")) if errand.subject}

    def _study(self, study_id: str) -> Study:
        tuning = self.get(study_id)
        return self._studies.get(tuning.study_id, tuning.study)  # its storage remembers trials that have ended

    # ----------------------------------------------------------------- acting

    def begin(self, request: dict[str, Any]) -> Errand:
        """Begin a tuning beside the pages.

        Args:
            request: fields of `TuneRequest`.

        Raises:
            UsageError: a field is out of range, or there is no budget.
        """
        asked = checked(TuneRequest, request)
        if asked.trials is None and asked.budget_seconds is None:
            raise UsageError("How long may the tuning take?", "Give a number of trials, or a time.")
        document = asked.model_dump(mode="json")
        return self.errands.start("tune", asked.dataset, document, subject="", author=resolve_author())

    def go_on(self, study_id: str) -> Errand:
        """Let a tuning that was stopped or cut off go on. Raises FieldguideError."""
        errand = self.errand(study_id)
        if errand is not None:
            return self.errands.go_on(errand)
        request = self.get(study_id).request
        return self.errands.start(
            "tune", request.dataset, request.model_dump(mode="json"), subject=study_id, author=resolve_author()
        )

    def stop(self, errand: Errand) -> None:
        """Ask a tuning to end; its finished trials stay."""
        self.errands.stop(errand)

    def workflow(self, study_id: str, trial: int) -> Workflow:
        """Return the workflow of a trial. Raises RunError if there is no such trial."""
        tuning = self.get(study_id)
        for each in self._study(study_id).get_trials(deepcopy=False):
            if each.number == trial and each.params:
                return workflow_at(tuning.base, dict(each.params))
        raise RunError(f"{study_id} has no trial {trial + 1}.", "Its page lists those that there are.")

    def workflow_yaml(self, study_id: str, trial: int) -> str:
        """Return the workflow of a trial as YAML. Raises RunError if there is no such trial."""
        return dumps(self.workflow(study_id, trial))


def budget_words(request: TuneRequest) -> str:
    """Say what a tuning may take."""
    parts = [] if request.trials is None else [f"{request.trials} trials"]
    if request.budget_seconds is not None:
        minutes = request.budget_seconds / 60
        parts.append(f"{minutes / 60:g} h" if minutes >= 120 else f"{minutes:g} min")
    return ", ".join(parts)

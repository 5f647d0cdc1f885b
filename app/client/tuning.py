"""Tunings: the studies, their trials and results; starting one in the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from optuna.study import Study

from app.client.cache import Cache
from flows.background_jobs import BackgroundJob, BackgroundJobs
from workflows.data.publishing import resolve_author
from workflows.errors import RunError, UsageError
from workflows.graph.workflow import Workflow, dumps
from workflows.requests import TuneRequest, validated
from workflows.state import State
from workflows.store.store import Store
from workflows.tuning.space import workflow_at
from workflows.tuning.study import STUDY_FILE, Tuning, importances, open_tuning, pareto, trials_table, tuning_ids

__all__ = [
    "BackgroundJob",
    "StudyBrief",
    "Trials",
    "TuneRequest",
    "Tuning",
    "Tunings",
]

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
    state: State | None
    """None if it is not finished, and no work of this studio."""
    best: float | None
    """Best top-1 accuracy on validation; known once it has ended."""
    start: float | None


@dataclass(frozen=True)
class Trials:
    """The trials of a study so far.

    Attributes:
        table: see :func:`workflows.tuning.study.trials_table`.
        front: Pareto-optimal trials: no other beats them in both accuracy and inference time.
        importances: how much each dimension mattered; empty while there are too few trials.
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
    """Reads studies; starts, stops and resumes tunings."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.jobs = BackgroundJobs(store)
        self._tunings, self._studies, self._found = Cache(256), Cache(KEPT_STUDIES), Cache(KEPT_STUDIES)

    # ---------------------------------------------------------------- looking

    def ids(self) -> list[str]:
        """Return the ids of all tunings, the newest first."""
        return tuning_ids(self._store)

    def get(self, study_id: str) -> Tuning:
        """Return a tuning. Raises RunError."""
        path = self._store.home / "tuning" / study_id / STUDY_FILE
        if not path.is_file():  # nor is a prefix of an id enough, since caches are keyed by it
            return open_tuning(self._store, study_id)
        return self._tunings.get(study_id, lambda: open_tuning(self._store, study_id))

    def briefs(self) -> list[StudyBrief]:
        """Return all tunings, the newest first."""
        jobs = self._by_subject()
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
                    self._state(jobs.get(study_id), bool(result)),
                    (result.get("best") or {}).get("val_top1"),
                    (result.get("start") or {}).get("val_top1"),
                )
            )
        return found

    def trials(self, study_id: str) -> Trials:
        """Return the trials of a study so far. Raises RunError."""
        study = self._study(study_id)
        every = study.get_trials(deepcopy=False)
        # finished trials never change; of running ones, the reported evaluations do
        stamp = tuple((trial.number, trial.state, len(trial.intermediate_values)) for trial in every)

        def make() -> Trials:
            table = trials_table(study)
            start = next((trial.number for trial in every if trial.user_attrs.get("start")), None)
            done = sum(trial.state.name == "COMPLETE" for trial in every)
            mattered = self._found.get((study_id, "importances", done), lambda: importances(study))
            return Trials(table, pareto(table) if len(table) else table, mattered, start)

        return self._found.get((study_id, stamp), make)

    def job(self, study_id: str) -> BackgroundJob | None:
        """Return this studio's job for a study; None if it was started from the command line."""
        return self._by_subject().get(study_id)

    def beginning(self) -> list[BackgroundJob]:
        """Return the queued tunings without a study, yet or because they failed."""
        return [job for job in self.jobs.all("tune") if not job.subject]

    def state(self, study_id: str) -> State | None:
        """Return how a study stands; None if it is not finished, and no work of this studio."""
        return self._state(self.job(study_id), self.get(study_id).result() is not None)

    def _state(self, job: BackgroundJob | None, finished: bool) -> State | None:
        if finished:
            return State.FINISHED
        return self.jobs.state(job) if job is not None else None

    def _by_subject(self) -> dict[str, BackgroundJob]:
        return {job.subject: job for job in reversed(self.jobs.all("tune")) if job.subject}

    def _study(self, study_id: str) -> Study:
        tuning = self.get(study_id)
        return self._studies.get(tuning.study_id, tuning.study)  # its storage remembers trials that have ended

    # ----------------------------------------------------------------- acting

    def begin(self, request: dict[str, Any]) -> BackgroundJob:
        """Start a tuning in the background.

        Args:
            request: fields of `TuneRequest`.

        Raises:
            UsageError: a field is invalid, or there is no budget.
        """
        checked = validated(TuneRequest, request)
        if checked.trials is None and checked.budget_seconds is None:
            raise UsageError("The tuning needs a budget.", "Give a number of trials, or a time.")
        document = checked.model_dump(mode="json")
        return self.jobs.start("tune", checked.dataset, document, subject="", author=resolve_author())

    def resume(self, study_id: str) -> BackgroundJob:
        """Resume a stopped or interrupted tuning. Raises FieldguideError."""
        job = self.job(study_id)
        if job is not None:
            return self.jobs.resume(job)
        request = self.get(study_id).request
        return self.jobs.start(
            "tune", request.dataset, request.model_dump(mode="json"), subject=study_id, author=resolve_author()
        )

    def stop(self, job: BackgroundJob) -> None:
        """Stop a tuning; its finished trials stay."""
        self.jobs.stop(job)

    def workflow(self, study_id: str, trial: int) -> Workflow:
        """Return the workflow of a trial. Raises RunError if there is no such trial."""
        tuning = self.get(study_id)
        for each in self._study(study_id).get_trials(deepcopy=False):
            if each.number == trial and each.params:
                return workflow_at(tuning.base, dict(each.params))
        raise RunError(f"{study_id} has no trial {trial + 1}.", "Its page lists the trials.")

    def workflow_yaml(self, study_id: str, trial: int) -> str:
        """Return the workflow of a trial as YAML. Raises RunError if there is no such trial."""
        return dumps(self.workflow(study_id, trial))


def budget_words(request: TuneRequest) -> str:
    """Describe a tuning's budget."""
    parts = [] if request.trials is None else [f"{request.trials} trials"]
    if request.budget_seconds is not None:
        minutes = request.budget_seconds / 60
        parts.append(f"{minutes / 60:g} h" if minutes >= 120 else f"{minutes:g} min")
    return ", ".join(parts)

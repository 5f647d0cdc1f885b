"""A tuning's study: its request, and the trials so far, which Optuna stores.

The trials are in a database that several processes (on several machines, with PostgreSQL) may share:
`FIELDGUIDE_DATABASE_URL`, or `HOME/tuning.db`. The request is in `HOME/tuning/ID/study.json`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.schema import CreateSchema

from workflows import settings
from workflows.errors import RunError, UsageError
from workflows.graph.workflow import Workflow
from workflows.requests import TuneRequest
from workflows.store.files import read_json, write_json
from workflows.store.locks import hold
from workflows.store.names import slug
from workflows.store.store import Store
from workflows.store.tables import now

STUDY_FILE, RESULT_FILE = "study.json", "result.json"
SCHEMA = "fieldguide_tuning"
REDUCTION = 3
"""Successive halving: of the trials that got equally far, one in three continues."""
STARTUP_TRIALS = 6
"""Number of random trials before the sampler has enough data."""
SQLITE_PATIENCE_SECONDS = 60
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Tuning:
    """One tuning: its id, its request, and the version and workflow that it starts from."""

    store: Store
    study_id: str
    request: TuneRequest
    version: int
    base: Workflow
    document: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Return the folder of the tuning's files."""
        return self.store.home / "tuning" / self.study_id

    def study(self, worker_seed: int = 0) -> Study:
        """Open the study, creating it if needed."""
        return optuna.create_study(
            storage=storage(self.store),
            study_name=self.study_id,
            direction="maximize",
            load_if_exists=True,
            sampler=optuna.samplers.TPESampler(
                n_startup_trials=STARTUP_TRIALS,
                multivariate=True,
                constant_liar=True,  # concurrent workers try different points
                seed=self.request.seed + worker_seed,
            ),
            # asynchronous successive halving (ASHA): workers do not wait for each other
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=REDUCTION),
        )

    def result(self) -> dict[str, Any] | None:
        """Return the result of the tuning, if it has ended."""
        path = self.folder / RESULT_FILE
        return read_json(path) if path.exists() else None


def storage(store: Store) -> RDBStorage:
    """Return the database of all studies."""
    url = settings.DATABASE_URL.read() or ""
    if make_url(url or "sqlite://").get_backend_name() == "postgresql":
        return _in_own_schema(url)
    store.home.mkdir(parents=True, exist_ok=True)
    path = store.home / "tuning.db"
    arguments = {"connect_args": {"timeout": SQLITE_PATIENCE_SECONDS}}
    with hold(
        store.locks_folder / "tuning-tables.lock"
    ):  # if two processes created the tables at once, the second would fail
        return RDBStorage(f"sqlite:///{path}", engine_kwargs=arguments)


def _in_own_schema(url: str) -> RDBStorage:
    """Separate Optuna's tables from ours: both store the number of their newest migration under the same name."""
    arguments = {"options": f"-c search_path={SCHEMA}"}
    with create_engine(url, poolclass=NullPool).connect() as connection:
        # if two processes created schema and tables at once, the second would fail in spite of IF NOT EXISTS. The server
        # releases the lock with the connection
        connection.execute(text("SELECT pg_advisory_lock(hashtext(:name))"), {"name": SCHEMA})
        connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
        connection.commit()
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True, "connect_args": arguments})


def new_tuning(store: Store, request: TuneRequest, version: int, base: Workflow, facts: dict[str, Any]) -> Tuning:
    """Record a new tuning.

    Args:
        facts: the facts that the search space depends on: `imbalance`, `square_matters`, `sizes`.

    Raises:
        UsageError: neither trials nor a budget was given.
    """
    if request.trials is None and request.budget_seconds is None:
        raise UsageError("The tuning has no limit.", "Give one, for example --trials 20 or --budget 2h.")
    study_id = f"{slug(request.dataset)}-{now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    document = {
        "study_id": study_id,
        "created_at": now().isoformat(),
        "request": request.model_dump(mode="json"),
        "version": version,
        "workflow": base.model_dump(mode="json"),
        **facts,
    }
    write_json(store.home / "tuning" / study_id / STUDY_FILE, document)
    return Tuning(store, study_id, request, version, base, document)


def open_tuning(store: Store, name: str) -> Tuning:
    """Return a recorded tuning by its id, by an unambiguous id prefix, or by `latest`.

    Raises:
        RunError: no tuning, or more than one, matches.
    """
    ids = tuning_ids(store)
    found = ids[:1] if name == "latest" else [each for each in ids if each == name] or _beginning(ids, name)
    if len(found) != 1:
        said = f"{len(found)} tunings begin with {name!r}." if found else f"No tuning is called {name!r}."
        raise RunError(said, "List all: `fieldguide tune --list`.")
    document = read_json(store.home / "tuning" / found[0] / STUDY_FILE)
    return Tuning(
        store,
        found[0],
        TuneRequest.model_validate(document["request"]),
        document["version"],
        Workflow.model_validate(document["workflow"]),
        document,
    )


def tuning_ids(store: Store) -> list[str]:
    """Return the ids of all tunings, newest first."""
    folder = store.home / "tuning"
    found = [path.parent for path in folder.glob(f"*/{STUDY_FILE}")]
    return [path.name for path in sorted(found, key=lambda each: (each / STUDY_FILE).stat().st_mtime, reverse=True)]


def _beginning(ids: list[str], name: str) -> list[str]:
    return [each for each in ids if name and each.startswith(name)]


def trials_table(study: Study) -> pd.DataFrame:
    """Return one row for each trial, with a column `param:NAME` for each dimension.

    The other columns: number, state (Optuna's word; see `State`), value (validation top-1), seconds, step, milliseconds,
    run_id.
    """
    rows = [_row(trial) for trial in study.get_trials(deepcopy=False) if trial.state != TrialState.WAITING]
    columns = ["number", "state", "value", "seconds", "step", "milliseconds", "run_id"]
    return pd.DataFrame(rows, columns=None if rows else columns)


def _row(trial: FrozenTrial) -> dict[str, Any]:
    reached = max(trial.intermediate_values, default=0)
    value = trial.value if trial.state == TrialState.COMPLETE else trial.intermediate_values.get(reached)
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": value,
        "seconds": trial.duration.total_seconds() if trial.duration else None,
        "step": reached,
        "milliseconds": trial.user_attrs.get("milliseconds"),
        "run_id": trial.user_attrs.get("run_id"),
        **{f"param:{name}": setting for name, setting in trial.params.items()},
    }


def importances(study: Study) -> dict[str, float]:
    """Return the importance of each dimension (share of the variance, fANOVA), highest first; empty if there are too few trials."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < STARTUP_TRIALS or len({trial.value for trial in complete}) < 2:
        return {}
    return optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0), params=_shared_params(complete)
    )


def _shared_params(trials: list[FrozenTrial]) -> list[str]:
    """Return the dimensions that varied: the importance of others can't be computed."""
    names = set.intersection(*(set(trial.params) for trial in trials))
    return sorted(name for name in names if len({trial.params[name] for trial in trials}) > 1)


def pareto(table: pd.DataFrame) -> pd.DataFrame:
    """Return the complete trials that no other beats in both accuracy and time of inference, the fastest first."""
    done = table[(table["state"] == "complete") & table["milliseconds"].notna()]
    ordered = done.sort_values(["milliseconds", "value"], ascending=[True, False])
    best = ordered["value"].cummax()
    front = ordered[ordered["value"].gt(best.shift(fill_value=float("-inf")))]
    return front.reset_index(drop=True)

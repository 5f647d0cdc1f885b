"""The flow `tune`: workers run trials until the budget is spent, then the winner is trained and tested once.

The study is Optuna's, the trials are the domain's (:mod:`workflows.tuning`). Several runs of this flow, also on
several machines that share a database, may work on one study. Deploy it as `flows/tuning.py:tune`.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact

from flows.caller import caller
from flows.reporting import UNREACHABLE
from flows.retraining import train_as_flow
from workflows.requests import TuneRequest
from workflows.store.store import Store
from workflows.tuning.study import open_tuning
from workflows.tuning.tune import begin_tuning, refit, work


@flow(name="tune", persist_result=False)
def tune(request: TuneRequest | None = None, study_id: str | None = None, worker: int = 0) -> dict[str, Any]:
    """Search for a better workflow; return the result.

    Args:
        request: what to tune; not needed to resume a study.
        study_id: a recorded study to resume or to join.
        worker: number of this worker; each searches with another seed.
    """
    store = caller.get().store or Store()
    if study_id is None and request is not None:
        study_id = begin_tuning(store, request).study_id
    tuning = open_tuning(store, study_id or "latest")
    do_trials(tuning.study_id, worker)
    result = refit(tuning, caller.get().progress, train_as_flow)
    _show(result)
    return result


@task(name="trials", task_run_name="trials of {study_id}, worker {worker}", persist_result=False)
def do_trials(study_id: str, worker: int) -> None:
    """Run trials until the budget is spent."""
    store = caller.get().store or Store()
    work(open_tuning(store, study_id), caller.get().progress, worker)


def _show(result: dict[str, Any]) -> None:
    """Store the outcome as a text in Prefect's UI."""
    best, start = result["best"], result["start"]
    lines = [f"# {result['study_id']}", "", f"{result['trials']} trials, {result['pruned']} ended early.", ""]
    lines.append(f"Best on validation: {best['val_top1']:.4f} (trial {best['trial'] + 1})")
    if start:
        lines.append(f", from {start['val_top1']:.4f}")
    refit = result["refit"]
    lines.append(f"Retrained on {refit['on']} for {refit['epochs']} epochs; {refit['chosen']}.")
    lines += ["", *(f"- {name}: {value}" for name, value in best["params"].items())]
    try:
        create_markdown_artifact("\n".join(lines), key=f"{result['study_id']}-tuning", description="Tuning")
    except UNREACHABLE:
        return

"""One job in a process of its own: `python -m flows.background_job ID --home HOME [--studio PID@START]`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from flows.background_jobs import BackgroundJob, BackgroundJobs
from flows.process_identity import ProcessIdentity
from flows.progress_file import progress_into
from flows.service import arguments, begin_job
from workflows import settings
from workflows.errors import FieldguideError, RunCancelled
from workflows.progress import Progress
from workflows.store.store import Store


def main() -> int:
    """Do the job; return the exit code."""
    parser = arguments("flows.background_job", "job", studio_required=False)
    parser.add_argument("--home", type=Path, required=True)
    chosen = parser.parse_args()
    settings.HOME.set(str(chosen.home))  # child processes work on the same store
    store = Store(chosen.home)
    jobs = BackgroundJobs(store)
    job = jobs.find(chosen.job)
    if job is None:
        sys.stderr.write(f"No job is called {chosen.job}.\n")
        return 1
    job = replace(job, process=str(ProcessIdentity.current()))
    jobs.write(job)
    begin_job(chosen.studio, lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        subject = WORK[job.kind](store, jobs, job, progress_into(jobs.progress_path(job)))
    except RunCancelled:
        jobs.end(job, {"stopped": True})
        return 130
    except FieldguideError as error:
        sys.stderr.write(f"{error}\n")
        jobs.end(job, error.document())
        return error.exit_code
    jobs.end(job, {"subject": subject})
    return 0


def retrain(store: Store, _jobs: BackgroundJobs, job: BackgroundJob, progress: Progress) -> str:
    """Retrain a model; return the decision's id."""
    from flows.local import retrain_now
    from workflows.requests import RetrainSettings

    settings = RetrainSettings.model_validate(job.request)
    trigger = f"{job.author}, in the studio"
    return retrain_now(store, job.about, trigger, settings, progress, decision_id=job.subject).decision_id


def tune(store: Store, jobs: BackgroundJobs, job: BackgroundJob, progress: Progress) -> str:
    """Tune a workflow; return the tuning's id."""
    from flows.local import tune_now
    from workflows.requests import TuneRequest
    from workflows.tuning.study import open_tuning
    from workflows.tuning.tune import begin_tuning

    if job.subject:
        tuning = open_tuning(store, job.subject)
    else:
        progress("begin", 0, 1, "preparing the data and the starting workflow")
        tuning = begin_tuning(store, TuneRequest.model_validate(job.request))
        jobs.write(replace(job, subject=tuning.study_id))
    tune_now(store, tuning, progress)
    return tuning.study_id


WORK: Mapping[str, Callable[[Store, BackgroundJobs, BackgroundJob, Progress], str]] = {"retrain": retrain, "tune": tune}


if __name__ == "__main__":
    sys.exit(main())

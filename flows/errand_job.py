"""One errand in a process of its own: `python -m flows.errand_job ID --home HOME [--studio PID@START]`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from flows.errands import Errand, Errands
from flows.leash import Mark
from flows.service import arguments, begin_job
from flows.telling import tell_into
from workflows.errors import FieldguideError, RunCancelled
from workflows.progress import Progress
from workflows.store.store import Store


def main() -> int:
    """Do the errand; return the exit code."""
    parser = arguments("flows.errand_job", "errand", studio_required=False)
    parser.add_argument("--home", type=Path, required=True)
    chosen = parser.parse_args()
    os.environ["FIELDGUIDE_HOME"] = str(chosen.home)  # what is started from here works on the same store
    store = Store(chosen.home)
    errands = Errands(store)
    errand = errands.find(chosen.errand)
    if errand is None:
        sys.stderr.write(f"There is no errand {chosen.errand}.\n")
        return 1
    errand = replace(errand, process=str(Mark.mine()))
    errands.write(errand)
    begin_job(chosen.studio, lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        subject = WORK[errand.kind](store, errands, errand, tell_into(errands.progress_path(errand)))
    except RunCancelled:
        errands.end(errand, {"stopped": True})
        return 130
    except FieldguideError as error:
        sys.stderr.write(f"{error}\n")
        errands.end(errand, {"error": error.message, "hint": error.hint})
        return error.exit_code
    errands.end(errand, {"subject": subject})
    return 0


def retrain(store: Store, _errands: Errands, errand: Errand, progress: Progress) -> str:
    """Retrain a model; return the decision's id."""
    from flows.deciding import retrain_now
    from workflows.retraining.plan import RetrainSettings

    settings = RetrainSettings.model_validate(errand.request)
    trigger = f"{errand.author}, in the studio"
    return retrain_now(store, errand.about, trigger, settings, progress, decision_id=errand.subject).decision_id


def tune(store: Store, errands: Errands, errand: Errand, progress: Progress) -> str:
    """Tune a workflow; return the tuning's id."""
    from flows.searching import tune_now
    from workflows.tuning.study import TuneRequest, open_tuning
    from workflows.tuning.tune import begin_tuning

    if errand.subject:
        tuning = open_tuning(store, errand.subject)
    else:
        progress("begin", 0, 1, "settling the data and the workflow to start from")
        tuning = begin_tuning(store, TuneRequest.model_validate(errand.request))
        errands.write(replace(errand, subject=tuning.study_id))
    tune_now(store, tuning, progress)
    return tuning.study_id


WORK: Mapping[str, Callable[[Store, Errands, Errand, Progress], str]] = {"retrain": retrain, "tune": tune}


if __name__ == "__main__":
    sys.exit(main())

"""A whole run killed with signal 9 goes on from its checkpoint and ends with the bits of one that nobody disturbed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file

from tests.processes import forking
from tests.tiny import TrainedRun
from workflows.pipeline import create_run, run_pipeline
from workflows.requests import TrainRequest
from workflows.store.store import Store

TIMES = ("seconds", "images_per_second")
"""What no two trainings share."""


def train_and_die(home: Path, run_id: str) -> None:
    """Walk a run until its third epoch begins, and be killed there."""
    from workflows.training import trainer

    trainer.CHECKPOINT_SHARE = float("inf")  # epochs here take a fraction of a second; save after each
    store = Store(home)

    def die(stage: str, done: int, total: int, text: str = "") -> None:
        if len(store.runs.steps(run_id)["step"].unique()) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    run_pipeline(store, run_id, die)


def test_a_killed_run_goes_on_to_the_same_bits(trained: TrainedRun, tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    request = TrainRequest.model_validate(trained.store.runs.get(trained.run_id).request)
    run = create_run(store, request)
    process = forking().Process(target=train_and_die, args=(store.home, run.run_id))
    process.start()
    process.join(200)
    assert process.exitcode == -signal.SIGKILL
    store.runs.reconcile()
    assert store.runs.get(run.run_id).state == "interrupted"
    before = store.runs.steps(run.run_id)
    result = run_pipeline(store, run.run_id).document()
    assert result["metrics"] == trained.result["metrics"]
    weights, others = (load_file(one["artifacts"]["model"]) for one in (result, trained.result))
    assert all(torch.equal(value, others[name]) for name, value in weights.items()) and weights.keys() == others.keys()
    steps, whole = store.runs.steps(run.run_id), trained.store.runs.steps(trained.run_id)
    first = [table[table["step"] == 1] for table in (steps, before)]
    pd.testing.assert_frame_equal(*first)  # times, too: that epoch had a checkpoint, so it was not trained again
    same = [table.loc[~table["name"].isin(TIMES), ["step", "name", "value"]] for table in (steps, whole)]
    pd.testing.assert_frame_equal(*(table.reset_index(drop=True) for table in same))

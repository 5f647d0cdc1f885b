"""Several processes train one network together, as on several GPUs; here two on the CPU."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import distributed

from tests.training.test_learner import IMAGES, LABELS, assert_same_gradients, freeze_norms, learner
from tests.training.test_train import EPOCHS, assert_equal, job
from workflows.errors import FieldguideError, RunCancelled, TrainingError, WorkflowError
from workflows.store.files import read_json
from workflows.store.store import Store
from workflows.training.checkpoint import load_checkpoint
from workflows.training.group import Group, _kept, keep_failure, train_together
from workflows.training.job import TrainingJob
from workflows.training.train import _check_shares, train

PROCESSES = 2


def together(made: TrainingJob) -> TrainingJob:
    made.outputs.path.mkdir(parents=True, exist_ok=True)
    made.publish()
    train_together(made, PROCESSES)
    return made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> TrainingJob:
    """A training by two processes."""
    return together(job(tmp_path_factory.mktemp("shared"), tiny_source))


def test_all_photos_are_seen_once_and_every_epoch_is_recorded(shared: TrainingJob) -> None:
    outcome, best = train(shared)
    assert outcome.epochs == EPOCHS and best.exists()
    photos = shared.photos()
    train_ids = photos.loc[photos["split"] == "train", "image_id"]
    for step in range(1, EPOCHS + 1):
        dynamics = pd.read_parquet(shared.outputs.dynamics.table(step))
        assert dynamics["image_id"].is_unique or len(train_ids) % PROCESSES
        assert set(dynamics["image_id"]) == set(train_ids)
    steps = Store(shared.home).runs.steps(shared.run_id).pivot(index="step", columns="name", values="value")
    assert steps.index.tolist() == list(range(1, EPOCHS + 1))
    assert steps["train/loss"].between(0.0, 5.0).all()


def test_it_is_not_the_training_of_one_process(shared: TrainingJob, tmp_path: Path, tiny_source: Path) -> None:
    """Each process normalises by its own half of the batch; were nothing shared, half of the photos would be missing."""
    alone = job(tmp_path, tiny_source)
    train(alone)
    one, two = (load_checkpoint(each.outputs.checkpoint, each.run_id) for each in (alone, shared))
    assert one is not None and two is not None
    assert one["updates"] == two["updates"]
    assert not torch.equal(one["model"]["model.9.linear.weight"], two["model"]["model.9.linear.weight"])


@pytest.mark.slow
def test_a_group_that_was_cut_off_goes_on_to_the_same_bits(
    shared: TrainingJob, tmp_path: Path, tiny_source: Path
) -> None:
    cut = job(tmp_path, tiny_source)
    runs = Store(cut.home).runs
    with runs.alive(cut.run_id), ThreadPoolExecutor(1) as pool:
        training = pool.submit(together, cut)
        while not cut.outputs.checkpoint.exists() and not training.done():
            time.sleep(0.02)
        runs.request_cancel(cut.run_id)
        with pytest.raises(RunCancelled):
            training.result()
    state = load_checkpoint(cut.outputs.checkpoint, cut.run_id)
    assert state is not None and state["epoch"] < EPOCHS
    with runs.alive(cut.run_id):
        together(cut)
    for made in (shared, cut):
        train(made)  # it is over: only what came of it is written
    assert_equal(shared, cut)


@pytest.mark.slow
def test_what_stops_the_group_reaches_who_started_it(tmp_path: Path, tiny_source: Path) -> None:
    made = job(tmp_path, tiny_source)
    Store(made.home).runs.request_cancel(made.run_id)
    with pytest.raises(RunCancelled, match="cancelled in epoch 1"):
        together(made)


def test_one_process_alone_needs_nobody() -> None:
    group, logits = Group(), torch.ones(2)
    assert group.gathered(logits) == (logits,)
    assert group.agreed(True) is True
    assert group.shared(network := torch.nn.Linear(1, 1)) is network


def _step(rank: int, folder: str) -> None:
    """Be one of two processes that take a step together, each on half of a batch."""
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=PROCESSES)
    made = freeze_norms(learner(Group(rank, PROCESSES)))
    half = slice(4 * rank, 4 * rank + 4)
    made.learn(IMAGES[half], LABELS[half], 1.0)
    torch.save(made.state(), f"{folder}/{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


def test_two_halves_teach_what_the_whole_batch_teaches(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_step, (str(tmp_path),), nprocs=PROCESSES)
    whole = freeze_norms(learner())
    whole.learn(IMAGES[:8], LABELS[:8], 1.0)
    for rank in range(PROCESSES):
        assert_same_gradients(whole.state(), torch.load(tmp_path / f"{rank}.pt", weights_only=False))


def test_an_error_keeps_its_class_problems_and_details(tmp_path: Path, tiny_source: Path) -> None:
    made = job(tmp_path, tiny_source)
    made.outputs.path.mkdir(parents=True)
    error = WorkflowError("no", problems=["one", "two"], hint="do")
    keep_failure(made, error)
    found = _kept(read_json(made.outputs.failure))
    assert type(found) is WorkflowError and found.document() == error.document()

    class ElsewhereError(FieldguideError):
        """Of another package."""

    keep_failure(made, ElsewhereError("odd", "help"))
    found = _kept(read_json(made.outputs.failure))
    assert type(found) is TrainingError and (found.message, found.hint) == ("odd", "help")


def test_a_batch_must_have_two_images_for_each_device() -> None:
    _check_shares(6, 3)
    with pytest.raises(TrainingError, match="5"):
        _check_shares(5, 3)

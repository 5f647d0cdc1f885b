"""Whole trainings along other graphs than the usual one: kinds from outside, nodes left out, nodes that stand twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import Field

from tests.app.pages import copied, opened, show
from tests.tiny import TrainedRun, write_tiny
from workflows.data.importing import add_dataset
from workflows.errors import DatasetError
from workflows.graph.editing import delete_node, insert_node
from workflows.graph.kinds import NODE_KINDS, NodeKind, Stage
from workflows.graph.plan import Step, plan
from workflows.graph.settings import NodeSettings
from workflows.graph.workflow import Workflow
from workflows.nodes.dataset import DatasetSettings
from workflows.nodes.evaluation import EvaluationSettings
from workflows.nodes.explanation import ExplanationSettings
from workflows.nodes.model import ModelSettings
from workflows.nodes.training import TrainingSettings
from workflows.pipeline import RunContext, create_run, run_pipeline
from workflows.requests import TrainRequest
from workflows.store.answers import StageAnswer
from workflows.store.store import Store

TAUGHT_TOO = 10


class CountSettings(NodeSettings):
    """Counts the classifier's numbers."""

    digits: int = Field(default=3, ge=1, le=9, description="To how many digits.")


def count_numbers(context: RunContext, step: Step) -> StageAnswer:
    from safetensors import safe_open

    settings: CountSettings = step.settings
    with safe_open(context.folder.model.weights, "np") as file:
        total = sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118 - no mapping
    context.folder_of(step).mkdir()
    (context.folder_of(step) / "count.txt").write_text(f"{total:.{settings.digits}g}")
    context.progress("count", 1, 1)
    return StageAnswer(numbers=total)


COUNT = NodeKind(
    name="count",
    settings=CountSettings,
    title="Count",
    inputs=("classifier",),
    outputs=("count",),
    stages=(Stage("count", "count numbers", count_numbers),),
    optional=True,
    repeatable=True,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the data sets `tiny`, `others` (ten of its photos are in `tiny`, too) and `strange` (other classes)."""
    store, place = Store(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("photos")
    add_dataset(store, "tiny", write_tiny(place / "tiny"))
    table = read_version(store, "tiny")
    others = write_tiny(place / "others", per_class=12, side=44)
    train = table[table["split"] == "train"].head(TAUGHT_TOO)
    for number, (sha256, label) in enumerate(zip(train["sha256"], train["label"], strict=True)):
        shutil.copyfile(store.blobs.path(sha256), others / str(label) / f"known-{number}.png")
    add_dataset(store, "others", others)
    add_dataset(store, "strange", write_tiny(place / "strange", classes=("7", "8"), per_class=12))
    return store


def read_version(store: Store, name: str) -> pd.DataFrame:
    from workflows.data.catalog import get_version

    return get_version(store, name).labelled()


def usual() -> Workflow:
    return Workflow.linear(
        "tiny",
        DatasetSettings(name="tiny"),
        model=ModelSettings(image_size=32, weights="none"),
        training=TrainingSettings(epochs=2, batch=16, device="cpu"),
        explanation=ExplanationSettings(methods=("eigen-cam",), images=3),
    )


def trained(store: Store, workflow: Workflow) -> TrainedRun:
    assert workflow.problems() == []
    request = TrainRequest(dataset="tiny", workflow=workflow.model_dump(mode="json"))
    run = create_run(store, request)
    return TrainedRun(store, run.run_id, run_pipeline(store, run.run_id).document(), Path())


@pytest.fixture(scope="module")
def branched(store: Store) -> Iterator[TrainedRun]:
    """A run with a kind from outside, evaluated on its own photos and on `others`, and explained on both."""
    with NODE_KINDS.registered(COUNT):
        workflow, _ = insert_node(usual(), "count", CountSettings(digits=5))
        workflow, evaluation = insert_node(workflow, "evaluation", EvaluationSettings(dataset="others"))
        workflow, _ = insert_node(
            workflow, "explanation", ExplanationSettings(methods=("layer-cam",), images=2), evaluation
        )
        yield trained(store, workflow)


def test_a_kind_from_outside_is_trained_through(branched: TrainedRun) -> None:
    numbers = branched.result["further"]["count"]["numbers"]
    assert numbers > 1_000_000
    assert float((branched.folder.of_step("count") / "count.txt").read_text()) == pytest.approx(numbers, rel=1e-4)
    assert "count" in branched.result["seconds"]


def test_the_main_evaluation_is_the_one_on_the_runs_own_photos(branched: TrainedRun) -> None:
    kept = json.loads(branched.folder.evaluation.metrics.read_text())
    assert branched.result["metrics"]["test"] == kept["test"]
    table = read_version(branched.store, "tiny")
    assert kept["test"]["support"] == (table["split"] == "test").sum()


def test_another_data_set_is_judged_without_the_photos_that_taught(branched: TrainedRun) -> None:
    found = branched.result["further"]["evaluation.evaluation-2"]
    others = read_version(branched.store, "others")
    assert found["left_out_as_taught"] == TAUGHT_TOO
    assert found["metrics"]["test"]["support"] == len(others) - TAUGHT_TOO
    assert found["dataset"] == {"name": "others", "version": 1, "images": len(others) - TAUGHT_TOO}
    predictions = pd.read_parquet(branched.folder.of_step("evaluation.evaluation-2") / "predictions.parquet")
    taught = set(pd.read_parquet(branched.folder.records).query("split == 'train'")["sha256"])
    assert not taught & set(others.set_index("image_id").loc[predictions["image_id"], "sha256"])


def test_each_explanation_is_of_the_evaluation_it_follows(branched: TrainedRun) -> None:
    own = pd.read_csv(branched.folder.explanation.table)
    other = pd.read_csv(branched.folder.of_step("explanation.explanation-2") / "explanations.csv")
    assert set(own["image_id"]) <= set(read_version(branched.store, "tiny")["image_id"])
    assert set(other["image_id"]) <= set(read_version(branched.store, "others")["image_id"])
    assert (set(own["method"]), own["image_id"].nunique()) == ({"eigen-cam"}, 3)
    assert (set(other["method"]), other["image_id"].nunique()) == ({"layer-cam"}, 2)
    assert len(list((branched.folder.of_step("explanation.explanation-2")).glob("*.png"))) >= 2


def test_the_report_tells_of_the_other_data_set(branched: TrainedRun) -> None:
    report = branched.folder.report.read_text()
    top1 = branched.result["further"]["evaluation.evaluation-2"]["metrics"]["test"]["top1"]
    assert "others" in report and f"{100 * top1:.1f}" in report


@pytest.fixture(scope="module")
def bare(store: Store) -> TrainedRun:
    """A run of what can't be left out."""
    return trained(store, delete_node(delete_node(usual(), "evaluation"), "augmentation"))


def test_a_run_without_evaluation_leaves_a_classifier_and_no_report(bare: TrainedRun) -> None:
    assert bare.result["state"] == "finished"
    assert bare.result["metrics"] == {"val": None, "test": None}
    assert {"model", "model_card", "workflow"} <= set(bare.result["artifacts"])
    assert not {"report", "predictions", "explanations"} & set(bare.result["artifacts"])
    assert not bare.folder.evaluation.path.exists()
    assert bare.result["training"]["best_step"] >= 1


def test_without_augmentation_training_sees_the_photos_as_they_are(bare: TrainedRun) -> None:
    from workflows.training.augment import Augmenter

    settings = RunContext(bare.store, bare.run_id).workflow.augmentation
    photos = [np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)] * 4
    seen = Augmenter(settings, 40)(photos, seed=3)
    assert all(np.array_equal(one, photos[0]) for one in seen)


def test_without_explanation_there_is_a_report_all_the_same(store: Store) -> None:
    run = trained(store, delete_node(usual(), "explanation"))
    assert run.folder.report.exists()
    assert run.result["metrics"]["test"]["support"] > 0
    assert "explanations" not in run.result["artifacts"]


@pytest.mark.parametrize("name", ["absent", "strange"])
def test_a_data_set_that_cannot_be_evaluated_on_is_refused_before_the_training(store: Store, name: str) -> None:
    workflow, _ = insert_node(usual(), "evaluation", EvaluationSettings(dataset=name))
    run = create_run(store, TrainRequest(dataset="tiny", workflow=workflow.model_dump(mode="json")))
    with pytest.raises(DatasetError, match=name):
        run_pipeline(store, run.run_id)
    assert not store.run_folder(run.run_id).records.exists()


def test_answers_under_their_earlier_names_are_found(branched: TrainedRun, tmp_path: Path) -> None:
    """As in homes that were written when the nodes `augmentation` and `model` named what decodes and finds weights."""
    old = branched.copied(tmp_path / "home")
    answers = old.folder.path / "stages"
    kept: dict[str, Any] = {}
    for key, earlier in (("decoding", "augmentation"), ("weights", "model")):
        (answers / f"{key}.json").rename(answers / f"{earlier}.json")
        kept[earlier] = (answers / f"{earlier}.json").read_bytes()
    (answers / "report.json").unlink()
    old.store.runs.update(old.run_id, state="interrupted", result=None)
    result = run_pipeline(old.store, old.run_id).document()
    assert {name: (answers / f"{name}.json").read_bytes() for name in kept} == kept
    assert not (answers / "decoding.json").exists()
    assert result["weights"] == branched.result["weights"]
    assert result["seconds"]["decoding"] == branched.result["seconds"]["decoding"]


def test_steps_of_further_nodes_are_told_apart(branched: TrainedRun) -> None:
    steps = plan(RunContext(branched.store, branched.run_id).workflow)
    assert len({step.title for step in steps}) == len({step.words for step in steps}) == len(steps)


@pytest.mark.parametrize("view", ["run", "evaluation", "explain", "predict", "models", "home"])
def test_every_page_opens_for_a_run_without_evaluation(
    bare: TrainedRun, view: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(copied(bare.store.home, tmp_path), monkeypatch):
        assert show(view, run=bare.run_id, dataset="tiny").main.children


@pytest.mark.parametrize("view", ["run", "evaluation", "explain", "workflow"])
def test_every_page_opens_for_a_run_with_further_nodes(
    branched: TrainedRun, view: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(copied(branched.store.home, tmp_path), monkeypatch):
        assert show(view, run=branched.run_id, dataset="tiny").main.children

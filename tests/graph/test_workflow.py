"""Building, reading and changing workflows in Python."""

from __future__ import annotations

from itertools import pairwise

import pytest
from pydantic import ValidationError

from tests.texts import mentions
from workflows.errors import WorkflowError
from workflows.graph.kinds import NODE_KINDS
from workflows.graph.nodes import Edge, Estimate, Node, Reason
from workflows.graph.workflow import YOUR_CHOICE, Workflow
from workflows.nodes.augmentation import AugmentationSettings
from workflows.nodes.dataset import DatasetSettings
from workflows.nodes.evaluation import EvaluationSettings
from workflows.nodes.model import ModelSettings
from workflows.nodes.training import TrainingSettings

ESTIMATE = Estimate(
    seconds=60, seconds_low=50, seconds_high=80, memory_bytes=10**9, images_per_second=200, basis="a guess"
)
BECAUSE = Reason(node="training", field="epochs", value=20, because="it is enough", source="a paper")


@pytest.fixture
def workflow() -> Workflow:
    return Workflow.linear(
        "birds",
        DatasetSettings(name="birds"),
        goal="fast",
        model=ModelSettings(size="s"),
        reasons=[BECAUSE],
        estimate=ESTIMATE,
    )


def test_linear_makes_the_standard_chain(workflow: Workflow) -> None:
    assert [node.kind for node in workflow.order()] == list(NODE_KINDS)
    assert [(edge.source, edge.target) for edge in workflow.edges] == list(pairwise(NODE_KINDS))
    assert workflow.problems() == []


def test_settings_are_typed(workflow: Workflow) -> None:
    assert workflow.dataset == DatasetSettings(name="birds")
    assert workflow.model == ModelSettings(size="s")
    assert workflow.augmentation == AugmentationSettings()
    assert workflow.training == TrainingSettings()
    assert workflow.evaluation == EvaluationSettings()
    assert workflow.split.source == "version"
    assert workflow.explanation.images == 16


def test_with_settings_leaves_the_original_alone(workflow: Workflow) -> None:
    changed = workflow.with_settings("training", epochs=3, batch=8)
    assert (changed.training.epochs, changed.training.batch) == (3, 8)
    assert workflow.training.epochs == 20
    assert changed.problems() == []


def test_with_settings_says_that_you_chose(workflow: Workflow) -> None:
    changed = workflow.with_settings("training", epochs=3, seed=7)
    assert changed.reasons == [
        Reason(node="training", field="epochs", value=3, because=YOUR_CHOICE, source="you"),
        Reason(node="training", field="seed", value=7, because=YOUR_CHOICE, source="you"),
    ]
    assert changed.reason("training", "seed") == changed.reasons[1]
    assert changed.reason("training", "momentum") is None


@pytest.mark.parametrize(
    ("kind", "changes", "kept"),
    [
        ("training", {"epochs": 3}, False),
        ("training", {"epochs": 20}, True),
        ("training", {"learning_rate": 1e-4}, True),
        ("model", {"image_size": 64}, False),
        ("model", {"weights": "none"}, True),
        ("dataset", {"name": "dogs"}, False),
        ("augmentation", {"rotate": 5}, True),
    ],
)
def test_an_estimate_is_kept_while_it_holds(workflow: Workflow, kind: str, changes: dict, kept: bool) -> None:
    assert (workflow.with_settings(kind, **changes).estimate == ESTIMATE) is kept


def test_for_dataset_changes_the_data_and_gives_no_reason(workflow: Workflow) -> None:
    changed = workflow.for_dataset("dogs", 3)
    assert changed.dataset == DatasetSettings(name="dogs", version=3)
    assert changed.reasons == workflow.reasons
    assert changed.estimate is None
    assert workflow.for_dataset("birds") == workflow


def test_the_fields_that_a_kind_names_exist() -> None:
    for kind in NODE_KINDS.values():
        assert {*kind.cost_fields, *kind.shown_fields, *kind.fixed_fields, *kind.empty_words} <= set(
            kind.settings.model_fields
        )


def test_with_settings_names_every_bad_field(workflow: Workflow) -> None:
    with pytest.raises(WorkflowError) as caught:
        workflow.with_settings("training", epoch=3, batch=1)
    batch, epoch = caught.value.problems
    assert batch.startswith("training: field 'batch'") and mentions(batch, 2, "4,096", 1)
    assert epoch.startswith("training: field 'epoch'") and mentions(epoch, "epochs")
    with pytest.raises(WorkflowError, match=r"'trainig'.*'training'"):
        workflow.with_settings("trainig", epochs=3)


def test_a_missing_or_doubled_node_is_told(workflow: Workflow) -> None:
    without = workflow.model_copy(update={"nodes": [node for node in workflow.nodes if node.kind != "split"]})
    with pytest.raises(WorkflowError, match="split"):
        _ = without.split
    doubled = workflow.model_copy(
        update={"nodes": [*workflow.nodes, Node(id="m", kind="model", settings=ModelSettings())]}
    )
    with pytest.raises(WorkflowError, match="2 model"):
        _ = doubled.model


def test_order_refuses_circles_and_strangers(workflow: Workflow) -> None:
    circle = workflow.model_copy(update={"edges": [*workflow.edges, Edge(source="training", target="model")]})
    with pytest.raises(WorkflowError, match="model -> training -> model"):
        circle.order()
    stranger = workflow.model_copy(update={"edges": [*workflow.edges, Edge(source="training", target="nowhere")]})
    with pytest.raises(WorkflowError, match="'nowhere'"):
        stranger.order()


def test_order_does_not_depend_on_how_nodes_are_listed(workflow: Workflow) -> None:
    shuffled = workflow.model_copy(update={"nodes": workflow.nodes[::-1]})
    assert [node.kind for node in shuffled.order()] == list(NODE_KINDS)


def test_a_reason_for_a_node_that_is_not_there_is_a_problem(workflow: Workflow) -> None:
    reason = Reason(node="modle", field="size", value="n", because="b", source="s")
    broken = workflow.model_copy(update={"reasons": [reason, reason]})
    assert len(broken.problems()) == 1 and mentions(broken.problems()[0], "modle")


def test_nodes_refuse_settings_of_another_kind() -> None:
    with pytest.raises(ValidationError, match=r"training .*ModelSettings"):
        Node(id="t", kind="training", settings=ModelSettings())
    with pytest.raises(ValidationError, match="'modle'"):
        Node.model_validate({"id": "m", "kind": "modle"})
    with pytest.raises(ValidationError):
        Node.model_validate({"id": "m", "kind": "model", "settings": {"size": "tiny"}})


def test_nothing_changes_in_place(workflow: Workflow) -> None:
    with pytest.raises(ValidationError):
        workflow.name = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        workflow.training.epochs = 1  # type: ignore[misc]

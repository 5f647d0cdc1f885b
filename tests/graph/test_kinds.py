"""Kinds of nodes: registered from outside, left out, standing more than once; the plan follows the edges."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import Field

from app.views.workflow.fields import form_fields
from tests.graph.strategies import workflows
from tests.processes import ROOT, environment
from tests.properties import examples
from tests.texts import mentions
from workflows.errors import WorkflowError
from workflows.graph.drawing import to_graphviz, to_mermaid, to_text
from workflows.graph.editing import addable_kinds, delete_node, insert_node
from workflows.graph.kinds import NODE_KINDS, NodeKind, Stage
from workflows.graph.nodes import Edge
from workflows.graph.plan import plan, upstream
from workflows.graph.settings import NodeSettings
from workflows.graph.workflow import Workflow, dumps, list_templates, load_template, loads
from workflows.nodes.augmentation import NO_AUGMENTATION
from workflows.nodes.dataset import DatasetSettings
from workflows.nodes.evaluation import EvaluationSettings
from workflows.pipeline import planned_steps
from workflows.store.answers import StageAnswer


class SharpenSettings(NodeSettings):
    """Makes the edges of training photos stronger."""

    amount: float = Field(default=0.5, ge=0.0, le=2.0, description="How much.")


SHARPEN = NodeKind(
    name="sharpen",
    settings=SharpenSettings,
    title="Sharpen",
    inputs=("split",),
    outputs=("split",),
    stages=(Stage("sharpen", "sharpen photos", lambda context, step: StageAnswer(amount=step.settings.amount)),),
    optional=True,
    shown_fields=("amount",),
)
STANDARD = ["split", "decoding", "weights", "training", "evaluation", "explanation"]


@pytest.fixture
def sharpen() -> Iterator[NodeKind]:
    with NODE_KINDS.registered(SHARPEN):
        yield SHARPEN


@pytest.fixture
def workflow() -> Workflow:
    return Workflow.linear("birds", DatasetSettings(name="birds"))


def keys(workflow: Workflow) -> list[str]:
    return [step.key for step in plan(workflow)]


def test_the_usual_graph_has_the_usual_steps(workflow: Workflow) -> None:
    assert keys(workflow) == STANDARD
    assert all(step.is_main for step in plan(workflow))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=examples(50))
@given(workflows())
def test_every_sound_graph_has_a_plan_with_the_training_behind_all_it_needs(drawn: Workflow) -> None:
    found = keys(drawn)
    assert len(set(found)) == len(found)
    assert found.index("split") < found.index("decoding") < found.index("training")


@pytest.mark.parametrize("name", list_templates())
def test_ready_made_workflows_have_the_usual_steps(name: str) -> None:
    assert keys(load_template(name)) == STANDARD


@pytest.mark.parametrize("document", [None, {}, {"name": "x", "nodes": [{"id": "a", "kind": "gone"}], "edges": []}])
def test_a_run_whose_workflow_is_unknown_is_expected_to_do_the_usual(document: dict[str, object] | None) -> None:
    assert [step.key for step in planned_steps(document)] == ["dataset", "audit", "workflow", *STANDARD, "report"]


def test_a_kind_from_outside_is_walked_checked_drawn_written_and_gets_a_form(
    sharpen: NodeKind, workflow: Workflow
) -> None:
    changed, id_ = insert_node(workflow, "sharpen", SharpenSettings(amount=1.5))
    assert changed.problems() == []
    assert ("augmentation", id_) in [(edge.source, edge.target) for edge in changed.edges]
    assert (id_, "model") in [(edge.source, edge.target) for edge in changed.edges]
    assert keys(changed) == ["split", "sharpen", *STANDARD[1:]]
    assert loads(dumps(changed)) == changed
    assert "# Makes the edges of training photos stronger." in dumps(changed)
    for drawing in (to_text(changed), to_mermaid(changed), to_graphviz(changed)):
        assert "amount 1.5" in drawing
    assert [field.name for field in form_fields("sharpen")] == ["amount"]
    assert changed.with_settings("sharpen", amount=0.1).settings_of("sharpen") == SharpenSettings(amount=0.1)
    with pytest.raises(WorkflowError, match="amount"):
        loads(dumps(changed).replace("amount: 1.5", "amount: 9"))
    assert set(map(str, delete_node(changed, id_).edges)) == set(map(str, workflow.edges))


def test_a_kind_is_known_only_while_it_is_registered(workflow: Workflow) -> None:
    with NODE_KINDS.registered(SHARPEN):
        text = dumps(insert_node(workflow, "sharpen")[0])
    assert "sharpen" not in NODE_KINDS
    with pytest.raises(WorkflowError, match="sharpen"):
        loads(text)


@pytest.mark.parametrize("name", ["model", "Sharpen", "a/b", "", "..", "a.b"])
def test_names_that_are_taken_or_impossible_are_refused(name: str) -> None:
    with pytest.raises(WorkflowError):
        NODE_KINDS.register(NodeKind(name, SharpenSettings, "x", inputs=(), outputs=()))
    assert "sharpen" not in NODE_KINDS


@pytest.mark.parametrize("key", ["training", "decoding", "report", "audit"])
def test_keys_of_other_stages_are_refused(key: str) -> None:
    stage = Stage(key, "x", lambda context, step: StageAnswer())
    with pytest.raises(WorkflowError):
        NODE_KINDS.register(NodeKind("other", SharpenSettings, "x", inputs=(), outputs=(), stages=(stage,)))
    assert "other" not in NODE_KINDS


PACKAGE = """
from workflows.graph.kinds import NodeKind
from workflows.graph.settings import NodeSettings

class Tint(NodeSettings):
    'Tints photos.'

KIND = NodeKind("tint", Tint, "Tint", inputs=("split",), outputs=("split",), optional=True)
"""


def told_with_package(place: Path, module: str) -> subprocess.CompletedProcess[str]:
    """Run `fieldguide workflow check` where a package with this module is installed; its graph has a node `tint`."""
    (place / "tinting.py").write_text(module)
    info = place / "tinting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tinting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fieldguide.nodes]\ntint = tinting:KIND\n")
    text = dumps(load_template("fast-photos")).replace("edges:\n", "- {id: tint, kind: tint}\nedges:\n", 1)
    text = text.replace("augmentation -> model", "augmentation -> tint").replace(
        "edges:\n", "edges:\n- tint -> model\n"
    )
    (place / "wf.yaml").write_text(text.replace("\n- {id: tint", "\n  - {id: tint"))
    command = [sys.executable, "-c", "from app.cli import main; main()", "workflow", "check", str(place / "wf.yaml")]
    variables = environment(place / "home", PYTHONPATH=str(place))
    return subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)


def test_an_installed_package_brings_a_kind(tmp_path: Path) -> None:
    done = told_with_package(tmp_path, PACKAGE)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["raise RuntimeError('broken')", "KIND = 7", PACKAGE.replace('"tint"', '"model"')])
def test_a_package_that_is_broken_is_told(tmp_path: Path, module: str) -> None:
    done = told_with_package(tmp_path, module)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "tinting" in done.stderr or "'model'" in done.stderr


# ------------------------------------------------------------------ left out, more than once


def test_optional_nodes_may_be_left_out(workflow: Workflow) -> None:
    bare = delete_node(delete_node(workflow, "evaluation"), "augmentation")
    assert bare.problems() == []
    assert [node.kind for node in bare.order()] == ["dataset", "split", "model", "training"]
    assert keys(bare) == STANDARD[:-2]
    assert bare.augmentation == NO_AUGMENTATION
    assert bare.evaluation == EvaluationSettings()
    assert bare.explanation.images == 0
    assert loads(dumps(bare)) == bare


@pytest.mark.parametrize("kind", ["dataset", "split", "model", "training"])
def test_what_a_training_needs_stays(workflow: Workflow, kind: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        delete_node(workflow, kind)
    assert caught.value.problems


def test_a_second_evaluation_and_a_second_explanation(workflow: Workflow) -> None:
    more, evaluation = insert_node(workflow, "evaluation", EvaluationSettings(dataset="owls"))
    more, explanation = insert_node(more, "explanation", after=evaluation)
    assert sorted(keys(more)) == sorted([*STANDARD, f"evaluation.{evaluation}", f"explanation.{explanation}"])
    above = upstream(more, explanation, "evaluation")
    assert above is not None and above.id == evaluation
    assert more.evaluation.dataset is None
    assert loads(dumps(more)) == more


def test_a_second_evaluation_on_the_same_photos_does_not_take_the_place_of_the_first(workflow: Workflow) -> None:
    more, second = insert_node(workflow, "evaluation", EvaluationSettings(calibration_bins=5))
    assert keys(more) == [*STANDARD, f"evaluation.{second}"]
    assert more.node("evaluation").id == "evaluation"


def test_an_evaluation_elsewhere_is_never_the_main_one(workflow: Workflow) -> None:
    elsewhere = workflow.with_settings("evaluation", dataset="owls")
    assert keys(elsewhere) == [*STANDARD[:-2], "evaluation.evaluation", "explanation.explanation"]
    more, _ = insert_node(elsewhere, "evaluation", after="training")
    assert "evaluation" in keys(more)
    assert more.evaluation.dataset is None


def test_what_may_be_added(workflow: Workflow) -> None:
    assert addable_kinds(workflow) == ["evaluation", "explanation"]
    assert addable_kinds(delete_node(workflow, "augmentation")) == ["augmentation", "evaluation", "explanation"]
    assert addable_kinds(delete_node(workflow, "evaluation")) == ["evaluation"]
    for kind in ("dataset", "model", "training"):
        with pytest.raises(WorkflowError):
            insert_node(workflow, kind)


@pytest.mark.parametrize("kind", ["augmentation", "evaluation", "explanation"])
def test_what_was_left_out_can_be_put_back(kind: str) -> None:
    workflow = Workflow.linear("birds", DatasetSettings(name="birds"))
    less = delete_node(workflow, kind)
    back, _ = insert_node(less, kind)
    assert back.problems() == []
    assert set(keys(back)) >= set(keys(less))


def test_a_node_without_effect_and_one_fed_twice_are_told(workflow: Workflow) -> None:
    past = [edge for edge in workflow.edges if edge.source != "augmentation"]
    aside = workflow.model_copy(update={"edges": [*past, Edge(source="split", target="model")]})
    assert [problem.partition(":")[0] for problem in aside.problems()] == ["node 'augmentation'"]
    both = workflow.model_copy(update={"edges": [*workflow.edges, Edge(source="split", target="model")]})
    (problem,) = both.problems()
    assert problem.startswith("node 'model':") and mentions(problem, "augmentation", "split")


def test_a_graph_that_branches_is_drawn_with_its_edges(workflow: Workflow) -> None:
    more, id_ = insert_node(workflow, "evaluation")
    text = to_text(more)
    assert "missing" not in text
    for source, target in (("training", "evaluation"), ("training", id_)):
        assert f"{source} -> {target}" in text or f'"{source}" -> "{target}"' in to_graphviz(more)


def test_checks_forms_and_drawings_name_no_kind() -> None:
    folder = Path(__file__).parents[2] / "workflows" / "graph"
    general = [path for path in folder.glob("*.py") if path.name != "workflow.py"]
    for path in general:
        for name in ("augmentation", "explanation"):
            assert f'"{name}"' not in path.read_text(), (path.name, name)

"""A workflow: what happens to a data set from its images to an explained classifier, as a graph.

::

    dataset -> split -> augmentation -> model -> training -> evaluation -> explanation

Nodes carry typed settings (`workflows.graph.settings`), edges say what flows where, reasons say why each
setting has its value, the estimate what a run will cost. A workflow never changes: `with_settings` makes
another one. Its YAML form is read and written exactly (`loads(dumps(workflow)) == workflow`).
"""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field

from workflows.errors import WorkflowError
from workflows.graph.checks import did_you_mean, structure_problems, topological_order
from workflows.graph.fields import FieldDescription, describe_fields
from workflows.graph.nodes import Edge, Estimate, Node, Piece, Reason
from workflows.graph.parsing import parse
from workflows.graph.reading import read_yaml
from workflows.graph.settings import (
    NODE_KINDS,
    AugmentationSettings,
    DatasetSettings,
    EvaluationSettings,
    ExplanationSettings,
    ModelSettings,
    NodeSettings,
    SplitSettings,
    TrainingSettings,
)
from workflows.graph.templates import list_templates, template_text
from workflows.graph.validation import read_settings
from workflows.graph.writing import write_yaml

__all__ = [
    "Edge",
    "Estimate",
    "FieldDescription",
    "Goal",
    "Node",
    "Reason",
    "Workflow",
    "describe_fields",
    "dumps",
    "list_templates",
    "load_template",
    "load_workflow",
    "loads",
]

Goal = Literal["fast", "balanced", "accurate"]
YOUR_CHOICE = "you chose this"

# Changing one of these makes an earlier estimate wrong.
COST_FIELDS = {
    "dataset": {"name", "version"},
    "split": {"source", "train_on", "train", "val", "test"},
    "model": {"family", "size", "image_size"},
    "training": {"epochs", "batch", "optimizer", "evaluate_every", "precision", "device", "workers"},
    "evaluation": {"splits"},
    "explanation": {"methods", "images"},
}


class Workflow(Piece):
    """A graph of typed nodes. Building one checks its values; `problems()` judges its shape."""

    name: str = Field(min_length=1, description="What people call it.")
    goal: Goal | None = Field(default=None, description="What it was recommended for; empty if a person made it.")
    description: str = Field(default="", description="What it is for, in a sentence or two.")
    nodes: list[Node]
    edges: list[Edge]
    reasons: list[Reason] = Field(default=[], description="Why each setting has its value.")
    estimate: Estimate | None = None

    @classmethod
    def linear(
        cls,
        name: str,
        dataset: DatasetSettings,
        *,
        goal: Goal | None = None,
        description: str = "",
        split: SplitSettings | None = None,
        augmentation: AugmentationSettings | None = None,
        model: ModelSettings | None = None,
        training: TrainingSettings | None = None,
        evaluation: EvaluationSettings | None = None,
        explanation: ExplanationSettings | None = None,
        reasons: Sequence[Reason] = (),
        estimate: Estimate | None = None,
    ) -> Workflow:
        """Make the standard chain; settings left out have their defaults, each node's id is its kind."""
        settings: dict[str, NodeSettings] = {
            "dataset": dataset,
            "split": split or SplitSettings(),
            "augmentation": augmentation or AugmentationSettings(),
            "model": model or ModelSettings(),
            "training": training or TrainingSettings(),
            "evaluation": evaluation or EvaluationSettings(),
            "explanation": explanation or ExplanationSettings(),
        }
        kinds = list(settings)
        return cls(
            name=name,
            goal=goal,
            description=description,
            nodes=[Node(id=kind, kind=kind, settings=settings[kind]) for kind in kinds],
            edges=[Edge(source=a, target=b) for a, b in pairwise(kinds)],
            reasons=list(reasons),
            estimate=estimate,
        )

    def node(self, kind: str) -> Node:
        """Return the one node of a kind.

        Raises:
            WorkflowError: there is none, or there are several.
        """
        found = [node for node in self.nodes if node.kind == kind]
        if len(found) != 1:
            raise WorkflowError(f"The workflow {self.name!r} has {len(found) or 'no'} {kind} nodes, but needs one.")
        return found[0]

    @property
    def dataset(self) -> DatasetSettings:
        """The settings of the dataset node."""
        return cast(DatasetSettings, self.node("dataset").settings)

    @property
    def split(self) -> SplitSettings:
        """The settings of the split node."""
        return cast(SplitSettings, self.node("split").settings)

    @property
    def augmentation(self) -> AugmentationSettings:
        """The settings of the augmentation node."""
        return cast(AugmentationSettings, self.node("augmentation").settings)

    @property
    def model(self) -> ModelSettings:
        """The settings of the model node."""
        return cast(ModelSettings, self.node("model").settings)

    @property
    def training(self) -> TrainingSettings:
        """The settings of the training node."""
        return cast(TrainingSettings, self.node("training").settings)

    @property
    def evaluation(self) -> EvaluationSettings:
        """The settings of the evaluation node."""
        return cast(EvaluationSettings, self.node("evaluation").settings)

    @property
    def explanation(self) -> ExplanationSettings:
        """The settings of the explanation node."""
        return cast(ExplanationSettings, self.node("explanation").settings)

    def with_settings(self, kind: str, **changes: Any) -> Workflow:
        """Return this workflow with other settings in its `kind` node, chosen by a person.

        The reasons of the fields changed become "you chose this"; the estimate is dropped if it no longer holds.

        Raises:
            WorkflowError: no such node or field, or values out of range; names them all.
        """
        if kind not in NODE_KINDS:
            raise WorkflowError(f"There is no node kind {kind!r}{did_you_mean(kind, NODE_KINDS)}.")
        node = self.node(kind)
        settings, problems = read_settings(kind, {**node.settings.model_dump(), **changes})
        if settings is None:
            lines = [f"{kind}: " + (f"field {p.path!r}: " if p.path else "") + p.words for p in problems]
            raise WorkflowError(f"These settings can't be used in the workflow {self.name!r}:", lines)
        changed = {field for field in changes if getattr(settings, field) != getattr(node.settings, field)}
        stale = changed & COST_FIELDS.get(kind, set())
        return self.model_copy(
            update={
                "nodes": [Node(id=n.id, kind=n.kind, settings=settings) if n is node else n for n in self.nodes],
                "reasons": self._reasons_after(node.id, settings, list(changes)),
                "estimate": None if stale else self.estimate,
            }
        )

    def for_dataset(self, name: str, version: int | None = None) -> Workflow:
        """Return this workflow for another data set or version; only its dataset node changes.

        Unlike `with_settings` this gives no reason: to run a workflow on some data is not a choice within it.
        The estimate is dropped if the data differ.

        Raises:
            WorkflowError: there is not exactly one dataset node.
        """
        node = self.node("dataset")
        settings = DatasetSettings(name=name, version=version)
        nodes = [Node(id=n.id, kind=n.kind, settings=settings) if n is node else n for n in self.nodes]
        estimate = self.estimate if settings == node.settings else None
        return self.model_copy(update={"nodes": nodes, "estimate": estimate})

    def _reasons_after(self, node_id: str, settings: NodeSettings, fields: list[str]) -> list[Reason]:
        values = settings.model_dump(mode="json", include=set(fields))
        yours = {
            field: Reason(node=node_id, field=field, value=values[field], because=YOUR_CHOICE, source="you")
            for field in fields
        }
        kept = [
            yours.pop(reason.field) if reason.node == node_id and reason.field in yours else reason
            for reason in self.reasons
        ]
        return kept + list(yours.values())

    def reason(self, kind: str, field: str) -> Reason | None:
        """Return the reason for a field of the `kind` node, if one is known."""
        node_id = self.node(kind).id
        return next((reason for reason in self.reasons if (reason.node, reason.field) == (node_id, field)), None)

    def order(self) -> list[Node]:
        """Return the nodes so that each comes after all it takes input from.

        Raises:
            WorkflowError: the edges go in a circle or to nodes that don't exist.
        """
        nodes = {node.id: node for node in self.nodes}
        try:
            return [nodes[id_] for id_ in topological_order(list(nodes), self._edge_pairs())]
        except (CycleError, KeyError):
            raise WorkflowError(f"The workflow {self.name!r} has no order.", self.problems()) from None

    def problems(self) -> list[str]:
        """Return one line for each fault in the graph's shape; a sound graph has none."""
        problems = structure_problems([(node.id, node.kind) for node in self.nodes], self._edge_pairs())
        ids = {node.id for node in self.nodes}
        strangers = dict.fromkeys(reason.node for reason in self.reasons if reason.node not in ids)
        return problems + [f"a reason is given for node {id_!r}, which does not exist" for id_ in strangers]

    def _edge_pairs(self) -> list[tuple[str, str]]:
        return [(edge.source, edge.target) for edge in self.edges]


def load_workflow(path: Path) -> Workflow:
    """Read a workflow from a YAML file; where no such file is, `path` may be a template's name.

    Raises:
        WorkflowError: it can't be read, or is wrong; names every bad node and field at once.
    """
    path = Path(path)
    if str(path) in list_templates() and not path.exists():
        return load_template(str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise WorkflowError(f"{path} is not text in UTF-8, so it can't be a workflow.") from error
    except OSError as error:
        hint = (
            "Make one with: fieldguide workflow recommend NAME -o wf.yaml\n"
            f"or take a template by its name: {', '.join(list_templates())}"
        )
        raise WorkflowError(f"The workflow {path} can't be read: {error.strerror}.", hint=hint) from error
    return loads(text, str(path))


def load_template(name: str) -> Workflow:
    """Read a ready-made workflow; put a data set's name in with `with_settings("dataset", name=...)`.

    Raises:
        WorkflowError: no such template.
    """
    return loads(template_text(name), f"the template {name!r}")


def loads(text: str, where: str = "the workflow") -> Workflow:
    """Read a workflow from YAML text; `where` names the text in messages.

    Raises:
        WorkflowError: with every bad node and field: where it stands, what was expected and what was given.
    """
    values, problems = parse(read_yaml(text, where))
    if problems:
        count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
        hint = "fieldguide workflow recommend NAME -o wf.yaml writes a sound one to compare with."
        raise WorkflowError(f"{where} has {count}:", problems, hint)
    return Workflow(**values)


def dumps(workflow: Workflow) -> str:
    """Write a workflow as YAML that opens with what it is for and the command that runs it."""
    return write_yaml(workflow.model_dump(mode="json"))

"""A workflow: the graph of steps from a data set to an explained classifier.

::

    dataset -> split -> augmentation -> model -> training -> evaluation -> explanation

Nodes carry typed settings (`workflows.graph.settings`), edges connect them, reasons explain why each
setting has its value, the estimate is the expected cost of a run. A workflow is immutable: `with_settings` returns
a new one. Its YAML form round-trips (`loads(dumps(workflow)) == workflow`).
"""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field

from workflows.errors import WorkflowError
from workflows.goals import Goal
from workflows.graph.checks import did_you_mean, structure_problems, topological_order
from workflows.graph.fields import FieldDescription, describe_fields
from workflows.graph.kinds import NODE_KINDS
from workflows.graph.nodes import Edge, Estimate, Node, Piece, Reason
from workflows.graph.parsing import parse
from workflows.graph.plan import main_nodes, predecessors
from workflows.graph.reading import read_yaml
from workflows.graph.settings import NodeSettings
from workflows.graph.templates import list_templates, template_text
from workflows.graph.validation import read_settings
from workflows.graph.writing import write_yaml

if TYPE_CHECKING:
    from workflows.nodes.augmentation import AugmentationSettings
    from workflows.nodes.dataset import DatasetSettings
    from workflows.nodes.evaluation import EvaluationSettings
    from workflows.nodes.explanation import ExplanationSettings
    from workflows.nodes.model import ModelSettings
    from workflows.nodes.split import SplitSettings
    from workflows.nodes.training import TrainingSettings

__all__ = [
    "Edge",
    "Estimate",
    "FieldDescription",
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

YOUR_CHOICE = "you chose this"


class Workflow(Piece):
    """A graph of typed nodes. The constructor validates its values; `problems()` checks its structure."""

    name: str = Field(min_length=1, description="Its name.")
    goal: Goal | None = Field(
        default=None, description="The goal it was recommended for; empty if it was written by hand."
    )
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
        """Return the standard chain; omitted settings have their defaults, each node's id is its kind."""
        given: dict[str, NodeSettings | None] = {
            "dataset": dataset,
            "split": split,
            "augmentation": augmentation,
            "model": model,
            "training": training,
            "evaluation": evaluation,
            "explanation": explanation,
        }
        settings = {kind: chosen or NODE_KINDS[kind].settings() for kind, chosen in given.items()}
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

    def nodes_of(self, kind: str) -> list[Node]:
        """Return all nodes of a kind."""
        return [node for node in self.nodes if node.kind == kind]

    def node(self, kind: str) -> Node:
        """Return the node of a kind; of a kind that may occur more than once, the run's main one.

        Raises:
            WorkflowError: there is none, or there are several of a kind that may occur only once.
        """
        found = self.nodes_of(kind)
        if len(found) > 1 and NODE_KINDS[kind].repeatable:
            return main_nodes(self.order(), predecessors(self)).get(kind, found[0])
        if len(found) != 1:
            raise WorkflowError(f"The workflow {self.name!r} has {len(found) or 'no'} {kind} nodes, but needs one.")
        return found[0]

    def settings_of(self, kind: str) -> NodeSettings:
        """Return the settings of `node(kind)`, or those that apply without one. Raises WorkflowError as `node` does."""
        absent = NODE_KINDS[kind].left_out
        return absent if absent is not None and not self.nodes_of(kind) else self.node(kind).settings

    @property
    def dataset(self) -> DatasetSettings:
        """The settings of the dataset node."""
        return cast("DatasetSettings", self.settings_of("dataset"))

    @property
    def split(self) -> SplitSettings:
        """The settings of the split node."""
        return cast("SplitSettings", self.settings_of("split"))

    @property
    def augmentation(self) -> AugmentationSettings:
        """The settings of the augmentation node; without one, no augmentation."""
        return cast("AugmentationSettings", self.settings_of("augmentation"))

    @property
    def model(self) -> ModelSettings:
        """The settings of the model node."""
        return cast("ModelSettings", self.settings_of("model"))

    @property
    def training(self) -> TrainingSettings:
        """The settings of the training node."""
        return cast("TrainingSettings", self.settings_of("training"))

    @property
    def evaluation(self) -> EvaluationSettings:
        """The settings of the evaluation node; without one, the defaults, which training uses, too."""
        return cast("EvaluationSettings", self.settings_of("evaluation"))

    @property
    def explanation(self) -> ExplanationSettings:
        """The settings of the explanation node; without one, no heat-maps."""
        return cast("ExplanationSettings", self.settings_of("explanation"))

    def with_settings(self, kind: str, **changes: Any) -> Workflow:
        """Return this workflow with other settings in its `kind` node, chosen by the user.

        The reasons of the fields changed become "you chose this"; the estimate is dropped if it no longer holds.

        Raises:
            WorkflowError: no such node or field, or values out of range; lists them all.
        """
        if kind not in NODE_KINDS:
            raise WorkflowError(f"Unknown node kind {kind!r}{did_you_mean(kind, NODE_KINDS)}.")
        return self.with_node_settings(self.node(kind).id, **changes)

    def with_node_settings(self, node_id: str, **changes: Any) -> Workflow:
        """Do the same as `with_settings` for the node of this id. Raises WorkflowError."""
        node = next((node for node in self.nodes if node.id == node_id), None)
        if node is None:
            ids = [node.id for node in self.nodes]
            raise WorkflowError(f"The workflow {self.name!r} has no node {node_id!r}{did_you_mean(node_id, ids)}.")
        kind = node.kind
        settings, problems = read_settings(kind, {**node.settings.model_dump(), **changes})
        if settings is None:
            lines = [f"{kind}: " + (f"field {p.path!r}: " if p.path else "") + p.words for p in problems]
            raise WorkflowError(f"These settings are invalid in the workflow {self.name!r}:", lines)
        changed = {field for field in changes if getattr(settings, field) != getattr(node.settings, field)}
        stale = changed & NODE_KINDS[kind].cost_fields
        return self.model_copy(
            update={
                "nodes": [Node(id=n.id, kind=n.kind, settings=settings) if n is node else n for n in self.nodes],
                "reasons": self._reasons_after(node.id, settings, list(changes)),
                "estimate": None if stale else self.estimate,
            }
        )

    def for_dataset(self, name: str, version: int | None = None) -> Workflow:
        """Return this workflow for another data set or version; only its dataset node changes.

        Unlike `with_settings` this adds no reason: the data set is not a choice within the workflow.
        The estimate is dropped if the data differ.

        Raises:
            WorkflowError: there is not exactly one dataset node.
        """
        node = self.node("dataset")
        settings = NODE_KINDS["dataset"].settings.model_validate({"name": name, "version": version})
        nodes = [Node(id=n.id, kind=n.kind, settings=settings) if n is node else n for n in self.nodes]
        estimate = self.estimate if settings == node.settings else None
        return self.model_copy(update={"nodes": nodes, "estimate": estimate})

    def _reasons_after(self, node_id: str, settings: NodeSettings, fields: list[str]) -> list[Reason]:
        values = settings.model_dump(mode="json", include=set(fields))
        yours = {
            field: Reason(node=node_id, field=field, value=values[field], because=YOUR_CHOICE, source="you")
            for field in fields
        }
        others = [
            yours.pop(reason.field) if reason.node == node_id and reason.field in yours else reason
            for reason in self.reasons
        ]
        return others + list(yours.values())

    def reason(self, kind: str, field: str) -> Reason | None:
        """Return the reason for a field of the `kind` node, if one is known."""
        node_id = self.node(kind).id
        return next((reason for reason in self.reasons if (reason.node, reason.field) == (node_id, field)), None)

    def order(self) -> list[Node]:
        """Return the nodes ordered so that each comes after all its inputs.

        Raises:
            WorkflowError: the edges form a cycle or refer to missing nodes.
        """
        nodes = {node.id: node for node in self.nodes}
        try:
            return [nodes[id_] for id_ in topological_order(list(nodes), self._edge_pairs())]
        except (CycleError, KeyError):
            raise WorkflowError(f"The workflow {self.name!r} has no valid order.", self.problems()) from None

    def problems(self) -> list[str]:
        """Return one line per problem in the graph's structure; a valid graph has none."""
        problems = structure_problems([(node.id, node.kind) for node in self.nodes], self._edge_pairs())
        ids = {node.id for node in self.nodes}
        strangers = dict.fromkeys(reason.node for reason in self.reasons if reason.node not in ids)
        return problems + [f"a reason is given for node {id_!r}, which does not exist" for id_ in strangers]

    def _edge_pairs(self) -> list[tuple[str, str]]:
        return [(edge.source, edge.target) for edge in self.edges]


def load_workflow(path: Path) -> Workflow:
    """Read a workflow from a YAML file; if there is no such file, `path` may be a template's name.

    Raises:
        WorkflowError: it can't be read, or is invalid; lists all invalid nodes and fields.
    """
    path = Path(path)
    if str(path) in list_templates() and not path.exists():
        return load_template(str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise WorkflowError(f"{path} is not UTF-8 text, so it can't be a workflow.") from error
    except OSError as error:
        hint = (
            "Create one with: fieldguide workflow recommend NAME -o wf.yaml\n"
            f"or use a template by its name: {', '.join(list_templates())}"
        )
        raise WorkflowError(f"The workflow {path} can't be read: {error.strerror}.", hint=hint) from error
    return loads(text, str(path))


def load_template(name: str) -> Workflow:
    """Read a template; set the data set's name with `with_settings("dataset", name=...)`.

    Raises:
        WorkflowError: no such template.
    """
    return loads(template_text(name), f"the template {name!r}")


def loads(text: str, where: str = "the workflow") -> Workflow:
    """Read a workflow from YAML text; `where` names the text in messages.

    Raises:
        WorkflowError: with every invalid node and field: its line, the expected and the given value.
    """
    values, problems = parse(read_yaml(text, where))
    if problems:
        count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
        hint = "fieldguide workflow recommend NAME -o wf.yaml writes a valid one to compare with."
        raise WorkflowError(f"{where} has {count}:", problems, hint)
    return Workflow(**values)


def dumps(workflow: Workflow) -> str:
    """Write a workflow as YAML that begins with its description and the command that runs it."""
    return write_yaml(workflow.model_dump(mode="json"))

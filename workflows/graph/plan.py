"""From a graph to the steps of a run: its nodes in order, each with its stages and the keys of their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflows.graph.kinds import NODE_KINDS, Stage
from workflows.graph.nodes import Node

if TYPE_CHECKING:
    from workflows.graph.workflow import Workflow


@dataclass(frozen=True)
class Step:
    """One stage of one node in one run.

    Attributes:
        key: name of its result, and of the folder of its files, within the run.
        node: the node of the stage; None for stages that every run has.
    """

    key: str
    stage: Stage
    node: Node | None = None

    @property
    def settings(self) -> Any:
        """Return the node's settings, of its kind's class."""
        return None if self.node is None else self.node.settings

    @property
    def title(self) -> str:
        """Return its title, as shown in lists of tasks."""
        return self.stage.title + self._of_which()

    @property
    def words(self) -> str:
        """Return its short title."""
        return (self.stage.words or self.stage.key.replace("-", " ")) + self._of_which()

    @property
    def is_main(self) -> bool:
        """Whether its node is the run's main one of its kind."""
        return self.key == self.stage.key

    def _of_which(self) -> str:
        return "" if self.is_main or self.node is None else f" ({self.node.id})"


def plan(workflow: Workflow) -> list[Step]:
    """Return the steps of a valid workflow, each after all that it depends on.

    Raises:
        WorkflowError: the edges form a cycle or refer to missing nodes.
    """
    main = {node.id for node in main_nodes(workflow.order(), predecessors(workflow)).values()}
    return [
        Step(stage.key if node.id in main else f"{stage.key}.{node.id}", stage, node)
        for node in workflow.order()
        for stage in NODE_KINDS[node.kind].stages
    ]


def predecessors(workflow: Workflow) -> dict[str, list[str]]:
    """Return the ids of the nodes that lead to each node, by its id."""
    found: dict[str, list[str]] = {node.id: [] for node in workflow.nodes}
    for edge in workflow.edges:
        found[edge.target].append(edge.source)
    return found


def main_nodes(order: Sequence[Node], above: Mapping[str, Sequence[str]]) -> dict[str, Node]:
    """Return the main node of each kind: the first, in `order`, that can be main and depends only on nodes that can.

    Other nodes (an evaluation on another data set, and those that follow it) are stored separately from the main ones.
    """
    leading: set[str] = set()
    main: dict[str, Node] = {}
    for node in order:
        if NODE_KINDS[node.kind].leads(node.settings) and leading.issuperset(above[node.id]):
            leading.add(node.id)
            main.setdefault(node.kind, node)
    return main


def upstream(workflow: Workflow, node_id: str, kind: str) -> Node | None:
    """Return the nearest node of `kind` among the direct and indirect predecessors of `node_id`; None if there is none."""
    nodes, above = {node.id: node for node in workflow.nodes}, predecessors(workflow)
    wave, seen = above[node_id], {node_id}
    while wave:
        for id_ in wave:
            if nodes[id_].kind == kind:
                return nodes[id_]
        seen.update(wave)
        wave = [id_ for one in wave for id_ in above[one] if id_ not in seen]
    return None

"""Changing the structure of a workflow: nodes are removed or added, with their edges."""

from __future__ import annotations

from workflows.errors import WorkflowError
from workflows.graph.checks import did_you_mean
from workflows.graph.kinds import NODE_KINDS
from workflows.graph.nodes import Edge, Node
from workflows.graph.settings import NodeSettings
from workflows.graph.workflow import Workflow


def addable_kinds(workflow: Workflow) -> list[str]:
    """Return the kinds of which a node can be added to a workflow, in the order of the standard graph."""
    present = {node.kind for node in workflow.nodes}
    given = {name for node in workflow.nodes for name in NODE_KINDS[node.kind].outputs}
    return [
        name
        for name, kind in NODE_KINDS.items()
        if (kind.repeatable or name not in present) and given.issuperset(kind.inputs)
    ]


def insert_node(
    workflow: Workflow, kind: str, settings: NodeSettings | None = None, after: str | None = None
) -> tuple[Workflow, str]:
    """Add a node to a workflow; return the workflow and the node's id.

    Its input comes from the last node that provides it. A node that passes on its input (as augmentation does with
    the split) goes between that node and the following ones; others are listed last, so that the main nodes stay main.

    Args:
        kind: of the node.
        settings: of the kind's class; None for the defaults.
        after: id of the node to get the input from, if several provide it.

    Raises:
        WorkflowError: unknown kind, or no further node of it is allowed; the message lists the allowed kinds.
    """
    if kind not in NODE_KINDS:
        raise WorkflowError(f"Unknown node kind {kind!r}{did_you_mean(kind, NODE_KINDS)}.")
    if kind not in addable_kinds(workflow):
        can = ", ".join(addable_kinds(workflow)) or "none"
        raise WorkflowError(
            f"The workflow {workflow.name!r} can't have another {kind} node.", hint=f"Possible kinds: {can}."
        )
    known, id_ = NODE_KINDS[kind], _free_id(workflow, kind)
    edges, place = list(workflow.edges), len(workflow.nodes)
    for wanted in known.inputs:
        giver = _provider(workflow, wanted, after)
        if wanted in known.outputs:
            edges = [_behind(edge, giver, id_) if _carries(workflow, edge, wanted) else edge for edge in edges]
            place = workflow.nodes.index(giver) + 1
        edges.append(Edge(source=giver.id, target=id_))
    node = Node(id=id_, kind=kind, settings=settings or known.settings())
    nodes = [*workflow.nodes[:place], node, *workflow.nodes[place:]]
    return _sound(workflow.model_copy(update={"nodes": nodes, "edges": edges, "estimate": None})), id_


def delete_node(workflow: Workflow, node_id: str) -> Workflow:
    """Return a workflow without a node and those that depend on it; the other nodes after it are connected to those before it.

    Raises:
        WorkflowError: no such node, or the workflow would be invalid.
    """
    nodes = {node.id: node for node in workflow.nodes}
    if node_id not in nodes:
        raise WorkflowError(f"The workflow {workflow.name!r} has no node {node_id!r}{did_you_mean(node_id, nodes)}.")
    gone = nodes.pop(node_id)
    before = [nodes[edge.source] for edge in workflow.edges if edge.target == node_id]
    behind = [nodes[edge.target] for edge in workflow.edges if edge.source == node_id]
    edges = [edge for edge in workflow.edges if node_id not in (edge.source, edge.target)]
    for node in behind:
        needed = set(NODE_KINDS[node.kind].inputs) & set(NODE_KINDS[gone.kind].outputs)
        edges += [
            Edge(source=source.id, target=node.id)
            for source in before
            if needed.intersection(NODE_KINDS[source.kind].outputs)
        ]
    reasons = [reason for reason in workflow.reasons if reason.node != node_id]
    update = {"nodes": list(nodes.values()), "edges": edges, "reasons": reasons, "estimate": None}
    left = workflow.model_copy(update=update)
    for node in behind:
        fed = any(edge.target == node.id for edge in edges)
        if not fed and NODE_KINDS[node.kind].optional:
            left = delete_node(left, node.id)
    return _sound(left)


def _provider(workflow: Workflow, wanted: str, after: str | None) -> Node:
    giving = [node for node in workflow.order() if wanted in NODE_KINDS[node.kind].outputs]
    return next((node for node in giving if node.id == after), giving[-1])


def _carries(workflow: Workflow, edge: Edge, wanted: str) -> bool:
    """Whether `wanted` flows along an edge."""
    kinds = {node.id: NODE_KINDS[node.kind] for node in workflow.nodes}
    return wanted in kinds[edge.source].outputs and wanted in kinds[edge.target].inputs


def _behind(edge: Edge, giver: Node, id_: str) -> Edge:
    return Edge(source=id_, target=edge.target) if edge.source == giver.id else edge


def _free_id(workflow: Workflow, kind: str) -> str:
    taken = {node.id for node in workflow.nodes}
    names = (kind, *(f"{kind}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _sound(workflow: Workflow) -> Workflow:
    problems = workflow.problems()
    if problems:
        raise WorkflowError(f"The workflow {workflow.name!r} would be invalid:", problems)
    return workflow

"""A workflow drawn as text: Mermaid, Graphviz, or boxes for the terminal.

Names come from users, so each format escapes what its own syntax (or a terminal) would interpret. A graph with
problems is drawn as it is, so that they can be seen.
"""

from __future__ import annotations

import textwrap
from graphlib import CycleError
from itertools import pairwise
from typing import Any

from workflows.graph.checks import topological_order
from workflows.graph.kinds import NODE_KINDS
from workflows.graph.nodes import Node
from workflows.graph.workflow import Workflow

MAX_FIELDS = 6
TERMINAL_WIDTH = 78


def to_mermaid(workflow: Workflow) -> str:
    """Draw the workflow as a Mermaid flowchart."""
    aliases = _aliases(workflow)
    lines = ["flowchart TD"]
    for node in workflow.nodes:
        label = "<br/>".join(_mermaid_text(part) for part in _label(node))
        lines.append(f'    {aliases[node.id]}["{label}"]')
    lines += [f"    {aliases[edge.source]} --> {aliases[edge.target]}" for edge in workflow.edges]
    return "\n".join(lines) + "\n"


def to_graphviz(workflow: Workflow) -> str:
    """Draw the workflow in Graphviz' DOT language."""
    lines = [
        f"digraph {_quoted(_clean(workflow.name))} {{",
        "    rankdir=TB;",
        '    node [shape=box, style="rounded", fontname="sans-serif"];',
    ]
    for node in workflow.nodes:
        label = r"\n".join(_escaped(part) for part in _label(node))
        lines.append(f'    {_quoted(node.id)} [label="{label}"];')
    lines += [f"    {_quoted(edge.source)} -> {_quoted(edge.target)};" for edge in workflow.edges]
    return "\n".join([*lines, "}"]) + "\n"


def to_text(workflow: Workflow, reasons: bool = True, width: int = TERMINAL_WIDTH) -> str:
    """Draw the workflow for a terminal: a box per node, and under each box the reasons of its settings.

    Args:
        reasons: whether to show the reasons.
        width: columns of the terminal.
    """
    order = _drawing_order(workflow)
    linear = [(a.id, b.id) for a, b in pairwise(order)]
    pairs = [(edge.source, edge.target) for edge in workflow.edges]
    led_to = {target for _, target in pairs}
    gaps = [pair for pair in linear if pair[1] not in led_to]
    blocks = []
    for node in order:
        because = _because(workflow, node, width) if reasons else []
        follows = any(source == node.id for source, target in linear if (source, target) in [*pairs, *gaps])
        blocks += [*_box(node, width), *because, *(["    │"] if follows else [])]
    others = [f"also: {source} -> {target}" for source, target in pairs if (source, target) not in linear]
    missing = [f"missing: {source} -> {target}" for source, target in gaps]
    return "\n".join([*blocks, *others, *missing]) + "\n"


def _aliases(workflow: Workflow) -> dict[str, str]:
    """Give every node a name that is not a Mermaid keyword (`end`, `graph`) and has no special characters."""
    ids = [node.id for node in workflow.nodes]
    ids += [end for edge in workflow.edges for end in (edge.source, edge.target)]
    return {id_: f"node{index}" for index, id_ in enumerate(dict.fromkeys(ids), start=1)}


def _drawing_order(workflow: Workflow) -> list[Node]:
    nodes = {node.id: node for node in workflow.nodes}
    pairs = [(e.source, e.target) for e in workflow.edges if e.source in nodes and e.target in nodes]
    try:
        return [nodes[id_] for id_ in topological_order(list(nodes), pairs)]
    except CycleError:
        return workflow.nodes


def _label(node: Node) -> list[str]:
    title = node.id if node.id == node.kind else f"{node.id} ({node.kind})"
    return [title, *node_facts(node)]


def node_facts(node: Node) -> list[str]:
    """Return the most important settings as text, such as "image_size 224"."""
    kind, values = NODE_KINDS[node.kind], node.settings.model_dump()
    sentence = kind.summary(node.settings)
    if sentence is not None:
        return [sentence]
    fields = kind.shown_fields
    return [f"{field} {_value(values[field])}" for field in fields if values[field] is not None][:MAX_FIELDS]


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return _clean(str(value))


def _clean(text: str) -> str:
    """Drop control characters: a name must not move a terminal's cursor."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _mermaid_text(text: str) -> str:
    """Write every character that Mermaid or HTML could interpret as Mermaid's character code."""
    return "".join(c if c.isalnum() or c in " ,.:_-()/%+" else f"#{ord(c)};" for c in text)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _box(node: Node, width: int) -> list[str]:
    title, *facts = _label(node)
    inner = width - 4
    lines = [title[:inner], *textwrap.wrap(" · ".join(facts), inner)]
    wide = max(map(len, lines))
    body = [f"│ {line:<{wide}} │" for line in lines]
    return [f"┌{'─' * (wide + 2)}┐", *body, f"└{'─' * (wide + 2)}┘"]


def _because(workflow: Workflow, node: Node, width: int) -> list[str]:
    """Return the reasons of a node's settings; settings that share a reason share a line."""
    shared: dict[str, list[str]] = {}
    for reason in workflow.reasons:
        if reason.node == node.id:
            shared.setdefault(reason.because, []).append(f"{reason.field} {_value(reason.value)}")
    lines = []
    for because, values in shared.items():
        text = _clean(f"{', '.join(values)}: {because}")
        lines += textwrap.wrap(text, width, initial_indent="    │ ", subsequent_indent="    │   ")
    return lines

"""A node's settings as the fields of a form, and back. Made from the settings' schema alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workflows.graph.editing import addable_kinds, delete_node, insert_node
from workflows.graph.fields import FieldDescription, describe_fields
from workflows.graph.kinds import NODE_KINDS, NodeKind
from workflows.graph.nodes import Node
from workflows.graph.settings import NodeSettings
from workflows.graph.validation import read_settings
from workflows.graph.workflow import Workflow

Kind = Literal["integer", "number", "text", "choice", "list"]

_KINDS: dict[str, Kind] = {
    "whole number": "integer",
    "number": "number",
    "text": "text",
    "pattern": "text",
    "choice": "choice",
    "list": "list",
}
LARGEST_WHOLE = 2**53 - 1
"""Beyond this a browser's numbers are no longer exact."""
RULE = ""
"""Key in `problems` for errors that concern several fields."""


@dataclass(frozen=True)
class FormField:
    """One field of a form.

    Attributes:
        kind: which widget it needs.
        optional: whether it may be left empty.
        choices: what can be chosen, for `choice` and `list`.
        step: by how much one click changes a number.
        help: what it means, what is allowed, and its default.
        empty: what leaving it empty means.
        fixed: shown, but not to be changed here.
    """

    name: str
    title: str
    kind: Kind
    optional: bool
    choices: tuple[str, ...]
    step: float
    help: str
    empty: str
    fixed: bool = False


def form_fields(kind: str) -> list[FormField]:
    """Return the fields of a node kind, in order."""
    return [_field(field, NODE_KINDS[kind]) for field in describe_fields(kind)]


def _field(field: FieldDescription, of: NodeKind) -> FormField:
    bare, _, optional = field.type.partition(" or ")
    kind = _KINDS[bare]
    listed = kind in ("choice", "list")
    words = [field.description]
    if field.range and not listed:
        words.append(f"Allowed: {field.range}.")
    if field.default is not ... and field.default is not None:
        default = ", ".join(field.default) if isinstance(field.default, tuple) else field.default
        words.append(f"Default: {default}.")
    return FormField(
        name=field.field,
        title=field.field.replace("_", " ").capitalize(),
        kind=kind,
        optional=bool(optional),
        choices=tuple(field.range.split(", ")) if listed else (),
        step=_step(kind, field),
        help="  \n".join(words),
        empty=of.empty_words.get(field.field, "empty") if optional else "",
        fixed=field.field in of.fixed_fields,
    )


def _step(kind: Kind, field: FieldDescription) -> float:
    if kind == "integer":
        return 32 if "multiple of 32" in field.range else 1
    default = field.default if isinstance(field.default, float) else 0.0
    return 10.0 ** math.floor(math.log10(default)) / 2 if 0 < default < 0.1 else 0.05


def to_widget(field: FormField, value: Any) -> Any:
    """Return a setting as its widget holds it."""
    if field.kind == "list":
        return list(value)
    if field.kind == "text":
        return "" if value is None else str(value)
    return value


def from_widget(field: FormField, value: Any) -> Any:
    """Return what a widget holds as a setting; `check` decides whether it is allowed."""
    if field.kind == "list":
        return tuple(value)
    if field.kind == "text":
        return None if field.optional and not value else str(value or "")
    return value


def fits_widget(field: FormField, value: Any) -> bool:
    """Whether a widget can hold the value exactly (a browser's whole numbers end at 2^53)."""
    return not (field.kind == "integer" and value is not None and abs(int(value)) > LARGEST_WHOLE)


def check(kind: str, values: Mapping[str, Any]) -> tuple[NodeSettings | None, dict[str, str]]:
    """Return the settings, or None and an error message for each bad field; those for several fields are under `RULE`."""
    settings, problems = read_settings(kind, values)
    words: dict[str, str] = {}
    for problem in problems:
        name = problem.path.partition("[")[0]
        words[name] = "; ".join(filter(None, [words.get(name, ""), problem.words]))
    return settings, words


def change(workflow: Workflow, node_id: str, values: Mapping[str, Any]) -> tuple[Workflow, dict[str, str]]:
    """Return the workflow with these values of a node, or unchanged with the errors; see `check`."""
    node = node_of(workflow, node_id)
    settings, problems = check(node.kind, values)
    if settings is None:
        return workflow, problems
    before = node.settings
    changed = {name: value for name, value in values.items() if getattr(settings, name) != getattr(before, name)}
    return (workflow.with_node_settings(node_id, **changed) if changed else workflow), {}


def purpose(kind: str) -> str:
    """Say in a sentence what a node kind does."""
    return NODE_KINDS[kind].purpose


def title(kind: str) -> str:
    """Return the heading of a node kind's form."""
    return NODE_KINDS[kind].title


def node_of(workflow: Workflow, node_id: str) -> Node:
    """Return the node with this id, which must exist."""
    return next(node for node in workflow.nodes if node.id == node_id)


def is_optional(workflow: Workflow, node_id: str) -> bool:
    """Whether a workflow is sound without this node."""
    node = node_of(workflow, node_id)
    return NODE_KINDS[node.kind].optional or len(workflow.nodes_of(node.kind)) > 1


def addable(workflow: Workflow) -> list[str]:
    """Return the kinds of which there may be one more."""
    return addable_kinds(workflow)


def add_node(workflow: Workflow, kind: str, after: str | None = None) -> Workflow:
    """Put a node in, behind the node `after` where that gives what it needs. Raises WorkflowError."""
    return insert_node(workflow, kind, after=after)[0]


def remove_node(workflow: Workflow, node_id: str) -> Workflow:
    """Leave a node out. Raises WorkflowError."""
    return delete_node(workflow, node_id)

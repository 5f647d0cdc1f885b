"""A node's settings as the fields of a form, and back. Made from the settings' schema alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workflows.graph.fields import FieldDescription, describe_fields
from workflows.graph.settings import NODE_KINDS, NodeSettings
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
EMPTY = {"version": "the newest", "workers": "chosen for the device"}
RULE = ""
"""Where `problems` keeps what concerns several fields."""


@dataclass(frozen=True)
class FormField:
    """One field of a form.

    Attributes:
        kind: which widget it needs.
        optional: whether it may be left empty.
        choices: what can be chosen, for `choice` and `list`.
        step: by how much a press changes a number.
        help: what it means, what is allowed, and its default.
        empty: what leaving it empty means.
    """

    name: str
    title: str
    kind: Kind
    optional: bool
    choices: tuple[str, ...]
    step: float
    help: str
    empty: str


def form_fields(kind: str) -> list[FormField]:
    """Return the fields of a node kind, in order."""
    return [_field(field) for field in describe_fields(kind)]


def _field(field: FieldDescription) -> FormField:
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
        empty=EMPTY.get(field.field, "empty") if optional else "",
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
    """Return what a widget holds as a setting; whether it is allowed is judged by `judge`."""
    if field.kind == "list":
        return tuple(value)
    if field.kind == "text":
        return None if field.optional and not value else str(value or "")
    return value


def fits_widget(field: FormField, value: Any) -> bool:
    """Whether a widget can hold the value exactly (a browser's whole numbers end at 2^53)."""
    return not (field.kind == "integer" and value is not None and abs(int(value)) > LARGEST_WHOLE)


def judge(kind: str, values: Mapping[str, Any]) -> tuple[NodeSettings | None, dict[str, str]]:
    """Return the settings, or None and what is wrong with which field, in words; rules over several stand at `RULE`."""
    settings, problems = read_settings(kind, values)
    words: dict[str, str] = {}
    for problem in problems:
        name = problem.path.partition("[")[0]
        words[name] = "; ".join(filter(None, [words.get(name, ""), problem.words]))
    return settings, words


def change(workflow: Workflow, kind: str, values: Mapping[str, Any]) -> tuple[Workflow, dict[str, str]]:
    """Return the workflow with these values of a node, or as it was with what is wrong; see `judge`."""
    settings, problems = judge(kind, values)
    if settings is None:
        return workflow, problems
    before = workflow.node(kind).settings
    changed = {name: value for name, value in values.items() if getattr(settings, name) != getattr(before, name)}
    return (workflow.with_settings(kind, **changed) if changed else workflow), {}


def purpose(kind: str) -> str:
    """Say in a sentence what a node kind does."""
    return (NODE_KINDS[kind].__doc__ or "").splitlines()[0]

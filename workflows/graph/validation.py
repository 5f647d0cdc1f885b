"""Validation of a node's settings: all problems at once, as readable messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from workflows.graph.checks import did_you_mean, nearest
from workflows.graph.fields import FieldDescription, describe_fields, limits
from workflows.graph.kinds import NODE_KINDS
from workflows.graph.settings import NodeSettings


class FieldProblem(NamedTuple):
    """One invalid field: its path within the settings (empty for a rule over several fields) and the problem."""

    path: str
    words: str


def read_settings(kind: str, values: Mapping[str, Any]) -> tuple[NodeSettings | None, list[FieldProblem]]:
    """Validate plain `values` as the settings of a `kind` node.

    Returns:
        The settings and no problems, or None and all problems.
    """
    fields = {field.field: field for field in describe_fields(kind)}
    values = {name: _text_of(fields.get(name), value) for name, value in values.items()}
    problems = [
        _not_a_switch(fields[name], value)
        for name, value in values.items()
        if name in fields and isinstance(value, bool)
    ]
    reported = {problem.path for problem in problems}
    try:
        settings = NODE_KINDS[kind].settings.model_validate(values)
    except ValidationError as error:
        found = [_in_words(kind, fields, detail) for detail in error.errors()]
        unique = dict.fromkeys(problem for problem in found if problem.path.partition("[")[0] not in reported)
        return None, problems + list(unique)
    return (None, problems) if problems else (settings, [])


def shown(value: Any) -> str:
    """Show a given value in a message: as JSON, on one line, shortened."""
    if isinstance(value, tuple | set | frozenset):
        value = list(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _text_of(field: FieldDescription | None, value: Any) -> Any:
    """Convert a number to text where text is expected: `device: 0`, or a data set called 2024."""
    wants_text = field is not None and field.type in ("text", "pattern")
    return str(value) if wants_text and isinstance(value, int) and not isinstance(value, bool) else value


def _not_a_switch(field: FieldDescription, value: bool) -> FieldProblem:
    """Reject true and false, which would otherwise pass as the numbers 1 and 0: no field is boolean."""
    return FieldProblem(field.field, f"expected {field.expected}, got {shown(value)}")


def _in_words(kind: str, fields: dict[str, FieldDescription], error: ErrorDetails) -> FieldProblem:
    """Return one of pydantic's errors with the expected and the given value."""
    path = _path(error["loc"])
    name = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        known = "" if nearest(name, fields) else f"; {kind} nodes have {', '.join(fields)}"
        return FieldProblem(path, f"unknown field{did_you_mean(name, fields)}{known}")
    if name not in fields:
        return FieldProblem("", str(error.get("ctx", {}).get("error", error["msg"])))
    field = fields[name]
    expected = f"one of {field.range}" if len(error["loc"]) > 1 else field.expected
    if error["type"] == "missing":
        return FieldProblem(path, f"missing; expected {expected}")
    return FieldProblem(path, f"expected {expected}, got {shown(error['input'])}{_remedy(kind, field, error)}")


def _remedy(kind: str, field: FieldDescription, error: ErrorDetails) -> str:
    """Return how to correct a value, if that is clear."""
    given = error["input"]
    if error["type"] == "string_type" and isinstance(given, float):
        return "; put it in quotes"
    if error["type"] == "multiple_of" and isinstance(given, int):
        rules = limits(NODE_KINDS[kind].settings.model_fields[field.field])
        below = given // rules["multiple_of"] * rules["multiple_of"]
        near = [n for n in (below, below + rules["multiple_of"]) if rules["ge"] <= n <= rules["le"]]
        return f"; try {' or '.join(map(str, near))}" if near else ""
    if error["type"] == "literal_error" and isinstance(given, str):
        return did_you_mean(given, field.range.split(", "))
    return ""


def _path(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else str(step) for step in location)

"""Descriptions of the settings' fields, for forms, help texts and error messages."""

from __future__ import annotations

import types
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from workflows.graph.kinds import NODE_KINDS
from workflows.graph.settings import OneOf

_OR_EMPTY = " or empty"
_PATTERN = "pattern"


class FieldDescription(NamedTuple):
    """One field of a node kind, as shown in forms and help texts."""

    field: str
    type: str
    """"whole number", "number", "text", "pattern" (text of a form given in the description), "choice" or
    "list"; with "or empty" if it may be null."""
    range: str
    """The allowed values, such as "from 1 to 10,000" or "n, s, m, l, x"; empty if there is no limit."""
    default: Any
    """The default; `...` if the field must be given."""
    description: str

    @property
    def expected(self) -> str:
        """The expected value, for an error message."""
        kind = self.type.removesuffix(_OR_EMPTY)
        optional = _OR_EMPTY if kind != self.type else ""
        if kind in ("choice", "list"):
            return f"{'one' if kind == 'choice' else 'a list'} of {self.range}{optional}"
        if kind == _PATTERN:
            return self.description.rstrip(".")
        article = "" if kind == "text" else "a "
        return f"{article}{kind}{optional}{' ' if self.range else ''}{self.range}"


def describe_fields(kind: str) -> list[FieldDescription]:
    """Return every field of a node kind with its type, range, default and description.

    Raises:
        KeyError: no such kind.
    """
    return [_describe(name, info) for name, info in NODE_KINDS[kind].settings.model_fields.items()]


def _describe(name: str, info: FieldInfo) -> FieldDescription:
    annotation, optional = _without_none(info.annotation)
    type_, range_ = _type_words(annotation)
    for rule in info.metadata:
        if isinstance(rule, OneOf):
            type_, range_ = "choice", ", ".join(rule.names())
    rules = limits(info)
    if "pattern" in rules:
        type_ = _PATTERN
    default = ... if info.is_required() else info.default
    return FieldDescription(
        field=name,
        type=type_ + (_OR_EMPTY if optional else ""),
        range=range_ or _range_words(rules),
        default=default,
        description=info.description or "",
    )


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """Split `X | None` into X and whether None is allowed."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    parts = [part for part in get_args(annotation) if part is not type(None)]
    return parts[0], len(parts) < len(get_args(annotation))


def _type_words(annotation: Any) -> tuple[str, str]:
    if get_origin(annotation) is Literal:
        return "choice", ", ".join(map(str, get_args(annotation)))
    if get_origin(annotation) is tuple:
        return "list", _type_words(get_args(annotation)[0])[1]
    return {int: "whole number", float: "number", str: "text"}.get(annotation, "value"), ""


_LIMITS = {
    "gt": "above {}",
    "ge": "of at least {}",
    "lt": "below {}",
    "le": "up to {}",
    "multiple_of": "a multiple of {}",
}


def limits(info: FieldInfo) -> dict[str, Any]:
    """Return a field's constraints by pydantic's names: ge, gt, le, lt, multiple_of, min_length, pattern."""
    names = (*_LIMITS, "min_length", "pattern")
    found = {name: getattr(rule, name, None) for rule in info.metadata for name in names if hasattr(rule, name)}
    return {name: value for name, value in found.items() if value is not None}


def _range_words(rules: dict[str, Any]) -> str:
    """Return constraints as text, such as "from 32 to 1,280, a multiple of 32"."""
    rules = dict(rules)
    words = []
    if "ge" in rules and "le" in rules:
        words.append(f"from {_number(rules.pop('ge'))} to {_number(rules.pop('le'))}")
    words += [phrase.format(_number(rules[name])) for name, phrase in _LIMITS.items() if name in rules]
    if rules.get("min_length") == 1:
        words.append("that is not empty")
    return ", ".join(words)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"

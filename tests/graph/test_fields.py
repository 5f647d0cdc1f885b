"""Every field of every node kind is described for forms, help and messages."""

from __future__ import annotations

import pytest

from workflows.graph.fields import describe_fields
from workflows.graph.kinds import NODE_KINDS
from workflows.graph.workflow import describe_fields as public_describe_fields

ALL_FIELDS = [(kind, field) for kind in NODE_KINDS for field in describe_fields(kind)]


@pytest.mark.parametrize(("kind", "field"), ALL_FIELDS, ids=lambda part: getattr(part, "field", part))
def test_every_field_has_a_description_type_and_range(kind: str, field) -> None:  # type: ignore[no-untyped-def]
    assert field.description.endswith(".")
    assert field.type.removesuffix(" or empty") in {"whole number", "number", "text", "pattern", "choice", "list"}
    if field.type not in ("pattern",):
        assert field.range, f"{kind}.{field.field} has no range"
    assert field.expected


@pytest.mark.parametrize("kind", NODE_KINDS)
def test_every_settings_field_is_described_in_order(kind: str) -> None:
    assert [field.field for field in describe_fields(kind)] == list(NODE_KINDS[kind].settings.model_fields)
    assert NODE_KINDS[kind].purpose


EXPECTED = [
    ("model", "image_size", "whole number", "from 32 to 1,280, a multiple of 32", 224),
    ("model", "square", "choice", "crop, pad, stretch", "crop"),
    ("training", "learning_rate", "number", "above 0, up to 10", 1e-3),
    ("training", "workers", "whole number or empty", "from 0 to 64", None),
    ("dataset", "name", "text", "that is not empty", ...),
    ("evaluation", "splits", "list", "val, test", ("val", "test")),
    ("training", "device", "pattern", "", "auto"),
]


@pytest.mark.parametrize(("kind", "name", "type_", "range_", "default"), EXPECTED)
def test_descriptions(kind: str, name: str, type_: str, range_: str, default: object) -> None:
    field = next(field for field in public_describe_fields(kind) if field.field == name)
    assert (field.type, field.range, field.default) == (type_, range_, default)


def test_an_unknown_kind_has_no_fields() -> None:
    with pytest.raises(KeyError):
        describe_fields("modle")

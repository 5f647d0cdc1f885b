"""Random sound workflows, made from the settings' own fields and limits."""

from __future__ import annotations

import types
from itertools import pairwise
from typing import Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from workflows.graph.fields import limits
from workflows.graph.kinds import NODE_KINDS
from workflows.graph.nodes import ID_PATTERN, Edge, Estimate, Node, Reason
from workflows.graph.settings import NodeSettings, OneOf
from workflows.graph.workflow import Workflow
from workflows.nodes.split import SplitSettings

LARGEST = 10**12
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def field_values(info: FieldInfo) -> st.SearchStrategy[Any]:
    """Values that a settings field allows."""
    for rule in info.metadata:
        if isinstance(rule, OneOf):
            return st.sampled_from(list(rule.names()))
    return typed_values(info.annotation, limits(info))


def typed_values(annotation: Any, rules: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a type within its limits."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return st.none() | typed_values(next(a for a in arguments if a is not type(None)), rules)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        items = typed_values(arguments[0], {})
        return st.lists(items, min_size=rules.get("min_length", 0), max_size=4).map(tuple)
    if annotation is int:
        step = rules.get("multiple_of", 1)
        return st.integers(rules.get("ge", -LARGEST) // step, rules.get("le", LARGEST) // step).map(lambda n: n * step)
    if annotation is float:
        low, high = rules.get("ge", rules.get("gt")), rules.get("le", rules.get("lt"))
        return st.floats(low, high, exclude_min="gt" in rules, exclude_max="lt" in rules, allow_subnormal=False)
    if "pattern" in rules:
        return st.from_regex(rules["pattern"], fullmatch=True)
    return st.text(min_size=rules.get("min_length", 0))


def settings_of(kind: str) -> st.SearchStrategy[NodeSettings]:
    """Sound settings of a node kind."""
    type_ = NODE_KINDS[kind].settings
    fields = {name: field_values(info) for name, info in type_.model_fields.items()}
    if type_ is SplitSettings:
        fields |= {"train": st.just(0.5), "val": st.just(0.3), "test": st.just(0.2)}
    return st.builds(type_, **fields)


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """Sound workflows with any names, settings, reasons and estimate."""
    id_ = st.from_regex(ID_PATTERN, fullmatch=True)
    ids = draw(st.lists(id_, min_size=len(NODE_KINDS), max_size=len(NODE_KINDS), unique=True))
    nodes = [Node(id=i, kind=kind, settings=draw(settings_of(kind))) for i, kind in zip(ids, NODE_KINDS, strict=True)]
    words = st.text(min_size=1)
    reason = st.builds(Reason, node=st.sampled_from(ids), field=words, value=JSON, because=words, source=words)
    amount = st.floats(0, 1e12)
    estimate = st.builds(
        Estimate,
        seconds=amount,
        seconds_low=amount,
        seconds_high=amount,
        memory_bytes=st.integers(0, LARGEST),
        images_per_second=amount,
        basis=words,
    )
    return Workflow(
        name=draw(words),
        goal=draw(st.sampled_from([None, "fast", "balanced", "accurate"])),
        description=draw(st.text()),
        nodes=draw(st.permutations(nodes)),
        edges=[Edge(source=a, target=b) for a, b in pairwise(ids)],
        reasons=draw(st.lists(reason, max_size=4)),
        estimate=draw(st.none() | estimate),
    )

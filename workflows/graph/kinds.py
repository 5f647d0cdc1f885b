"""Node kinds, and the single registry of all of them.

A kind is one module that declares a `NodeKind` (settings, texts, inputs, outputs, and stages) and one entry:
in `workflows.nodes` for those that come with Fieldguide, by `register` or by an entry point of the group
`fieldguide.nodes` for others. The pipeline, checks, drawings, forms, texts, progress and Prefect's tasks use it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workflows.errors import WorkflowError
from workflows.graph.settings import NodeSettings
from workflows.registries import Registry
from workflows.store.answers import StageAnswer

if TYPE_CHECKING:
    from workflows.graph.plan import Step
    from workflows.pipeline import RunContext

NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


@dataclass(frozen=True)
class Stage:
    """One stage of a run, whose result is stored: a task in Prefect, an entry in the run's progress."""

    key: str
    """Name of its result in the run's folder."""
    title: str
    """What it does, as shown in lists of tasks: "decode photos"."""
    run: Callable[[RunContext, Step], StageAnswer]
    """Does the work; returns plain data. Heavy imports belong inside, so that a form can be drawn without PyTorch."""
    words: str = ""
    """Short form of the title for progress lines; empty to use the key."""
    retries: int = 0
    """Number of retries for temporary failures (a busy disk, an interrupted download)."""
    cache_inputs: Callable[[RunContext, Step], dict[str, Any] | None] = lambda context, step: None
    """The inputs of the result, if it may be reused by another run with the same inputs."""
    earlier_key: str = ""
    """Its key in homes written by older releases: their results are found under that name."""


@dataclass(frozen=True)
class NodeKind:
    """One kind of node: everything that the rest of the program needs to know about it."""

    name: str
    """Its name in workflows: lower case, digits and hyphens."""
    settings: type[NodeSettings]
    """The settings class. The first line of its docstring says what the node does; every field has a description and a range."""
    title: str
    """Heading of its form."""
    inputs: tuple[str, ...]
    """Its inputs, each from one preceding node; such as "photos", "split", "classifier"."""
    outputs: tuple[str, ...]
    """Its outputs for the following nodes."""
    stages: tuple[Stage, ...] = ()
    """Its stages, in order; none for a node that only configures others."""
    optional: bool = False
    """Whether a workflow is valid without one."""
    left_out: NodeSettings | None = None
    """The settings that other nodes use if a workflow has no such node."""
    repeatable: bool = False
    """Whether a workflow may have several."""
    cost_fields: frozenset[str] = frozenset()
    """Fields whose change invalidates an estimate."""
    shown_fields: tuple[str, ...] = ()
    """Fields shown in its box when the graph is drawn, in this order; the rest is in the YAML."""
    summary: Callable[[Any], str | None] = lambda settings: None
    """Returns a sentence for its box instead of those fields, for some settings (of the kind's class)."""
    fixed_fields: frozenset[str] = frozenset()
    """Fields that its form shows read-only."""
    empty_words: Mapping[str, str] = field(default_factory=dict)
    """By field: the meaning of an empty value."""
    leads: Callable[[Any], bool] = lambda settings: True
    """Returns whether a node can be the run's main one of its kind, whose files the run's pages show."""
    check: Callable[[RunContext, Any], None] = lambda context, settings: None
    """Called before anything is computed; raises FieldguideError if the node would fail later."""

    @property
    def purpose(self) -> str:
        """Return what such a node does, in a sentence."""
        return (self.settings.__doc__ or "").splitlines()[0]


RESERVED = ("dataset", "audit", "workflow", "report")
"""Keys of the stages that every run has, whatever its graph."""


class NodeKinds(Registry[NodeKind]):
    """All kinds by name, in the order of the standard graph."""

    def check(self, kind: NodeKind) -> None:
        """Refuse a kind with an invalid name, or with a stage whose key is invalid or already used."""
        keys = [stage.key for stage in kind.stages]
        for name in (kind.name, *keys):
            if not NAME.fullmatch(name):
                raise WorkflowError(
                    f"{name!r} is not a valid name of a kind or stage.", hint="Use, for example, 'de-noise'."
                )
        taken = {stage.key for known in self._entries.values() for stage in known.stages} | set(RESERVED)
        if taken & set(keys) or len(set(keys)) < len(keys):
            raise WorkflowError(f"The name of a stage of node kind {kind.name!r} is already used.")

    def earlier_key(self, key: str) -> str:
        """Return the key of the stage `key` in homes of older releases, or nothing."""
        stages = (stage for kind in self.values() for stage in kind.stages)
        return next((stage.earlier_key for stage in stages if stage.key == key), "")


def _built_in() -> Iterable[NodeKind]:
    # this layer knows no kind by name: it loads them when the first is needed
    from workflows.nodes import BUILT_IN

    return BUILT_IN


NODE_KINDS = NodeKinds("node kind", "fieldguide.nodes", NodeKind, _built_in, WorkflowError)

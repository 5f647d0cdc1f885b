"""The parts of a graph: nodes with typed settings, edges, reasons and the estimate."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SerializeAsAny, model_validator

from workflows.graph.kinds import NODE_KINDS
from workflows.graph.settings import NodeSettings

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
ID_RULE = "up to 64 letters, digits, _, . or -, starting with a letter or digit"
NodeId = Annotated[str, Field(pattern=ID_PATTERN)]
Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


def is_id(text: str) -> bool:
    """Return whether `text` is a valid node id."""
    return re.fullmatch(ID_PATTERN.strip("^$"), text) is not None


class Piece(BaseModel):
    """Base of all parts: unknown fields are rejected, values can't change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Node(Piece):
    """One node of the graph. `settings` is of the class of its `kind` in `NODE_KINDS`."""

    id: NodeId
    kind: str
    settings: SerializeAsAny[NodeSettings]

    @model_validator(mode="before")
    @classmethod
    def _type_the_settings(cls, data: Any) -> Any:
        """Convert plain settings (from JSON) to the class of the node's kind."""
        if not isinstance(data, dict):
            return data
        kind = data.get("kind")
        if not isinstance(kind, str) or kind not in NODE_KINDS:
            raise ValueError(f"unknown kind {kind!r}; known kinds: {', '.join(NODE_KINDS)}")
        settings, settings_type = data.get("settings", {}), NODE_KINDS[kind].settings
        if isinstance(settings, NodeSettings) and not isinstance(settings, settings_type):
            raise ValueError(f"a {kind} node can't have {type(settings).__name__}")
        return {**data, "settings": settings_type.model_validate(settings)}


class Edge(Piece):
    """Data flows from node `source` to node `target` (both are node ids)."""

    source: NodeId
    target: NodeId

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"


class Reason(Piece):
    """Why a field of a node has its value, and the evidence for it."""

    node: NodeId
    field: str = Field(min_length=1)
    value: JsonValue
    because: str = Field(
        min_length=1, description="The reason in plain words, for a person who does not train networks."
    )
    source: str = Field(min_length=1, description="The citation or the measurement behind it.")


class Estimate(Piece):
    """The expected cost of a run, estimated before its start."""

    seconds: Amount = Field(description="Wall-clock time of the whole run, in seconds.")
    seconds_low: Amount = Field(description="Lower end of the likely range.")
    seconds_high: Amount = Field(description="Upper end of the likely range.")
    memory_bytes: int = Field(ge=0, description="Peak memory on the training device, in bytes.")
    images_per_second: Amount = Field(description="Training images per second.")
    basis: str = Field(min_length=1, description="What the estimate is based on.")

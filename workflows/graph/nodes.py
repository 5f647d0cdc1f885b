"""The pieces of a graph: nodes with typed settings, edges, and what the recommender says about them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SerializeAsAny, model_validator

from workflows.graph.settings import NODE_KINDS, NodeSettings

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
ID_RULE = "up to 64 letters, digits, _, . or -, starting with a letter or digit"
NodeId = Annotated[str, Field(pattern=ID_PATTERN)]
Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


def is_id(text: str) -> bool:
    """Say whether `text` may name a node."""
    return re.fullmatch(ID_PATTERN.strip("^$"), text) is not None


class Piece(BaseModel):
    """What all pieces share: unknown fields are refused, values can't change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Node(Piece):
    """One step of the graph. `settings` is of the class that `kind` names in `NODE_KINDS`."""

    id: NodeId
    kind: str
    settings: SerializeAsAny[NodeSettings]

    @model_validator(mode="before")
    @classmethod
    def _type_the_settings(cls, data: Any) -> Any:
        """Give plain settings (from JSON) the type of the node's kind."""
        if not isinstance(data, dict):
            return data
        kind = data.get("kind")
        settings_type = NODE_KINDS.get(kind) if isinstance(kind, str) else None
        if settings_type is None:
            raise ValueError(f"unknown kind {kind!r}; kinds are {', '.join(NODE_KINDS)}")
        settings = data.get("settings", {})
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
    """Why a field of a node has its value: in plain words, and on what evidence."""

    node: NodeId
    field: str = Field(min_length=1)
    value: JsonValue
    because: str = Field(min_length=1, description="Plain words for a person who doesn't train networks.")
    source: str = Field(min_length=1, description="The citation or the measurement behind it.")


class Estimate(Piece):
    """What a run is expected to cost, made before its start."""

    seconds: Amount = Field(description="Wall-clock time of the whole run, in seconds.")
    seconds_low: Amount = Field(description="Lower end of the likely range.")
    seconds_high: Amount = Field(description="Upper end of the likely range.")
    memory_bytes: int = Field(ge=0, description="Peak memory on the training device, in bytes.")
    images_per_second: Amount = Field(description="Training images per second.")
    basis: str = Field(min_length=1, description="What the estimate rests on.")

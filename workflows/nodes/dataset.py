"""The node `dataset`: the images. It is resolved before the graph, so that a workflow can be recommended for it."""

from __future__ import annotations

from pydantic import Field

from workflows.graph.kinds import NodeKind
from workflows.graph.settings import NodeSettings


class DatasetSettings(NodeSettings):
    """Which images, with which labels."""

    name: str = Field(min_length=1, description="Name of the data set, as shown by `fieldguide dataset list`.")
    version: int | None = Field(default=None, ge=1, description="Version number; empty means the newest at the start.")


KIND = NodeKind(
    name="dataset",
    settings=DatasetSettings,
    title="Dataset",
    inputs=(),
    outputs=("photos",),
    cost_fields=frozenset({"name", "version"}),
    shown_fields=("name", "version"),
    fixed_fields=frozenset({"name"}),
    empty_words={"version": "the newest"},
)

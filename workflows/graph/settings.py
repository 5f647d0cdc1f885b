"""What the settings of all node kinds share: their base class, and types used in several layers.

The settings themselves are defined with their kinds, in `workflows.nodes`. Every field has a description with its unit and
a range: forms, `--help` and error messages are made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Square = Literal["crop", "pad", "stretch"]
Monitor = Literal["top1", "f1_macro", "log_loss"]


class NodeSettings(BaseModel):
    """Base of all settings: unknown fields are rejected, values can't change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class OneOf:
    """Marks a text that must be one of some names, where other packages may add to them. Else a `Literal` does."""

    names: Callable[[], Collection[str]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def _checked(self, value: str) -> str:
        names = self.names()
        if value not in names:
            raise PydanticCustomError("literal_error", "Input should be one of {names}", {"names": ", ".join(names)})
        return value

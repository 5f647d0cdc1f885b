"""The backbones that there are: those of Fieldguide, and those that installed packages bring."""

from __future__ import annotations

from workflows.backbones.base import Backbone
from workflows.backbones.yolov8 import YOLOV8
from workflows.errors import ModelError
from workflows.registries import Registry

BACKBONES: Registry[Backbone] = Registry(
    "network family",
    "fieldguide.backbones",
    Backbone,  # type: ignore[type-abstract]
    lambda: (YOLOV8,),
    ModelError,
)


def backbone_named(name: str = YOLOV8.name) -> Backbone:
    """Return a backbone by its name. Raises ModelError if there is none of that name."""
    return BACKBONES.named(name)


def title_of(family: str, size: str) -> str:
    """Return what people call a network, also where this Fieldguide does not know its family."""
    known = BACKBONES.get(family)
    return known.titled(size) if known else f"{family} {size}"

"""The targets that there are: those of Fieldguide, and those that installed packages bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workflows.errors import DatasetError
from workflows.registries import Registry
from workflows.targets.base import Target

DEFAULT = "single-label"
"""What labels are where nothing says so: data sets, runs and models from before there was a choice."""
KEY = "target"
"""Under this the metadata of tables, and cards of models, name their target."""


def _built_in() -> Iterable[Target]:
    # loaded when the first is wanted: it takes pandas and scikit-learn's friends, which forms and --help do without
    from workflows.targets.single_label.target import SINGLE_LABEL

    return (SINGLE_LABEL,)


TARGETS: Registry[Target] = Registry(
    "kind of labels",
    "fieldguide.targets",
    Target,  # type: ignore[type-abstract]
    _built_in,
    DatasetError,
)


def target_named(name: str | None = None) -> Target:
    """Return a target by its name; None for the default. Raises DatasetError if there is none of that name."""
    return TARGETS.named(name or DEFAULT)


def target_in(metadata: Mapping[str, str]) -> Target:
    """Return the target that a table's metadata names. Raises as :func:`target_named`."""
    return target_named(metadata.get(KEY))


def metadata_of(target: Target) -> dict[str, str]:
    """Return what a table says of its target in its metadata."""
    return {KEY: target.name}

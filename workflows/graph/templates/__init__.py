"""Workflow templates: each is a YAML file with a description and its launch command."""

from __future__ import annotations

from importlib.resources import files

from workflows.errors import WorkflowError
from workflows.graph.checks import did_you_mean

SUFFIX = ".yaml"


def list_templates() -> list[str]:
    """Return the templates' names, sorted."""
    return sorted(
        entry.name.removesuffix(SUFFIX) for entry in files(__package__).iterdir() if entry.name.endswith(SUFFIX)
    )


def template_text(name: str) -> str:
    """Return a template's text, comments included.

    Raises:
        WorkflowError: no such template.
    """
    names = list_templates()
    if name not in names:
        near = did_you_mean(name, names) or f"; available: {', '.join(names)}"
        raise WorkflowError(f"No template is called {name!r}{near}.")
    return (files(__package__) / f"{name}{SUFFIX}").read_text(encoding="utf-8")

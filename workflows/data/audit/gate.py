"""The gate before training: errors of the audit stop it, unless explicitly allowed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from workflows.data.audit.findings import AuditReport, Finding
from workflows.data.audit.repairs import remedies
from workflows.errors import DatasetError
from workflows.graph.workflow import Workflow
from workflows.store.names import counted


def settled_by_splitting(workflow: Workflow | None) -> tuple[str, ...]:
    """Return the findings about the stored split that a workflow settles, because it makes a new split."""
    if workflow is None or workflow.split.source != "new":
        return ()
    return ("leak-exact", "leak-near", "absent-class")


def refuse_errors(report: AuditReport, allow: Collection[str] = ()) -> None:
    """Raise an error if a version must not be trained on.

    Args:
        allow: keys of findings to train on regardless.

    Raises:
        DatasetError: the audit found errors that are not allowed; it lists each, and how to fix or allow it.
    """
    stopping = [finding for finding in report.errors if finding.key not in allow]
    if not stopping:
        return
    lines = "".join(f"\n  - {_described(report, finding)}" for finding in stopping)
    allowing = " ".join(f"--allow {finding.key}" for finding in stopping)
    raise DatasetError(
        f"Training on {report.name}, version {report.version}, would give a misleading model. "
        f"The audit found {counted(len(stopping), 'error')}:{lines}",
        f"Look closer: fieldguide dataset audit {report.name}. To train regardless, add {allowing}.",
    )


def _described(report: AuditReport, finding: Finding) -> str:
    images = f" ({counted(finding.count, 'photo')})" if finding.count else ""
    commands = remedies(report.name, finding)
    remedy = f"Fix it: {' or '.join(commands)}" if commands else finding.advice
    return f"{finding.key}: {finding.title}{images}. {remedy}"


def noted(report: AuditReport) -> list[dict[str, Any]]:
    """Return the part of an audit stored in a run's result: key, severity, title and number of images of each finding."""
    return [
        {"key": finding.key, "severity": finding.severity, "title": finding.title, "count": finding.count}
        for finding in report.findings
    ]

"""The gate before training: errors of the audit stop it, unless they are allowed by name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from workflows.data.audit.findings import AuditReport, Finding
from workflows.data.audit.repairs import command
from workflows.errors import DatasetError
from workflows.store.names import counted


def refuse_errors(report: AuditReport, allow: Collection[str] = ()) -> None:
    """Stop where a version must not be trained on.

    Args:
        allow: keys of findings to train on regardless.

    Raises:
        DatasetError: the audit found errors that are not allowed; it names each, and how to mend or allow it.
    """
    stopping = [finding for finding in report.errors if finding.key not in allow]
    if not stopping:
        return
    lines = "".join(f"\n  - {_described(report, finding)}" for finding in stopping)
    allowing = " ".join(f"--allow {finding.key}" for finding in stopping)
    raise DatasetError(
        f"Training on {report.name}, version {report.version}, would not teach what it seems to. "
        f"The audit found {counted(len(stopping), 'error')}:{lines}",
        f"Look closer: fieldguide dataset audit {report.name}. To train regardless, add {allowing}.",
    )


def _described(report: AuditReport, finding: Finding) -> str:
    images = f" ({counted(finding.count, 'photo')})" if finding.count else ""
    mend = f"Mend it: {command(report.name, finding.key)}" if finding.repair else finding.advice
    return f"{finding.key}: {finding.title}{images}. {mend}"


def noted(report: AuditReport) -> list[dict[str, Any]]:
    """Return what a run's result keeps of an audit: key, severity, title and number of images of each finding."""
    return [
        {"key": finding.key, "severity": finding.severity, "title": finding.title, "count": finding.count}
        for finding in report.findings
    ]

"""Auditing a version: all checks over its table; the report is stored with it.

No image is decoded here: the measures of the pixels were taken when the images were verified.
"""

from __future__ import annotations

import time

import pandas as pd

from workflows.data.audit import balance, duplicates, outliers, quality, shortcut
from workflows.data.audit.findings import SEVERITIES, AuditInput, AuditReport, Check, Finding
from workflows.data.facts import version_measures
from workflows.data.reports import load_report
from workflows.data.version import REPORT_FILE, DatasetVersion
from workflows.errors import StorageError
from workflows.progress import Progress, silent
from workflows.store.files import read_json, read_table, remove_temporaries, write_json, write_table
from workflows.store.locks import hold
from workflows.store.store import Store

AUDIT_VERSION = 5
"""Increment it when a check's findings or texts change: audits stored by older code are then repeated."""

AUDIT_FILE = "audit.json"
SCORES_FILE = "audit.parquet"

CHECKS: tuple[Check, ...] = (
    *quality.CHECKS,
    *duplicates.CHECKS,
    *balance.CHECKS,
    *outliers.CHECKS,
    *shortcut.CHECKS,
)


def audit(store: Store, version: DatasetVersion, progress: Progress = silent, refresh: bool = False) -> AuditReport:
    """Return the audit of a version; as a version never changes, it is made once and stored.

    Args:
        progress: receives the number of checks done, as stage `audit`.
        refresh: audit again, even if there is a stored report.

    Raises:
        StorageError: the version's files are missing or damaged, or the disk is full.
    """
    stored = None if refresh else stored_audit(version)
    if stored is not None:
        return stored

    def waiting(holder: str) -> None:
        progress("audit", 0, len(CHECKS), holder)

    with hold(store.locks_folder / f"audit-{version.name}-{version.number}.lock", waiting=waiting):
        stored = None if refresh else stored_audit(version)  # another process may just have written it
        remove_temporaries(version.folder, (SCORES_FILE, AUDIT_FILE))  # of an audit that was killed
        return stored or _audit(store, version, progress)


def _audit(store: Store, version: DatasetVersion, progress: Progress) -> AuditReport:
    started = time.monotonic()
    given = audit_input(store, version, progress)
    findings: list[Finding] = []
    scores = [given.images[["image_id"]]]
    for number, check in enumerate(CHECKS):
        progress("audit", number, len(CHECKS), check.__name__.removeprefix("check_").replace("_", " "))
        result = check(given)
        findings += result.findings
        scores += [] if result.scores is None else [result.scores]
    progress("audit", len(CHECKS), len(CHECKS))
    findings.sort(key=lambda finding: (SEVERITIES.index(finding.severity), -finding.count, finding.key))
    seconds = round(time.monotonic() - started, 3)
    report = AuditReport(version.name, version.number, len(given.images), tuple(findings), seconds)
    write_table(version.folder / SCORES_FILE, pd.concat(scores, axis=1))
    document = {"audit_version": AUDIT_VERSION, "fingerprint": version.fingerprint, **report.to_dict()}
    write_json(version.folder / AUDIT_FILE, document)
    return report


def scores(store: Store, version: DatasetVersion) -> pd.DataFrame:
    """Return every image's scores and flags (`x_score`, `is_x`), auditing the version if needed.

    Raises:
        StorageError: see :func:`audit`.
    """
    audit(store, version)
    return read_table(version.folder / SCORES_FILE)


def audit_input(store: Store, version: DatasetVersion, progress: Progress = silent) -> AuditInput:
    """Return the input of the checks: the version's table with the measures of each image."""
    table = version.table().reset_index(drop=True).drop(columns="phash")
    measures = version_measures(version, store.blobs, progress)
    images = table.merge(measures, on="sha256", how="left", validate="m:1")
    return AuditInput(store, version, images, _rejected(version), progress)


def _rejected(version: DatasetVersion) -> tuple[tuple[str, str], ...]:
    """Return path and reason of the files rejected by the import that made this version, if an import did."""
    if not (version.folder / REPORT_FILE).exists():
        return ()
    return tuple((entry.path, entry.reason) for entry in load_report(version).left_out() if entry.outcome == "rejected")


def stored_audit(version: DatasetVersion) -> AuditReport | None:
    """Return the stored report if it was made by this code from this content."""
    if not (version.folder / AUDIT_FILE).exists() or not (version.folder / SCORES_FILE).exists():
        return None
    try:
        document = read_json(version.folder / AUDIT_FILE)
        if (document["audit_version"], document["fingerprint"]) != (AUDIT_VERSION, version.fingerprint):
            return None
        return AuditReport.from_dict(document)
    except (StorageError, KeyError, TypeError):  # damaged, or written by other code: it can be repeated
        return None

"""The results of an audit: findings, each with its score and severity, and the report that holds them.

A check computes scores first and applies thresholds after: the scores of every image are stored (``x_score`` and ``is_x`` columns of
``audit.parquet``), so that another threshold can be tried without measuring the images again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import pandas as pd

from workflows.data.version import DatasetVersion
from workflows.progress import Progress, silent
from workflows.store.names import counted
from workflows.store.store import Store

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""From worst to mildest. An error stops training; a warning is shown with the run; an info is just reported."""


def counts_in_words(counts: Mapping[Severity, int]) -> str:
    """Return `1 error, 2 remarks`; empty if nothing was found."""
    nouns: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "remark"}
    return ", ".join(counted(counts[level], nouns[level]) for level in SEVERITIES if counts.get(level))


WHOLE_LISTS = "fieldguide dataset audit --json"


@dataclass(frozen=True)
class Finding:
    """One thing that an audit found. A report has at most one finding of each key.

    Attributes:
        key: stable slug, e.g. `exact-duplicates`; identifies it for fixing or allowing.
        severity: error, warning or info.
        title: one line, with the count.
        explanation: what was found and how, with the figures.
        advice: what the user can do about it.
        repair: what `dataset fix` would do, in a sentence; None where the user must decide.
        image_ids: the images concerned, worst first.
        score: the figure compared with `threshold`, in the same unit; None where it is just a count.
        threshold: the limit of `score`.
        facts: further figures, as plain JSON. Where images belong together (duplicates, leaks, one picture under
            two labels), `groups` lists them: one list of image ids for each group.
    """

    key: str
    severity: Severity
    title: str
    explanation: str
    advice: str
    repair: str | None = None
    image_ids: tuple[str, ...] = ()
    score: float | None = None
    threshold: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Return the number of images concerned."""
        return len(self.image_ids)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return {**{item.name: getattr(self, item.name) for item in fields(self)}, "count": self.count}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Finding:
        """Return the finding that :meth:`to_dict` described."""
        known = {item.name: document[item.name] for item in fields(cls)}
        return cls(**{**known, "image_ids": tuple(document["image_ids"])})


@dataclass(frozen=True)
class AuditReport:
    """The findings of one version, the worst first.

    Attributes:
        name: the data set.
        version: its version's number.
        images: number of images checked.
        findings: errors, then warnings, then infos.
        seconds: duration of the audit.
    """

    name: str
    version: int
    images: int
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return the findings that stop training."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Return the findings that are shown with a run."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    def find(self, key: str) -> Finding | None:
        """Return the finding of this key, if there is one."""
        return next((finding for finding in self.findings if finding.key == key), None)

    def counts(self) -> dict[Severity, int]:
        """Return the number of findings of each severity."""
        return {level: sum(finding.severity == level for finding in self.findings) for level in SEVERITIES}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "name": self.name,
            "version": self.version,
            "images": self.images,
            "counts": self.counts(),
            "seconds": self.seconds,
            "findings": [finding.to_dict() for finding in self.findings],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> AuditReport:
        """Return the report that :meth:`to_dict` described."""
        findings = tuple(Finding.from_dict(entry) for entry in document["findings"])
        return cls(document["name"], document["version"], document["images"], findings, document["seconds"])


@dataclass(frozen=True)
class AuditInput:
    """The input of a check.

    Attributes:
        images: one row for each image (index 0, 1, …): the columns of images.parquet, and beside them the measured
            facts of its content (see :mod:`workflows.data.measures`). `label` and `split` are null where an image has none.
        rejected: path and reason of each file that the version's import rejected.
        progress: called with stage `audit`.
    """

    store: Store
    version: DatasetVersion
    images: pd.DataFrame
    rejected: tuple[tuple[str, str], ...] = ()
    progress: Progress = silent

    @property
    def labelled(self) -> pd.DataFrame:
        """Return the rows that have a label and a split: what training uses."""
        return self.images[self.images["label"].notna() & self.images["split"].notna()]


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes:
        findings: empty if there are no problems.
        scores: columns `<x>_score` (float) and `is_<x>` (bool), with the index of `AuditInput.images`; None for a
            check of classes or of the set as a whole.
    """

    findings: tuple[Finding, ...] = ()
    scores: pd.DataFrame | None = None


Check = Callable[[AuditInput], CheckResult]
"""A check of a version. Each module of checks lists its own in `CHECKS`."""

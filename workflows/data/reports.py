"""The report of an import: what it did with every file."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from workflows.data.rendering import Rendering
from workflows.data.version import REPORT_FILE, DatasetVersion
from workflows.errors import StorageError
from workflows.store.files import read_json
from workflows.store.names import counted

Outcome = Literal["accepted", "rejected", "ignored"]


@dataclass(frozen=True)
class ReportEntry:
    """One file: its outcome and the reason (for an accepted one: what was special, or nothing)."""

    path: str
    outcome: Outcome
    reason: str = ""


@dataclass
class ImportReport:
    """What an import did; accepted + rejected + ignored = total.

    Attributes:
        version: the data set's version that holds the images now.
        changed: whether this import made that version (False: nothing has changed).
        layout: the source's recognised layout.
        conversions: accepted images whose pixels were not 8-bit RGB.
        entries: one for each file of the source.
        notes: remarks for the user: warnings, and decisions made automatically.
        seconds: duration of the import.
        rendering: how raw samples are rendered; None in data sets from before renderings existed.
        known: images of the data set whose very content was imported again.
        already: how many different photos of the source these are.
    """

    version: DatasetVersion
    changed: bool
    layout: str
    conversions: int = 0
    entries: list[ReportEntry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    rendering: Rendering | None = None
    known: list[str] = field(default_factory=list)
    already: int = 0

    def _count(self, outcome: Outcome) -> int:
        return sum(entry.outcome == outcome for entry in self.entries)

    @property
    def accepted(self) -> int:
        """Number of images imported."""
        return self._count("accepted")

    @property
    def rejected(self) -> int:
        """Number of images that can't be used."""
        return self._count("rejected")

    @property
    def ignored(self) -> int:
        """Number of files that are not labelled images."""
        return self._count("ignored")

    @property
    def total(self) -> int:
        """Number of files seen."""
        return len(self.entries)

    def left_out(self) -> list[ReportEntry]:
        """Return the files that were not imported: the rejected first."""
        out = [entry for entry in self.entries if entry.outcome != "accepted"]
        return sorted(out, key=lambda entry: (entry.outcome != "rejected", entry.path))

    def already_words(self) -> str:
        """Return how many of the photos were here before, in words; empty if none were."""
        return already_words(self.changed, self.accepted, self.already)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, as it is saved and printed."""
        return {
            "dataset": self.version.name,
            "version": self.version.number,
            "images": self.version.images,
            "classes": list(self.version.classes),
            "changed": self.changed,
            "layout": self.layout,
            "total": self.total,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "ignored": self.ignored,
            "conversions": self.conversions,
            "already": self.already,
            "known": self.known,
            "reasons": dict(Counter(entry.reason for entry in self.left_out()).most_common(20)),
            "notes": self.notes,
            "rendering": self.rendering.to_dict() if self.rendering is not None else None,
            "seconds": round(self.seconds, 3),
            "entries": [asdict(entry) for entry in self.entries],
        }


def already_words(changed: bool, accepted: int, already: int) -> str:
    """Return how many imported photos were in the data set before, in words; empty if none were."""
    if not already:
        return ""
    if not changed:
        return f"All {accepted:,} are here already." if accepted > 1 else "It is here already."
    return f"{counted(already, 'photo was', 'photos were')} here already."


def load_report(version: DatasetVersion) -> ImportReport:
    """Return the report of the import that a version goes back to, marked as unchanged.

    Raises:
        StorageError: the saved report is missing or damaged.
    """
    path = version.folder / REPORT_FILE
    for number in range(version.number - 1, 0, -1):  # edits have no report of their own
        if path.exists():
            break
        path = version.folder.parent / str(number) / REPORT_FILE
    saved = read_json(path)
    try:
        entries = [ReportEntry(**entry) for entry in saved["entries"]]
        return ImportReport(
            version,
            False,
            saved["layout"],
            saved["conversions"],
            entries,
            list(saved["notes"]),
            rendering=version.rendering(),
        )
    except (KeyError, TypeError) as error:
        raise StorageError(f"{path} is not an import report: {error}.", "The file is damaged.") from error

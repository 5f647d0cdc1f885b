"""Long work on data sets, in a process of its own: `python -m app.worker STUDIO`, a request on stdin.

Decoding thousands of photos needs more memory than the web process may have. What it tells are lines of JSON on
stdout: `{"stage", "done", "total", "text"}` on the way, at the end `{"result": …}` or `{"error": …, "hint": …}`.
An import can be cut off at any moment: the next one goes on from what it finds.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.leash import Mark, follow
from workflows.errors import FieldguideError
from workflows.progress import Progress
from workflows.store.store import Store

TELL_SECONDS = 0.2
SHOWN_FILES = 200

Request = Mapping[str, Any]


class Teller:
    """Writes progress to stdout, at most a few times a second. Call it from any thread."""

    def __init__(self) -> None:
        self._lock, self._last, self._stage = threading.Lock(), 0.0, ""

    def __call__(self, stage: str, done: int, total: int, text: str = "") -> None:
        """Tell how far a stage is."""
        with self._lock:
            now = time.monotonic()
            if stage == self._stage and done < total and now - self._last < TELL_SECONDS:
                return
            self._stage, self._last = stage, now
            tell({"stage": stage, "done": done, "total": total, "text": text})


def tell(document: Mapping[str, Any]) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def look(store: Store, request: Request, progress: Progress) -> dict[str, Any]:
    """Find out what a source holds, without opening an image."""
    from workflows.data.sources import open_source

    labels = Path(request["labels"]) if request.get("labels") else None
    with open_source(
        Path(request["source"]),
        labels,
        workspace=store.cache_folder / "unpacked",
        encoding=request.get("encoding") or None,
        unlabelled=bool(request.get("unlabelled")),
        progress=progress,
    ) as found:
        counts = Counter((entry.label, entry.split) for entry in found.entries)
        return {
            "layout": found.layout,
            "images": len(found.entries),
            "counts": [[label, split, number] for (label, split), number in counts.items()],
            "columns": [name for name in found.columns if name not in ("filename", "label", "split")],
            "notes": found.notes,
            "ignored": found.ignored[:SHOWN_FILES],
            "ignored_count": len(found.ignored),
            "rejected": found.rejected[:SHOWN_FILES],
            "rejected_count": len(found.rejected),
            "sample": [entry.relative for entry in found.entries[:5]],
        }


def take_in(store: Store, request: Request, progress: Progress) -> dict[str, Any]:
    """Import a source; audit the version that comes of it."""
    from workflows.data.importing import add_dataset

    report = add_dataset(
        store,
        request["name"],
        Path(request["source"]),
        labels=Path(request["labels"]) if request.get("labels") else None,
        ratios=request["ratios"],
        group_by=request.get("group_by") or None,
        mirror=bool(request.get("mirror")),
        encoding=request.get("encoding") or None,
        unlabelled=bool(request.get("unlabelled")),
        progress=progress,
    )
    document = report.to_dict()
    del document["entries"]
    left_out = report.left_out()
    document["left_out"] = [asdict(entry) for entry in left_out[:SHOWN_FILES]]
    # the import is done: whatever happens to the audit, it can be made again
    tell({"result": document})
    _audit(store, report.version.name, progress)
    return document


def look_over(store: Store, request: Request, progress: Progress) -> dict[str, Any]:
    """Audit the newest version of a data set."""
    return _audit(store, request["name"], progress)


def _audit(store: Store, name: str, progress: Progress) -> dict[str, Any]:
    from workflows.data.audit.run import audit
    from workflows.data.catalog import get_version

    report = audit(store, get_version(store, name), progress)
    return {"dataset": name, "version": report.version, "findings": len(report.findings), "seconds": report.seconds}


def advise(store: Store, request: Request, progress: Progress) -> dict[str, Any]:
    """Find out which workflows to recommend for a data set."""
    from app.advising import advise as recommend

    return recommend(store, request, progress)


KINDS: dict[str, Callable[[Store, Request, Progress], dict[str, Any]]] = {
    "look": look,
    "import": take_in,
    "audit": look_over,
    "advise": advise,
}


def main() -> None:
    """Do the one thing that stdin asks for."""
    follow(Mark.parse(sys.argv[1]))
    request = json.loads(sys.stdin.readline())
    try:
        result = KINDS[request["kind"]](Store(Path(request["home"])), request, Teller())
        tell({"result": result, "ended": True})
    except FieldguideError as error:
        tell({"error": error.message, "hint": error.hint})


if __name__ == "__main__":
    main()

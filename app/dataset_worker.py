"""Long work on data sets, in a process of its own: `python -m app.dataset_worker STUDIO`, a request on stdin.

Decoding thousands of photos needs more memory than the web process may have. It reports lines of JSON on
stdout: `{"stage", "done", "total", "text"}` on the way, at the end `{"result": …}` or `{"error": …, "hint": …}`.
An import can be interrupted at any time: the next one continues from what it finds.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.process_identity import ProcessIdentity, exit_with
from workflows.data.columns import Columns
from workflows.data.sources import Reading
from workflows.errors import FieldguideError
from workflows.progress import Progress
from workflows.store.store import Store
from workflows.throttle import ProgressThrottle

EMIT_SECONDS = 0.2
TIFF_SUFFIXES = (".tif", ".tiff")  # may have more bands than are shown

Request = Mapping[str, Any]


class ProgressWriter:
    """Writes progress to stdout, at most a few times a second. Call it from any thread."""

    def __init__(self) -> None:
        self._lock, self._throttle = threading.Lock(), ProgressThrottle(EMIT_SECONDS)

    def __call__(self, stage: str, done: int, total: int, text: str = "") -> None:
        """Report the progress of a stage."""
        with self._lock:
            if self._throttle.take(stage, always=done >= total):
                emit({"stage": stage, "done": done, "total": total, "text": text})


def emit(document: Mapping[str, Any]) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def scan_source(store: Store, request: Request, progress: Progress) -> dict[str, Any]:
    """Return the layout, classes and number of images of a source, without opening an image."""
    from workflows.data.sources import open_source

    labels = Path(request["labels"]) if request.get("labels") else None
    with open_source(
        Path(request["source"]),
        labels,
        _reading(request),
        workspace=store.cache_folder / "unpacked",
        progress=progress,
    ) as found:
        counts = Counter((entry.label, entry.split) for entry in found.entries)
        return {
            "layout": found.layout,
            "images": len(found.entries),
            "counts": [[label, split, number] for (label, split), number in counts.items()],
            "bands": any(entry.path.suffix.lower() in TIFF_SUFFIXES for entry in found.entries),
            "columns": [name for name in found.columns if name not in ("filename", "label", "split")],
            "notes": found.notes,
            "nested": len(found.nested),
            "ignored": found.ignored,
            "rejected": found.rejected,
            "sample": [entry.relative for entry in found.entries[:5]],
        }


def import_source(store: Store, request: Request, progress: Progress) -> dict[str, Any]:
    """Import a source; audit the resulting version."""
    from workflows.data.importing import add_dataset
    from workflows.data.survey import parse_bands

    report = add_dataset(
        store,
        request["name"],
        Path(request["source"]),
        labels=Path(request["labels"]) if request.get("labels") else None,
        reading=_reading(request),
        ratios=request["ratios"],
        group_by=request.get("group_by") or None,
        mirror=bool(request.get("mirror")),
        bands=parse_bands(request["bands"]) if request.get("bands") else None,
        progress=progress,
    )
    document = report.to_dict()
    del document["entries"]
    document["left_out"] = [asdict(entry) for entry in report.left_out()]
    # the import is done: a failed audit can be repeated
    emit({"result": document})
    _audit(store, report.version.name, progress)
    return document


def _reading(request: Request) -> Reading:
    """Return how the source of a survey or an import is to be read."""
    return Reading(
        request.get("encoding") or None,
        Columns(request.get("filename_column") or None, request.get("label_column") or None),
        bool(request.get("unlabelled")),
        bool(request.get("with_unlabelled")),
        int(request.get("class_level") or 1),
    )


def audit_newest(store: Store, request: Request, progress: Progress) -> dict[str, Any]:
    """Audit the newest version of a data set."""
    return _audit(store, request["name"], progress)


def _audit(store: Store, name: str, progress: Progress) -> dict[str, Any]:
    from workflows.data.audit.run import audit
    from workflows.data.catalog import get_version

    report = audit(store, get_version(store, name), progress)
    return {"dataset": name, "version": report.version, "findings": len(report.findings), "seconds": report.seconds}


def check_labels(store: Store, request: Request, progress: Progress) -> dict[str, Any]:
    """Check the labels of the newest version of a data set; the result is stored with it."""
    from workflows.data.catalog import get_version
    from workflows.inference.label_check import check_version

    version = get_version(store, request["name"])
    check = check_version(store, version, weights=request.get("weights") or "auto", progress=progress)
    return {"dataset": version.name, "version": version.number, "suspected": int(check.table["suspected"].sum())}


def recommend(store: Store, request: Request, progress: Progress) -> dict[str, Any]:
    """Compute the recommended workflows for a data set."""
    from app.recommendations import recommend_workflows

    return recommend_workflows(store, request, progress)


KINDS: dict[str, Callable[[Store, Request, Progress], dict[str, Any]]] = {
    "scan": scan_source,
    "import": import_source,
    "audit": audit_newest,
    "check labels": check_labels,
    "recommend": recommend,
}


def main() -> None:
    """Execute the one request on stdin."""
    exit_with(ProcessIdentity.parse(sys.argv[1]))
    request = json.loads(sys.stdin.readline())
    try:
        result = KINDS[request["kind"]](Store(Path(request["home"])), request, ProgressWriter())
        emit({"result": result, "ended": True})
    except FieldguideError as error:
        emit(error.document())


if __name__ == "__main__":
    main()

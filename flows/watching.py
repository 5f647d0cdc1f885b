"""Watched folders: what appears in them is imported once writing has ended.

A folder is quiet when two consecutive checks find the same files, of the same size and time. Each import runs in a
process of its own (`python -m flows.watching WATCH`), because a large one takes long; its result is stored in
the record of the folder. Files that are deleted from the folder stay in the data set.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from flows.process_identity import ProcessIdentity, exit_with
from flows.service import arguments, start_job
from workflows.errors import FieldguideError, UsageError
from workflows.store.store import Store
from workflows.store.tables import now
from workflows.store.watching import WatchedFolder

SHORTEST_SECONDS = 2
QUIET_SECONDS = 2.0
STOP_SECONDS = 2.0
NICENESS = 10


def add_watch(
    store: Store,
    dataset: str,
    folder: Path,
    *,
    labels: Path | None = None,
    filename_column: str | None = None,
    label_column: str | None = None,
    unlabelled: bool = False,
    every_seconds: int = 60,
) -> WatchedFolder:
    """Watch a folder and import its new files into a data set, which is created if needed.

    Args:
        store: holds the records.
        dataset: the data set: its id, its name, or the id of a new one.
        folder: with a sub-folder for each class, or with images that `labels` names, or `unlabelled`.
        labels: a label file, e.g. CSV with the columns `filename` and `label`; it may grow with the folder.
        filename_column: its column of file names, if that isn't found by its name.
        label_column: its column of labels, if that isn't found by its name.
        unlabelled: the images come without labels, to be labelled in the studio.
        every_seconds: interval between checks; at least 2.

    Raises:
        UsageError: the folder does not exist, is the studio's own, or is watched for this data set already.
    """
    from workflows.data.naming import check_name, dataset_called

    dataset = dataset_called(store, dataset)
    check_name(dataset)
    place = Path(folder).expanduser().resolve()
    if not place.is_dir():
        raise UsageError(f"{place} is not a folder.", "Create it first; it may be empty.")
    if place.is_relative_to(store.home) or store.home.is_relative_to(place):
        raise UsageError(f"{place} holds the studio's own files.", "Watch another folder.")
    if unlabelled and (labels, filename_column, label_column) != (None, None, None):
        raise UsageError("--labels and --unlabelled exclude each other.", "Give one of them.")
    if every_seconds < SHORTEST_SECONDS:
        raise UsageError(f"The shortest interval is {SHORTEST_SECONDS} s.")
    file = str(Path(labels).expanduser().resolve()) if labels is not None else None
    return store.watched.add(
        dataset,
        str(place),
        labels=file,
        filename_column=filename_column,
        label_column=label_column,
        unlabelled=unlabelled,
        every_seconds=every_seconds,
    )


def stamp(watch: WatchedFolder) -> str:
    """Return a text that changes when a file of the folder (or the label file) is added, deleted or changed."""
    seen = hashlib.sha256()
    for path in _files(Path(watch.folder)):
        _add(seen, path)
    if watch.labels is not None:
        _add(seen, Path(watch.labels))
    return seen.hexdigest()


def _files(folder: Path) -> list[Path]:
    found = [Path(top) / name for top, _, names in os.walk(folder) for name in names if not name.startswith(".")]
    return sorted(found)


def _add(seen: Any, path: Path) -> None:
    try:
        facts = path.stat()
    except OSError:
        return  # just deleted; the next check shows it
    seen.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode(errors="surrogateescape"))


def import_now(store: Store, watch: WatchedFolder) -> dict[str, Any]:
    """Import from a watched folder; return the report, which is stored in its record.

    Its fields: `at`, `listing`, `seconds`, and either `error`, or `version`, `changed`, `accepted`, `rejected`,
    `ignored`, `notes`.
    """
    from workflows.data.columns import Columns
    from workflows.data.importing import add_dataset
    from workflows.data.sources import Reading

    listing, start = stamp(watch), time.monotonic()
    report: dict[str, Any] = {"at": now().isoformat(), "listing": listing}
    try:
        done = add_dataset(
            store,
            watch.dataset,
            Path(watch.folder),
            labels=Path(watch.labels) if watch.labels else None,
            reading=Reading(columns=Columns(watch.filename_column, watch.label_column), unlabelled=watch.unlabelled),
            author=f"watched folder {watch.id}",
        )
    except FieldguideError as error:
        report |= error.document()
    else:
        counts = {"accepted": done.accepted, "rejected": done.rejected, "ignored": done.ignored}
        report |= {"version": done.version.number, "changed": done.changed, **counts, "notes": list(done.notes)}
    report["seconds"] = round(time.monotonic() - start, 2)
    store.watched.update(watch.id, last_report=report, last_seen_at=now())
    return report


class Watcher:
    """Checks the folders in turn; one import at a time."""

    def __init__(self, store: Store, studio: ProcessIdentity) -> None:
        self._store, self._studio = store, studio
        self._looks: dict[str, tuple[float, str]] = {}
        self._import: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Check the folders that are due, and import from the first that is quiet and has changed."""
        if self._import is not None and self._import.poll() is None:
            return
        for watch in self._store.watched.list():
            if not watch.paused and self._is_ready(watch):
                self._import = start_import(self._store, watch.id, self._studio)
                return

    def _is_ready(self, watch: WatchedFolder) -> bool:
        """Return whether there is something new, and writing has ended."""
        moment = time.monotonic()
        when, before = self._looks.get(watch.id, (float("-inf"), ""))
        known = (watch.last_report or {}).get("listing", "")
        # something was new at the last check: then the next one comes soon
        pause = QUIET_SECONDS if before and before != known else watch.every_seconds
        if moment - when < pause:
            return False
        found = stamp(watch) if Path(watch.folder).is_dir() else ""
        self._looks[watch.id] = (moment, found)
        self._store.watched.update(watch.id, last_seen_at=now())
        return bool(found) and found == before and found != known and bool(_files(Path(watch.folder)))

    def stop(self) -> None:
        """End a running import; that is safe at any time, and the next studio starts it again."""
        if self._import is not None and self._import.poll() is None:
            self._import.terminate()
            try:
                self._import.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._import.kill()


def start_import(store: Store, watch_id: str, studio: ProcessIdentity) -> subprocess.Popen[bytes]:
    """Start to import from a watched folder, in a process that ends with the studio. Raises OSError."""
    log = store.home / "logs" / "watching.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return start_job("flows.watching", watch_id, "--studio", str(studio), log=log)


def main() -> int:
    """Import from one watched folder."""
    chosen = arguments("flows.watching", "watch").parse_args()
    exit_with(chosen.studio)
    os.nice(NICENESS)
    store = Store()
    report = import_now(store, store.watched.get(chosen.watch))
    return 1 if "error" in report else 0


if __name__ == "__main__":
    sys.exit(main())

"""Watched folders: what appears in them is imported once nobody writes there any more.

A folder is quiet when two looks in succession find the same files, of the same size and time. Each import runs in a
process of its own (`python -m flows.watching WATCH`), because a large one takes long; what came of it is kept with
the record of the folder. Files that vanish from the folder stay in the data set.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from flows.leash import Mark, follow
from flows.service import arguments
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
    unlabelled: bool = False,
    every_seconds: int = 60,
) -> WatchedFolder:
    """Have the new files of a folder imported into a data set (a new one if there is none of this name).

    Args:
        store: where everything is kept.
        dataset: the data set's name.
        folder: with a sub-folder for each class, or with images that `labels` names, or `unlabelled`.
        labels: a label file, e.g. CSV with the columns `filename` and `label`; it may grow with the folder.
        unlabelled: the images come without labels, to be labelled in the studio.
        every_seconds: how often to look; at least 2.

    Raises:
        UsageError: the folder is not there or is the studio's own, or is watched for this data set already.
    """
    from workflows.data.importing import check_name

    check_name(dataset)
    place = Path(folder).expanduser().resolve()
    if not place.is_dir():
        raise UsageError(f"{place} is no folder.", "Make it first; it may be empty.")
    if place.is_relative_to(store.home) or store.home.is_relative_to(place):
        raise UsageError(f"{place} holds the studio's own files.", "Watch another folder.")
    if labels is not None and unlabelled:
        raise UsageError("A label file for images without labels?", "Give either --labels or --unlabelled.")
    if every_seconds < SHORTEST_SECONDS:
        raise UsageError(f"The shortest interval is {SHORTEST_SECONDS} s.")
    file = str(Path(labels).expanduser().resolve()) if labels is not None else None
    return store.watched.add(dataset, str(place), labels=file, unlabelled=unlabelled, every_seconds=every_seconds)


def stamp(watch: WatchedFolder) -> str:
    """Return what changes when a file of the folder (or the label file) comes, goes, grows or is written anew."""
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
        return  # it has just gone; the next look shows
    seen.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode(errors="surrogateescape"))


def import_now(store: Store, watch: WatchedFolder) -> dict[str, Any]:
    """Import what lies in a watched folder; return the report, which is kept with its record.

    Its fields: `at`, `listing`, `seconds`, and either `error`, or `version`, `changed`, `accepted`, `rejected`,
    `ignored`, `notes`.
    """
    from workflows.data.importing import add_dataset

    listing, start = stamp(watch), time.monotonic()
    report: dict[str, Any] = {"at": now().isoformat(), "listing": listing}
    try:
        done = add_dataset(
            store,
            watch.dataset,
            Path(watch.folder),
            labels=Path(watch.labels) if watch.labels else None,
            unlabelled=watch.unlabelled,
            author=f"watched folder {watch.id}",
        )
    except FieldguideError as error:
        report |= {"error": error.message, "hint": error.hint}
    else:
        counts = {"accepted": done.accepted, "rejected": done.rejected, "ignored": done.ignored}
        report |= {"version": done.version.number, "changed": done.changed, **counts, "notes": list(done.notes)}
    report["seconds"] = round(time.monotonic() - start, 2)
    store.watched.update(watch.id, last_report=report, last_seen_at=now())
    return report


class Watcher:
    """Looks at the folders in turn; one import at a time."""

    def __init__(self, store: Store, studio: Mark) -> None:
        self._store, self._studio = store, studio
        self._looks: dict[str, tuple[float, str]] = {}
        self._import: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Look at those folders whose time has come, and import from the first that is quiet and has changed."""
        if self._import is not None and self._import.poll() is None:
            return
        for watch in self._store.watched.list():
            if not watch.paused and self._is_ready(watch):
                self._start(watch)
                return

    def _is_ready(self, watch: WatchedFolder) -> bool:
        """Return whether there is something new, and nobody writes it any more."""
        moment = time.monotonic()
        when, before = self._looks.get(watch.id, (float("-inf"), ""))
        known = (watch.last_report or {}).get("listing", "")
        # something was new at the last look: then the next one comes soon
        pause = QUIET_SECONDS if before and before != known else watch.every_seconds
        if moment - when < pause:
            return False
        found = stamp(watch) if Path(watch.folder).is_dir() else ""
        self._looks[watch.id] = (moment, found)
        self._store.watched.update(watch.id, last_seen_at=now())
        return bool(found) and found == before and found != known and bool(_files(Path(watch.folder)))

    def _start(self, watch: WatchedFolder) -> None:
        log = self._store.home / "logs" / "watching.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", "flows.watching", watch.id, "--studio", str(self._studio)]
        with log.open("ab") as output:
            self._import = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def stop(self) -> None:
        """End an import under way; it is safe to end at any moment, and begun again by the next studio."""
        if self._import is not None and self._import.poll() is None:
            self._import.terminate()
            try:
                self._import.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._import.kill()


def main() -> int:
    """Import from one watched folder."""
    chosen = arguments("flows.watching", "watch").parse_args()
    follow(chosen.studio)
    os.nice(NICENESS)
    store = Store()
    report = import_now(store, store.watched.get(chosen.watch))
    return 1 if "error" in report else 0


if __name__ == "__main__":
    sys.exit(main())

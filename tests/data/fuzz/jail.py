"""Imports one source after the other and watches itself: what it opens, starts, and how much memory it takes.

Run as `python -m tests.data.fuzz.jail CASES OUTCOMES`: both are files of one JSON document in each line. An outcome
is written as soon as it is known, so that the case that kills the process is the one without an outcome.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

HOME = Path(os.environ["FIELDGUIDE_HOME"])
MAY_WRITE = tuple(f"{Path(folder).resolve()}{os.sep}" for folder in (HOME, os.environ["TMPDIR"]))
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
PATHS_OF: dict[str, tuple[tuple[int, int | None], ...]] = {
    # positions of each path, and of the open folder that it is relative to
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "shutil.rmtree": ((0, None),),
    "sqlite3.connect": ((0, None),),
}
FORBIDDEN = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "pickle.find_class",
)
violations: list[str] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what an import must not do."""
    if event in FORBIDDEN:
        violations.append(f"{event} {arguments!r:.200}")
    elif event == "open":
        path, mode, flags = arguments
        writes = any(letter in mode for letter in "wxa+") if isinstance(mode, str) else bool(flags & WRITES)
        if writes:
            _check(event, path)
    else:
        for position, folder in PATHS_OF.get(event, ()):
            _check(event, arguments[position], -1 if folder is None else arguments[folder])


def _check(event: str, path: Any, folder: int = -1) -> None:
    if isinstance(path, int) or path in (":memory:", os.devnull):
        return  # already open, or nothing
    below = Path(f"/proc/self/fd/{folder}") if folder >= 0 else Path()
    name = below / os.fsdecode(path)
    place = name.parent.resolve() / name.name  # the last part may be a link, which is what is made or removed
    if not f"{place}{os.sep}".startswith(MAY_WRITE):
        violations.append(f"{event} {str(place)!r:.200}")


def run(number: int, case: dict[str, str | None]) -> dict[str, Any]:
    """Import one source; whatever is no FieldguideError is a fault."""
    from workflows.data.images import read_rgb
    from workflows.data.importing import add_dataset
    from workflows.errors import FieldguideError
    from workflows.store.store import Store

    violations.clear()
    outcome: dict[str, Any] = {"name": case["name"]}
    start = time.monotonic()
    try:
        store, labels = Store(), case["labels"]
        report = add_dataset(store, f"set-{number}", Path(str(case["source"])), labels=Path(labels) if labels else None)
        table = report.version.table()
        for sha256 in set(table["sha256"]):
            read_rgb(store.blobs.path(sha256))  # what is accepted can be used
        document = report.to_dict()
        outcome |= {key: document[key] for key in ("total", "accepted", "rejected", "ignored", "entries")}
        outcome["images"] = len(table)
    except FieldguideError as error:
        outcome |= {"refused": type(error).__name__, "message": error.message}
    except BaseException:  # noqa: BLE001 - whatever it is, it is what this looks for
        outcome["traceback"] = traceback.format_exc()
    outcome["seconds"] = time.monotonic() - start
    outcome["peak_mb"] = peak_megabytes()
    outcome["violations"] = list(violations)
    return outcome


def peak_megabytes() -> float:
    """Return the most memory that this process has had; getrusage would count the parent's before the start, too."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(cases: Path, outcomes: Path) -> None:
    """Run all cases; the first one is sound, and loads all libraries before the watch begins."""
    with outcomes.open("w", encoding="utf-8") as answer:
        for number, line in enumerate(cases.read_text(encoding="utf-8").splitlines()):
            outcome = run(number, json.loads(line))
            answer.write(json.dumps(outcome) + "\n")
            answer.flush()
            if number == 0:
                sys.addaudithook(watch)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

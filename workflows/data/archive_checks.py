"""What an archive must fulfil before any of it is unpacked.

An archive is somebody's word: names may lead outside, lengths may lie, a few kilobytes may hold gigabytes.
All names and declared sizes are judged first, and one bad entry refuses the whole archive, because whoever
packed it did not pack photographs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workflows.data.folders import MAX_DEPTH, is_table, unwanted_name
from workflows.errors import SourceError
from workflows.store.names import printable

MAX_ENTRIES = 100_000
MAX_BYTES = 20 * 1024**3
MAX_RATIO = 100
MAX_NAME_BYTES = 200
MAX_PATH_BYTES = 1000  # with the workspace before it, below the 4,096 that systems allow
MAX_TABLE_BYTES = 64 * 1024**2
HARMLESS_BYTES = 16 * 1024**2  # below this, no ratio does harm: a few plain pictures shrink to nearly nothing
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class ArchiveEntry:
    """One entry as an archive announces it.

    Attributes:
        name: exactly as it stands there.
        size: declared length in bytes.
        folder: whether it is a folder.
        fault: what makes it impossible (a link, encrypted, …), in words that follow its name; empty = nothing.
    """

    name: str
    size: int
    folder: bool = False
    fault: str = ""


@dataclass
class Plan:
    """What to unpack.

    Attributes:
        wanted: index of the entry -> its place below the target folder, in Unicode's composed form.
        ignored: (name, reason) of the entries left out.
        folders: all folders, made or implied.
        size: declared bytes of what is wanted.
    """

    wanted: dict[int, str] = field(default_factory=dict)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    size: int = 0


def refusal(archive: Path, reason: str, entry: str | None = None) -> SourceError:
    """Return the error that refuses an archive, because of one entry or as a whole."""
    which = "" if entry is None else f" entry {_shown(entry)}"
    return SourceError(f"{archive.name} is refused:{which} {reason}.", "Pack the photos anew; nothing was unpacked.")


def _shown(name: str) -> str:
    text = printable(name)
    return repr(text if len(text) <= 120 else f"{text[:80]}…{text[-30:]}")


def plan(archive: Path, entries: Sequence[ArchiveEntry], packed: int) -> Plan:
    """Check every entry of an archive and choose what to unpack: images, and tables that may hold labels.

    Args:
        packed: the archive's own size in bytes.

    Raises:
        SourceError: an entry that must not be, or too much of everything; it names the entry.
    """
    check_total(archive, sum(entry.size for entry in entries), packed)
    chosen = Plan()
    taken: dict[str, str] = {}
    for index, entry in enumerate(entries):
        relative = _checked_name(archive, entry)
        parents = relative.split("/")[: None if entry.folder else -1]
        chosen.folders.update("/".join(parents[: depth + 1]) for depth in range(len(parents)) if parents[depth])
        if entry.folder:
            continue
        key = _key(relative)
        if key in taken:
            raise refusal(archive, f"stands there twice (also as {_shown(taken[key])})", entry.name)
        taken[key] = entry.name
        _choose(index, entry, relative, chosen)
    if len(taken) > MAX_ENTRIES:
        raise refusal(archive, f"it holds {len(taken):,} files; {MAX_ENTRIES:,} are allowed")
    for folder in chosen.folders:
        if _key(folder) in taken:
            raise refusal(archive, "is a file and a folder at once", taken[_key(folder)])
    chosen.folders = {folder for folder in chosen.folders if not any(_folder_faults(folder))}
    return chosen


def check_total(archive: Path, size: int, packed: int) -> None:
    """Check how much an archive of `packed` bytes unpacks to.

    Raises:
        SourceError: more than 20 GB, or more than a hundred times its own size.
    """
    if size > MAX_BYTES:
        raise refusal(archive, f"it unpacks to more than {MAX_BYTES / 1024**3:g} GB")
    if size > HARMLESS_BYTES and size > MAX_RATIO * packed:
        raise refusal(archive, f"it unpacks to more than {MAX_RATIO} times its size")


def _checked_name(archive: Path, entry: ArchiveEntry) -> str:
    fault = entry.fault or _name_fault(entry.name) or ("has a length below zero" if entry.size < 0 else "")
    if fault:
        raise refusal(archive, fault, entry.name)
    parts = [part for part in entry.name.split("/") if part not in ("", ".")]
    relative = unicodedata.normalize("NFC", "/".join(parts))
    if len(parts) - (not entry.folder) > MAX_DEPTH:
        raise refusal(archive, f"lies deeper than {MAX_DEPTH} folders", entry.name)
    sizes = [len(part.encode("utf-8", "surrogateescape")) for part in relative.split("/")]
    if max(sizes) > MAX_NAME_BYTES or sum(sizes) + len(sizes) > MAX_PATH_BYTES:
        raise refusal(archive, f"has a name that is too long ({MAX_NAME_BYTES} bytes are allowed)", entry.name)
    if not relative and not entry.folder:
        raise refusal(archive, "has no name", entry.name)
    return relative


def _name_fault(name: str) -> str:
    if "\0" in name:
        return "has a NUL character in its name"
    if name.startswith("/"):
        return "has an absolute path"
    if _DRIVE.match(name):
        return "has a path with a drive"
    if "\\" in name:
        return "has a backslash in its name"
    return "leads outside" if ".." in name.split("/") else ""


def _key(relative: str) -> str:
    """Return what is equal for names that some system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", relative).casefold())


def _choose(index: int, entry: ArchiveEntry, relative: str, chosen: Plan) -> None:
    folder, _, name = relative.rpartition("/")
    reason = next((fault for fault in _folder_faults(folder) if fault), "") or unwanted_name(name, folder=False)
    table = is_table(name) and not any(_folder_faults(folder))
    if reason and not (table and entry.size <= MAX_TABLE_BYTES):
        chosen.ignored.append((printable(relative), reason))
    else:
        chosen.wanted[index] = relative
        chosen.size += entry.size


def _folder_faults(folder: str) -> list[str]:
    return [unwanted_name(part, folder=True) for part in folder.split("/")] if folder else []

"""What is checked of an archive before any of it is unpacked.

An archive can't be trusted: names may lead outside, lengths may lie, a few kilobytes may expand to gigabytes.
All names and declared sizes are checked first, and one bad entry rejects the whole archive, because whoever
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
_PACK_ANEW = "Create the archive again; nothing was unpacked."
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class ArchiveEntry:
    """One entry as declared by an archive.

    Attributes:
        name: exactly as in the archive.
        size: declared length in bytes.
        folder: whether it is a folder.
        fault: why it is rejected (a link, encrypted, …), as a phrase that follows its name; empty = no fault.
        separators: path separators: `/`, and in a zip also the backslash that programs on Windows write.
    """

    name: str
    size: int
    folder: bool = False
    fault: str = ""
    separators: str = "/"

    @property
    def path(self) -> str:
        """The name with `/` as the only separator: this is what is checked and unpacked."""
        return self.name.replace("\\", "/") if "\\" in self.separators else self.name


@dataclass
class Plan:
    """What to unpack.

    Attributes:
        wanted: index of the entry -> its place below the target folder, in Unicode's composed form.
        ignored: (name, reason) of the entries left out.
        folders: all folders, explicit or implied.
        size: declared bytes of what is wanted.
    """

    wanted: dict[int, str] = field(default_factory=dict)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    size: int = 0


def refusal(archive: Path, reason: str, entry: str | None = None) -> SourceError:
    """Return the error that rejects an archive, because of one entry or as a whole."""
    which = "" if entry is None else f" entry {_shown(entry)}"
    return SourceError(f"{archive.name} was rejected:{which} {reason}.", _PACK_ANEW)


def _shown(name: str) -> str:
    text = printable(name)
    return repr(text if len(text) <= 120 else f"{text[:80]}…{text[-30:]}")


def plan(archive: Path, entries: Sequence[ArchiveEntry], packed: int) -> Plan:
    """Check every entry of an archive and choose what to unpack: images, and tables that may hold labels.

    Args:
        packed: the archive's own size in bytes.

    Raises:
        SourceError: a forbidden entry, or too many or too large entries; it names the entry.
    """
    check_total(archive, sum(entry.size for entry in entries), packed)
    chosen = Plan()
    taken: dict[str, str] = {}
    faults: list[tuple[str, str]] = []
    for index, entry in enumerate(entries):
        relative, fault = _checked_name(entry)
        if fault:
            faults.append((entry.name, fault))
            continue
        parents = relative.split("/")[: None if entry.folder else -1]
        chosen.folders.update("/".join(parents[: depth + 1]) for depth in range(len(parents)) if parents[depth])
        if entry.folder:
            continue
        key = _key(relative)
        if key in taken:
            faults.append((entry.name, f"occurs twice (also as {_shown(taken[key])})"))
            continue
        taken[key] = entry.name
        _choose(index, entry, relative, chosen)
    if len(taken) > MAX_ENTRIES:
        raise refusal(archive, f"it holds {len(taken):,} files; at most {MAX_ENTRIES:,} are allowed")
    both = {_key(folder) for folder in chosen.folders} & taken.keys()
    faults += [(taken[key], "is both a file and a folder") for key in sorted(both)]
    _refuse_faulty(archive, faults)
    chosen.folders = {folder for folder in chosen.folders if not any(_folder_faults(folder))}
    return chosen


def _refuse_faulty(archive: Path, faults: Sequence[tuple[str, str]]) -> None:
    if len(faults) == 1:
        raise refusal(archive, faults[0][1], faults[0][0])
    if faults:
        raise SourceError(
            f"{archive.name} was rejected because of {len(faults):,} of its entries:",
            _PACK_ANEW,
            problems=[f"{_shown(name)} {fault}" for name, fault in faults],
        )


def check_total(archive: Path, size: int, packed: int) -> None:
    """Check how much an archive of `packed` bytes unpacks to.

    Raises:
        SourceError: more than 20 GB, or more than a hundred times its own size.
    """
    if size > MAX_BYTES:
        raise refusal(archive, f"it unpacks to more than {MAX_BYTES / 1024**3:g} GB")
    if size > HARMLESS_BYTES and size > MAX_RATIO * packed:
        raise refusal(archive, f"it unpacks to more than {MAX_RATIO} times its size")


def _checked_name(entry: ArchiveEntry) -> tuple[str, str]:
    """Return an entry's place below the target folder, and what is wrong with it (empty = nothing)."""
    fault = entry.fault or _name_fault(entry.path) or ("has a negative length" if entry.size < 0 else "")
    if fault:
        return "", fault
    parts = [part for part in entry.path.split("/") if part not in ("", ".")]
    relative = unicodedata.normalize("NFC", "/".join(parts))
    if len(parts) - (not entry.folder) > MAX_DEPTH:
        return "", f"is nested deeper than {MAX_DEPTH} folders"
    sizes = [len(part.encode("utf-8", "surrogateescape")) for part in relative.split("/")]
    if max(sizes) > MAX_NAME_BYTES or sum(sizes) + len(sizes) > MAX_PATH_BYTES:
        return "", f"has a name that is too long ({MAX_NAME_BYTES} bytes are allowed)"
    return relative, "" if relative or entry.folder else "has no name"


def _name_fault(path: str) -> str:
    if "\0" in path:
        return "has a NUL character in its name"
    if path.startswith("/"):
        return "has an absolute path"
    if _DRIVE.match(path):
        return "has a path with a drive"
    if "\\" in path:  # a letter like any other on one system, the end of a folder's name on another
        return "has a backslash in its name, which may or may not separate folders"
    return "leads outside the archive" if ".." in path.split("/") else ""


def _key(relative: str) -> str:
    """Return a key that is equal for names that some file system treats as one."""
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

"""A table next to images that may hold their labels, but is not recognised as a label file."""

from __future__ import annotations

import codecs
import re
import shlex
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workflows.data.folders import Listing

_ENDS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml")
_MOST_BYTES = 256 * 1024  # of each table: enough to see whether it lists the images
_MOST_TABLES = 50
_BETWEEN = re.compile(r"[\s,;|\"'<>=:/\\]+")


@dataclass(frozen=True)
class TableBeside:
    """A table that may be the label file.

    Attributes:
        place: its path in the source.
        labels: what to give as the label file: its path, or its path in the archive.
        images: how many of the images it lists.
    """

    place: str
    labels: str
    images: int

    @property
    def advice(self) -> str:
        """What to do with it."""
        return (
            f"{self.place} next to the images lists {self.images:,} of them. If it holds their labels, give it as the "
            f"label file: --labels {shlex.quote(self.labels)}"
        )


def table_beside(source: Path, listing: Listing) -> TableBeside | None:
    """Return the table next to the images that lists most of them, if there is one."""
    names = {file.relative.rpartition("/")[2] for file in listing.files}
    stems = {name.rpartition(".")[0] for name in names}
    counts = [(_named_images(path, names, stems), place, path) for place, path in _tables(source, listing)]
    number, place, path = max(counts, default=(0, "", Path()), key=lambda found: found[0])
    if number < min(2, len(names)):
        return None
    return TableBeside(place, str(path) if source.is_dir() else f"{listing.cut}{place}", number)


def _tables(source: Path, listing: Listing) -> Iterator[tuple[str, Path]]:
    """Yield the files that may be tables: their paths in the source, and on the disk."""
    known = {table.relative: table.path for table in listing.tables}
    others = {place: source / place for place, _ in listing.ignored if place not in known and source.is_dir()}
    places = sorted(place for place in {**others, **known} if place.lower().endswith(_ENDS) and place.count("/") < 2)
    for place in places[:_MOST_TABLES]:  # the advice names a single table, so a limit does no harm
        yield place, known.get(place) or others[place]


def _named_images(table: Path, names: set[str], stems: set[str]) -> int:
    """Return how many images a table's beginning lists, with or without their suffixes."""
    try:
        if not stat.S_ISREG(table.lstat().st_mode):
            return 0
        with table.open("rb") as stream:
            content = stream.read(_MOST_BYTES)
    except OSError:  # reported elsewhere
        return 0
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if wide else "utf-8", errors="replace")
    words = set(_BETWEEN.split(unicodedata.normalize("NFC", text)))
    return len(words & names) or len(words & stems)

"""Finding the files listed in a label file, even if their names are written differently."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from workflows.data.folders import IMAGE_SUFFIXES
from workflows.data.label_files import SPLIT_NAMES
from workflows.data.version import Split
from workflows.store.names import counted

_UPLOAD_MARK = re.compile(r"^[0-9a-f]{8}-")
_HINTS = 20
_COMPARED = 5000  # names; searching for a similar one takes time

_CASE = "{} matched ignoring case."
_STEM = "{} matched without the suffix (such as .jpg), which the label file leaves out."
_BELOW = "{} matched in the folder {!r}, which contains all images."
_ALONE = "{} matched without the folder given in the label file."


class Places:
    """Finds the files listed in a label file; counts the differences ignored to find them."""

    def __init__(
        self, files: Iterable[str], prefixes: Sequence[str] = (), *, loose: bool = False, joined: bool = False
    ) -> None:
        """Index the files.

        Args:
            files: the paths of all images.
            prefixes: folders that names may begin with, although the files' paths don't; with `/`.
            loose: a name may be only the end of a file's path, or a longer path that ends like it.
            joined: a name's folder may mean something else.
        """
        self.files = frozenset(files)
        self._prefixes, self._loose, self._joined = prefixes, loose, joined
        self._common = "" if loose else _common_folder(self.files)
        self._passed: Counter[str] = Counter()
        self._hints = 0
        self._ends: dict[str, list[str]] = defaultdict(list)
        self._stems: dict[str, list[str]] = defaultdict(list)
        self._stem_ends: dict[str, list[str]] = defaultdict(list)
        self._folded: dict[str, list[str]] = defaultdict(list)
        for place in sorted(self.files):
            self._ends[place.rpartition("/")[2] if loose else ""].append(place)
            self._stems[_stem(place)].append(place)
            self._stem_ends[_stem(place).rpartition("/")[2] if loose else ""].append(place)
            self._folded[place.casefold()].append(place)
        self._folded_stems: dict[str, list[str]] = defaultdict(list)
        for stem, places in self._stems.items():
            self._folded_stems[stem.casefold()] += places

    def find(self, name: str, split: Split | None = None) -> tuple[str, str]:
        """Return the file's path (or the name itself, if there is no such file), and why it is ambiguous.

        Args:
            split: of the image, if known: of several files with the name, the one in a folder of this split is meant.
        """
        unclear = ""
        for candidate, how in self._candidates(name):
            place, unclear, ways = self._written_otherwise(candidate)
            if place:
                self._passed.update({*ways, *how})
                return place, ""
            if unclear:
                return name, unclear
        by_end = (self._by_end(name, split) or self._by_end(_uploaded(name), split)) if self._loose else None
        return by_end or self._below_split(name) or (name, "")

    def _below_split(self, name: str) -> tuple[str, str] | None:
        """Find an image whose name has its split as a folder, where the files have no such folders."""
        head, _, rest = name.partition("/")
        split = SPLIT_NAMES.get(head)
        return self._by_end(rest, split) if self._loose and split and rest else None

    def _candidates(self, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield what a name may mean, the likeliest first, and the differences ignored."""
        yield name, ()
        for prefix in self._prefixes:
            if name.startswith(prefix):
                yield name.removeprefix(prefix), ()
        if self._common:
            yield f"{self._common}{name}", (_BELOW,)
        if self._joined and "/" in name:
            yield name.rpartition("/")[2], (_ALONE,)

    def _written_otherwise(self, name: str) -> tuple[str, str, tuple[str, ...]]:
        """Return the single file that a name fits, why it is ambiguous, and the differences ignored."""
        if name in self.files:
            return name, "", ()
        bare = _is_bare(name)
        fold = name.casefold()
        for places, ways in (
            (self._stems.get(name, []) if bare else [], (_STEM,)),
            (self._folded.get(fold, []), (_CASE,)),
            (self._folded_stems.get(fold, []) if bare else [], (_STEM, _CASE)),
        ):
            if len(places) > 1:
                return "", f"several files have this name, e.g. {places[0]} and {places[1]}", ()
            if places:
                return places[0], "", ways
        return "", "", ()

    def _by_end(self, name: str, split: Split | None) -> tuple[str, str] | None:
        end = name.rpartition("/")[2]
        alike = self._ends.get(end, [])
        longer = [place for place in alike if f"/{place}".endswith(f"/{name}")]
        if not longer and _is_bare(name):  # as FiftyOne and Open Images list images
            longer = [place for place in self._stem_ends.get(end, []) if f"/{_stem(place)}".endswith(f"/{name}")]
        if split:  # never one of another split, even if it is the only one with the name
            longer = [place for place in longer if _splits_in(place) <= {split}]
            longer = [place for place in longer if _splits_in(place)] or longer
        if len(longer) > 1:
            return name, f"several files have this name, e.g. {longer[0]} and {longer[1]}"
        shorter = sorted((place for place in alike if name.endswith(f"/{place}")), key=len)
        place = next(iter(longer or shorter[-1:]), None)
        return (place, "") if place else None

    def hint(self, name: str) -> str:
        """Return a similar file for a name without a match, as the end of a sentence; empty if there is none."""
        if self._hints >= _HINTS or len(self.files) > _COMPARED:
            return ""
        self._hints += 1
        # IMG_0008 does not mean IMG_0007
        ends = {place.rpartition("/")[2]: place for place in self.files if _digits(place) == _digits(name)}
        near = difflib.get_close_matches(name.rpartition("/")[2], ends, n=1, cutoff=0.8)
        return f"; did you mean {ends[near[0]]}?" if near else ""

    def notes(self) -> list[str]:
        """Return notes on the differences ignored."""
        return [
            way.format(counted(number, "name"), self._common.rstrip("/"))
            for way in (_BELOW, _STEM, _CASE, _ALONE)
            if (number := self._passed[way])
        ]


def _digits(place: str) -> str:
    return re.sub(r"\D", "", place.rpartition("/")[2])


def _splits_in(place: str) -> set[Split]:
    """Return the splits that folders of a path are named after."""
    return {SPLIT_NAMES[part] for part in place.lower().split("/")[:-1] if part in SPLIT_NAMES}


def _is_bare(name: str) -> bool:
    """Return whether a name lacks an image suffix."""
    return name[len(_stem(name)) :].lower() not in IMAGE_SUFFIXES


def _stem(place: str) -> str:
    return os.path.splitext(place)[0]  # noqa: PTH122 - no Path for each of 100,000


def _common_folder(files: Iterable[str]) -> str:
    """Return the folder that contains all files, with `/`; empty if that is the source itself."""
    folders = {place.rpartition("/")[0] for place in files}
    common = os.path.commonpath(folders) if folders else ""
    return f"{common}/" if common else ""


def _uploaded(name: str) -> str:
    """Return a name without the prefix of eight hex digits that Label Studio adds."""
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{_UPLOAD_MARK.sub('', file)}"

"""Names of data sets: the one that a data set is made under, which is its id for good, and the title that people give it.

Folders, runs, schedules, models and reviews hold the id, so a new title breaks none of them.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from workflows.data.catalog import get_version
from workflows.errors import UsageError
from workflows.store.marks import Mark
from workflows.store.names import slug
from workflows.store.store import Store

_NAME = re.compile(r"\w[\w.-]{0,63}")
_ARCHIVE_SUFFIXES = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|(tar\.)?(gz|bz2|xz))$", re.IGNORECASE)


def check_name(name: str) -> None:
    """Check that `name` is a valid name of a data set (it becomes a folder name).

    Raises:
        UsageError: it is not.
    """
    if not _NAME.fullmatch(name) or name != unicodedata.normalize("NFC", name):
        raise UsageError(
            f"{name!r} is not a valid data set name.",
            "Use up to 64 letters, digits, and - _ . inside, e.g. 'flowers-2026'.",
        )


def refuse_twin(store: Store, name: str) -> None:
    """Check that no other data set has this name in another case, or as its title.

    Raises:
        UsageError: one has.
    """
    # on a case-insensitive file system, both would have the same folder
    for other in store.datasets.list():
        if other.name != name and other.name.casefold() == name.casefold():
            raise UsageError(
                f"A data set {other.name!r} exists already: names must differ by more than case.",
                f"Use {other.name!r}, or another name.",
            )
    taken = _titled(store, name, besides=name)
    if taken is not None and store.datasets.get(name) is None:
        raise UsageError(f"Data set {taken!r} is called {name!r}.", f"Use {taken!r}, or another name.")


def give_title(store: Store, name: str, title: str) -> Mark:
    """Call a data set something else in lists and commands; its id stays, and so does all that refers to it.

    Args:
        name: its id.
        title: empty to go back to the id.

    Raises:
        DatasetError: there is no such data set.
        UsageError: another data set has this name, or it is too long.
    """
    get_version(store, name)
    wanted = " ".join(title.split())
    if wanted.casefold() == name.casefold():
        wanted = ""
    others = {other.name.casefold(): other.name for other in store.datasets.list() if other.name != name}
    taken = others.get(wanted.casefold()) or _titled(store, wanted, besides=name)
    if wanted and taken:
        raise UsageError(f"Data set {taken!r} is called {wanted!r} already.", "Choose another name.")
    return store.marks.change("dataset", name, title=wanted)


def dataset_called(store: Store, text: str) -> str:
    """Return the id of the data set with this id or title; the text itself if there is none."""
    return text if store.datasets.get(text) is not None else _titled(store, text) or text


def _titled(store: Store, title: str, besides: str = "") -> str | None:
    titles = store.marks.titles("dataset")
    wanted = " ".join(title.split()).casefold()
    return next((name for name, each in titles.items() if each.casefold() == wanted and name != besides), None)


def claim_name(store: Store, source: Path) -> str:
    """Return the name of the data set that mirrors a source; it is recorded, so that no other source gets it."""
    own = source.resolve().name
    stem, number = slug(_ARCHIVE_SUFFIXES.sub("", own) if source.is_file() else own), 1
    name = stem
    while _titled(store, name) or store.datasets.claim(name, str(source)).source != str(source):
        number += 1
        name = f"{stem}-{number}"
    return name

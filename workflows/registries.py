"""What can be brought from outside: kinds of nodes, of labels, of networks. One registry class for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from workflows.errors import FieldguideError

Entry = TypeVar("Entry")
"""Has a `name`."""


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries by name: Fieldguide's own first, then those that installed packages bring. Loaded on first use.

    Reading it raises the registry's error if a package brings what can't be loaded, or a name that is taken.
    """

    def __init__(
        self,
        noun: str,
        group: str,
        type_: type[Entry],
        built_in: Callable[[], Iterable[Entry]],
        error: type[FieldguideError],
    ) -> None:
        """Describe the registry.

        Args:
            noun: what an entry is, for messages.
            group: the entry points of packages.
            type_: the class of entries.
            built_in: returns Fieldguide's own; called on first use, so that it may import.
            error: what is raised.
        """
        self._noun, self._group, self._type, self._built_in, self._error = noun, group, type_, built_in, error
        self._entries: dict[str, Entry] = {}
        self._loaded = self._loading = False
        self._lock = threading.RLock()

    def named(self, name: str) -> Entry:
        """Return the entry of this name. Raises the registry's error, with the names that there are."""
        self._load()
        if name not in self._entries:
            raise self._error(
                f"This Fieldguide has no {self._noun} {name!r}.",
                f"It has: {', '.join(self._entries)}. Update it, or install the package that brings it.",
            )
        return self._entries[name]

    def register(self, entry: Entry) -> None:
        """Add an entry. Raises the registry's error if its name is already used, or :meth:`check` refuses it."""
        self._load()
        self._add(entry)

    @contextmanager
    def registered(self, entry: Entry) -> Iterator[Entry]:
        """Have an entry within the `with` block."""
        self.register(entry)
        try:
            yield entry
        finally:
            del self._entries[_name_of(entry)]

    def check(self, entry: Entry) -> None:
        """Refuse an entry that can't be added, by raising the registry's error. For subclasses."""

    def __getitem__(self, name: str) -> Entry:
        self._load()
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._entries)

    def __len__(self) -> int:
        self._load()
        return len(self._entries)

    def _add(self, entry: Entry) -> None:
        name = _name_of(entry)
        if name in self._entries:
            raise self._error(f"The name of the {self._noun} {name!r} is already used.")
        self.check(entry)
        self._entries[name] = entry

    def _load(self) -> None:
        with self._lock:
            if self._loaded or self._loading:  # what is loaded may ask for what is there so far
                return
            self._loading = True
            try:
                for entry in self._built_in():
                    self._add(entry)
                for point in entry_points(group=self._group):
                    self._add(self._brought(point))
                self._loaded = True
            except BaseException:
                self._entries.clear()
                raise
            finally:
                self._loading = False

    def _brought(self, point: EntryPoint) -> Entry:
        """Load what a package brings."""
        package = point.dist.name if point.dist else point.value
        hint = f"Repair or remove the package {package}."
        try:
            entry = point.load()
        except Exception as error:
            words = f"The {self._noun} {point.name!r} of the package {package} can't be loaded: {error}."
            raise self._error(words, hint) from error
        if not isinstance(entry, self._type):
            raise self._error(f"{point.value} of the package {package} is not a {self._type.__name__}.", hint)
        return entry


def _name_of(entry: Any) -> str:
    return str(entry.name)

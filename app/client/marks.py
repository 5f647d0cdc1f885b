"""Titles, notes, tags and stars, as pages show and change them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from workflows.data.naming import give_title
from workflows.store.marks import Mark, Subject, version_key
from workflows.store.store import Store

__all__ = ["Mark", "Marks", "Subject", "version_key"]


class Marks:
    """What people have added to runs, data sets and versions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, subject: Subject, key: str) -> Mark:
        """Return the mark of one thing; an empty one if it has none."""
        return self._store.marks.get(subject, key)

    def tags(self, subject: Subject) -> list[str]:
        """Return all tags in use."""
        return self._store.marks.tags(subject)

    def called(self, subject: Subject) -> Callable[[str], str]:
        """Return what lists and choices call things: star, title, id and tags, which can all be searched by typing."""
        marks = self._store.marks.all(subject)
        return lambda key: in_words(key, marks)

    def words(self, subject: Subject) -> Callable[[str], str]:
        """Return star, title and tags of things by key; empty where there is nothing."""
        marks = self._store.marks.all(subject)
        return lambda key: marks[key].words if key in marks else ""

    def star(self, subject: Subject, key: str, starred: bool) -> None:
        """Set or remove the star."""
        self._store.marks.change(subject, key, starred=starred)

    def change(self, subject: Subject, key: str, title: str, note: str, tags: Sequence[str]) -> None:
        """Set title, note and tags.

        Raises:
            UsageError: something is too long, or another data set has this title.
        """
        if subject == "dataset":
            give_title(self._store, key, title)
            self._store.marks.change(subject, key, note=note, tags=tags)
        else:
            self._store.marks.change(subject, key, title=title, note=note, tags=tags)


def in_words(key: str, marks: Mapping[str, Mark]) -> str:
    """Return an id with what people have added before it."""
    mark = marks.get(key)
    if mark is None or not mark.words:
        return key
    return f"{mark.words}{' · ' if mark.title or mark.tags else ' '}{key}"

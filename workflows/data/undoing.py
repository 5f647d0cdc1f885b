"""Undo, redo and going back to any version. Nothing is lost: each makes a new version that equals an earlier one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workflows.data.catalog import get_version, list_versions
from workflows.data.publishing import locked, next_record, publish_record, reason_or
from workflows.data.version import Action, DatasetVersion
from workflows.errors import DatasetError
from workflows.store.store import Store


@dataclass(frozen=True)
class Timeline:
    """Where undo and redo lead from the newest version of a data set.

    Attributes:
        past: numbers of the versions whose content undo walks back through, oldest first; the last is the present.
        future: those whose content redo walks forward through; the next is the last.
        equals: number of each version that undo, redo or going back made -> the version that it equals.
    """

    past: tuple[int, ...]
    future: tuple[int, ...]
    equals: Mapping[int, int]


def timeline(versions: Sequence[DatasetVersion]) -> Timeline:
    """Return where undo and redo lead.

    What an undo went back to is recognised by its content: earlier releases wrote an undo of an undo, which is a redo.

    Args:
        versions: all versions of a data set, oldest first; at least one.
    """
    content = {version.number: version.fingerprint for version in versions}
    past: list[int] = []
    future: list[int] = []
    equals: dict[int, int] = {}
    for version in versions:
        walks = version.action in ("undo", "redo")
        if walks and len(past) > 1 and version.action == "undo" and content[past[-2]] == version.fingerprint:
            future.append(past.pop())
            equals[version.number] = past[-1]
        elif walks and future and content[future[-1]] == version.fingerprint:
            past.append(future.pop())
            equals[version.number] = past[-1]
        else:
            if version.action == "restore":
                equals[version.number] = next(each for each in content if content[each] == version.fingerprint)
            past.append(version.number)
            future.clear()
    return Timeline(tuple(past), tuple(future), equals)


def undo(store: Store, name: str, *, author: str | None = None, reason: str = "") -> DatasetVersion:
    """Take the last change back; again takes the change before it back.

    Raises:
        DatasetError: unknown data set, or nothing to undo.
        StorageError: the store's disk is full or can't be written.
    """
    with locked(store, name):
        past = timeline(list_versions(store, name)).past
        if len(past) < 2:
            raise DatasetError(
                f"There is nothing to undo: {name} is as it was first imported.",
                f"To be rid of it: fieldguide dataset delete {name}",
            )
        undone = get_version(store, name, past[-1])
        done = f"undid version {undone.number} ({undone.reason}): equals version {past[-2]}"
        return _repeat(store, name, past[-2], "undo", author, reason_or(reason, done))


def redo(store: Store, name: str, *, author: str | None = None, reason: str = "") -> DatasetVersion:
    """Make the change that was undone last again.

    Raises:
        DatasetError: unknown data set, or nothing was undone since the last change.
        StorageError: the store's disk is full or can't be written.
    """
    with locked(store, name):
        future = timeline(list_versions(store, name)).future
        if not future:
            raise DatasetError(
                f"There is nothing to redo: no change of {name} was undone since the last one.",
                f"To go back to any version: fieldguide dataset restore {name} VERSION",
            )
        again = get_version(store, name, future[-1])
        done = f"redid version {again.number} ({again.reason})"
        return _repeat(store, name, again.number, "redo", author, reason_or(reason, done))


def restore(store: Store, name: str, number: int, *, author: str | None = None, reason: str = "") -> DatasetVersion:
    """Go back to version `number`; the newest is returned as it is if it equals that one.

    Raises:
        DatasetError: unknown data set or version.
        StorageError: the store's disk is full or can't be written.
    """
    with locked(store, name):
        newest, wanted = get_version(store, name), get_version(store, name, number)
        if newest.fingerprint == wanted.fingerprint:
            return newest
        return _repeat(store, name, number, "restore", author, reason_or(reason, f"went back to version {number}"))


def _repeat(store: Store, name: str, number: int, action: Action, author: str | None, reason: str) -> DatasetVersion:
    """Make a version that equals version `number`."""
    before = get_version(store, name, number)
    listing = next(record.listing for record in store.datasets.versions(name) if record.number == number)
    table = before.table()
    record = next_record(
        store,
        name,
        table,
        action=action,
        reason=reason,
        author=author,
        parent=get_version(store, name).number,
        given_split=before.given_split,
        source=before.source,
        listing=listing,
    )
    return publish_record(store, record, table, ratios=before.ratios(), rendering=before.rendering())

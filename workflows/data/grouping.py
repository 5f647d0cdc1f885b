"""Which images belong together and must stay in one split: same animal, same plate, same camera burst."""

from __future__ import annotations

import re

from workflows.data.sources import Scan
from workflows.errors import UsageError


def groups_of(found: Scan, group_by: str | None) -> list[str | None]:
    """Return the group of each entry of a source (None = on its own).

    Args:
        found: the source; a note is added to it if some images have no group.
        group_by: a column of the label file; else a regular expression, searched in each relative path: what
            its first group matches (or all of it, if it has none) names the group.

    Raises:
        UsageError: not a regular expression, or it matches no image.
    """
    if group_by is None:
        return [None] * len(found.entries)
    if group_by in found.columns:
        groups = [entry.attributes.get(group_by) or None for entry in found.entries]
    else:
        groups = _by_pattern(found, group_by)
    single = sum(group is None for group in groups)
    if single == len(groups):
        columns = f" Columns of the label file: {', '.join(found.columns)}." if found.columns else ""
        raise UsageError(
            f"Grouping by {group_by!r} matches no image, e.g. {found.entries[0].relative!r}.",
            f"Give a regular expression that matches in the paths, e.g. '([a-z]+)_'.{columns}",
        )
    if single:
        found.notes.append(f"{single} of {len(groups)} images have no group by {group_by!r}; each is on its own.")
    return groups


def _by_pattern(found: Scan, group_by: str) -> list[str | None]:
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise UsageError(f"{group_by!r} is not a regular expression: {error}.", "Example: '([a-z]+)_'") from error
    first = min(1, pattern.groups)
    matches = (pattern.search(entry.relative) for entry in found.entries)
    return [match.group(first) or None if match else None for match in matches]

"""Why a file of a source is left out: the reasons in an import's report."""

from __future__ import annotations

HIDDEN = "hidden"
LINK = "link, not followed"
SPECIAL = "not a regular file"
NOT_UTF8 = "its name is not valid UTF-8"
CONTROL = "its name holds control characters"
BY_SYSTEM = "made by the operating system or a program"
CODE = "not an image: never opened, because such a file can carry code or foreign settings"
ARCHIVE = "an archive inside the source: import it separately, or unpack it first"
NO_IMAGE = "not an image by its name"
OUTSIDE_CLASSES = "image outside the class folders"
OUTSIDE_SPLITS = "image outside the split folders"

READ = "read for the labels"
READ_FOR_MORE = "read for further facts about the images"
"""Why a label file is not imported as an image."""

UNNAMED = "not listed in the label file"
MISSING = "listed in the label file, but not in the folder"
UNANSWERED = "no label in the label file"
EMPTY = "the file is empty"

UNLABELLED = "without a label in the label file"
"""Why an image has no label, where the file is explicit about it: no class is marked, or the list is empty."""
SEVERAL = "several labels"

WITHOUT_LABEL = frozenset((OUTSIDE_CLASSES, OUTSIDE_SPLITS, UNNAMED, UNANSWERED))
"""Why an image is left out that could be imported without a label."""


def too_deep(folders: int) -> str:
    """Return the reason why a folder nested more than `folders` levels deep is not entered."""
    return f"deeper than {folders} folders"

"""Names that are safe as folder names on every system."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile(r"[^a-z0-9]+")


def slug(text: str, fallback: str = "data", length: int = 40) -> str:
    """Return `text` as lower-case ASCII words joined by `-`, at most `length` characters.

    >>> slug("Flower Photos (2)")
    'flower-photos-2'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return _UNSAFE.sub("-", plain)[:length].strip("-") or fallback


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun.

    >>> counted(1, "image"), counted(2, "class", "classes")
    ('1 image', '2 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    """Return a file name as text that can be stored and shown: bytes that are no UTF-8 appear as `\\xNN`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

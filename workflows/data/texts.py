"""The text of a label file in any encoding."""

from __future__ import annotations

import codecs
import contextlib
from pathlib import Path

from workflows.errors import SourceError, UsageError
from workflows.store.files import storage_errors

MAX_BYTES = 64 * 1024**2  # some 500,000 rows; held in memory, and several times that while it is read


def read_text(path: Path, encoding: str | None = None) -> str:
    """Return the text of a label file.

    Raises:
        SourceError: missing, too large, in another encoding, or not text.
        UsageError: an unknown encoding.
    """
    if not path.is_file():
        raise SourceError(f"The label file {path} does not exist.", "Check its path.")
    if path.stat().st_size > MAX_BYTES:
        raise SourceError(
            f"{path.name} is larger than {MAX_BYTES // 1024**2} MB.",
            "Is it the right file? If so, split it and import the parts one after the other.",
        )
    with storage_errors(path, "read"):
        content = path.read_bytes()
    try:
        text = content.decode(_codec(encoding))
    except UnicodeError as error:
        raise _wrong_encoding(path, content, encoding) from error
    if "\0" in text:
        raise SourceError(
            f"{path.name} holds NUL characters: it is not a text file.",
            "If it is UTF-16, give its encoding; otherwise save it as UTF-8 text.",
        )
    return text.removeprefix("\ufeff")


def _codec(encoding: str | None) -> str:
    if encoding is None:
        return "utf-8-sig"
    try:
        name = codecs.lookup(encoding).name
        with contextlib.suppress(UnicodeError):
            b"    ".decode(name)  # rejects codecs that do not decode to text
    except (LookupError, ValueError) as error:
        raise UsageError(f"Unknown encoding {encoding!r}.", "Examples: utf-8, utf-16, cp1252, latin-1.") from error
    return name


def _wrong_encoding(path: Path, content: bytes, encoding: str | None) -> SourceError:
    if encoding is not None:
        return SourceError(f"{path.name} is not in the encoding {encoding}.", "Try utf-8, utf-16, cp1252 or latin-1.")
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    kind, names = ("UTF-16", "utf-16") if utf16 else ("probably Latin-1 or Windows-1252", "cp1252 or latin-1")
    return SourceError(
        f"{path.name} is not UTF-8 but {kind}.",
        f"Give its encoding ({names}), or save it as UTF-8.",
    )


def read_beginning(path: Path, limit: int, encoding: str | None = None) -> str:
    """Return the first whole lines of a label file, of at most `limit` bytes.

    Raises:
        SourceError: missing, or in another encoding.
        UsageError: an unknown encoding.
    """
    if not path.is_file():
        raise SourceError(f"The label file {path} does not exist.", "Check its path.")
    codec = _codec(encoding)
    with storage_errors(path, "read"), path.open("rb") as file:
        content = file.read(limit)
        whole = not file.read(1)
    try:
        text = codecs.getincrementaldecoder(codec)().decode(content, final=whole)
    except UnicodeError as error:
        raise _wrong_encoding(path, content, encoding) from error
    return text if whole else text[: text.rfind("\n") + 1]

"""Files that are either whole or not there.

Everything stored is written to a temporary name in the same folder, flushed to the disk, renamed, and the
rename flushed too: a crash at any moment leaves the old file or the new one, never half of one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.errors import StorageError

if TYPE_CHECKING:
    import pandas as pd

_WORDS = {
    errno.ENOSPC: ("the disk is full", "Free some space there, then try again; nothing was overwritten."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space there, then try again; nothing was overwritten."),
    errno.EFBIG: ("the file would be larger than the system allows", "Check `ulimit -f` and the file system."),
    errno.EROFS: ("the file system is read-only", "Choose a folder that can be written, e.g. by FIELDGUIDE_HOME."),
    errno.EACCES: ("permission denied", "Choose a folder that you may write, e.g. by FIELDGUIDE_HOME."),
    errno.EPERM: ("not permitted", "Choose a folder that you may write, e.g. by FIELDGUIDE_HOME."),
    errno.EIO: ("the disk reports an error", "Check the disk's health before going on."),
    errno.EEXIST: ("a file is where a folder must be", "Choose another folder."),
    errno.EISDIR: ("a folder is where a file must be", "Choose another name."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Choose another folder."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter name or folder."),
}

_TEMPORARY = re.compile(r"\.(.*)\.[0-9a-f]{8}\.tmp(\..*|)", re.DOTALL)  # as :func:`atomic_path` names them

# A cell that starts with one of these may be run as a formula by a spreadsheet (the OWASP list).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def storage_errors(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn the operating system's complaints about a disk into :class:`StorageError`; others pass through."""
    try:
        yield
    except OSError as error:
        if error.errno not in _WORDS:
            raise
        what, hint = _WORDS[error.errno]
        raise StorageError(f"Can't {doing} {path}: {what}.", hint) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` to write to; it takes the place of `path` if the body succeeds.

    The temporary name keeps the suffix, because many writers choose their format by it. Missing parent
    folders are made. A writer that is killed leaves its temporary file: see :func:`remove_temporaries`.

    Raises:
        StorageError: the disk is full, read-only or refuses; the old file is untouched.
    """
    temporary = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(4)}.tmp{path.suffix}")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            flush_to_disk(temporary)
            temporary.replace(path)
            flush_to_disk(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def remove_temporaries(folder: Path, names: Collection[str] = ()) -> None:
    """Remove what killed writers of :func:`atomic_path` left anywhere below `folder`, of files called `names` or of all.

    Nobody may be writing these files. Raises StorageError if the disk refuses.
    """
    wanted = {(Path(name).stem[:40], Path(name).suffix) for name in names}
    with storage_errors(folder, "clean"):
        for path in folder.rglob(".*.tmp*"):
            found = _TEMPORARY.fullmatch(path.name)
            if found and (not names or found.groups() in wanted):
                path.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Make the content of a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all.

    Raises:
        StorageError: the disk is full, read-only or refuses; the old file is untouched.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, document: Any) -> None:
    """Write `document` as readable JSON, atomically; see :func:`to_plain` for what is converted."""
    text = json.dumps(to_plain(document), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomic(path, f"{text}\n".encode())


def read_json(path: Path) -> Any:
    """Read a JSON document.

    Raises:
        StorageError: the file is missing, can't be read or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StorageError(f"{path} is missing.", "It is written by Fieldguide; was it deleted by hand?") from error
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} can't be read: {error}.", "The file is damaged.") from error


def stored_secret(path: Path) -> str:
    """Return the secret in a file that only its owner can read; it is created at the first call. Raises StorageError."""
    with storage_errors(path, "read"), suppress(FileNotFoundError):
        found = path.read_text(encoding="ascii").strip()
        if found:
            return found
    made = secrets.token_urlsafe(32)
    with atomic_path(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(made)
    if path.stat().st_mode & 0o077:
        raise StorageError(
            f"{path} can be read by others.",
            "Choose a file system with file permissions, e.g. by FIELDGUIDE_HOME.",
        )
    return made


def to_plain(value: Any) -> Any:
    """Return `value` made of JSON's own types.

    Numpy scalars and arrays, paths, dates, tuples and sets are converted; numbers that are not finite
    become null, because JSON has no word for them.
    """
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return [to_plain(item) for item in sorted(value)]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy here
        return to_plain(value.tolist())
    return value


def write_table(path: Path, frame: pd.DataFrame, metadata: Mapping[str, str] | None = None) -> None:
    """Write a table as Parquet or CSV (by suffix), atomically.

    Args:
        path: ends in `.parquet` or `.csv`.
        frame: the index is not written.
        metadata: extra key-value pairs for the Parquet schema; not possible in CSV.

    Raises:
        StorageError: the disk is full, read-only or refuses.
        ValueError: another suffix, or metadata for a CSV.
    """
    if path.suffix == ".parquet":
        _write_parquet(path, frame, metadata or {})
    elif path.suffix == ".csv" and not metadata:
        _write_csv(path, frame)
    else:
        raise ValueError(f"can't write {path.name}: use .parquet, or .csv without metadata")


def _write_parquet(path: Path, frame: pd.DataFrame, metadata: Mapping[str, str]) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    extra = {key.encode(): value.encode() for key, value in metadata.items()}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **extra})
    with atomic_path(path) as temporary:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    safe = frame.copy()
    safe.columns = [defuse(str(name)) for name in frame.columns]
    for position in range(safe.shape[1]):
        column = safe.iloc[:, position]
        if not _is_numeric(column):
            safe.isetitem(position, [defuse(cell) for cell in column])
    with atomic_path(path) as temporary:
        safe.to_csv(temporary, index=False, lineterminator="\n")


def _is_numeric(column: pd.Series) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return bool(is_numeric_dtype(column.dtype) or is_bool_dtype(column.dtype))


def defuse(cell: Any) -> Any:
    """Return a text cell that no spreadsheet takes for a formula: a leading `'` is added where needed."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip("'").startswith(FORMULA_STARTS) else cell


def undo_defuse(cell: str) -> str:
    """Return the text that :func:`defuse` was given."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA_STARTS) else cell


def read_table(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a Parquet table, or some of its columns.

    Raises:
        StorageError: the file is missing or damaged.
    """
    import pandas as pd

    with _table_errors(path):
        return pd.read_parquet(path, columns=list(columns) if columns is not None else None)


def read_metadata(path: Path) -> dict[str, str]:
    """Read the key-value pairs of a Parquet table without reading its rows.

    Raises:
        StorageError: the file is missing or damaged.
    """
    import pyarrow.parquet

    with _table_errors(path):
        pairs = pyarrow.parquet.read_schema(path).metadata or {}
    return {key.decode(): value.decode() for key, value in pairs.items()}


@contextmanager
def _table_errors(path: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except FileNotFoundError as error:
        raise StorageError(f"{path} is missing.", "It is written by Fieldguide; was it deleted by hand?") from error
    except (OSError, pyarrow.ArrowException) as error:
        raise StorageError(f"{path} can't be read: {error}.", "The file is damaged.") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hex digits."""
    with storage_errors(path, "read"), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def free_bytes(path: Path) -> int:
    """Return the free bytes for this user on the disk that holds (or will hold) `path`."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free

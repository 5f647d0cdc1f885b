"""The one place that opens a connection to the outside, and only on a person's word.

A download goes to `NAME.part` beside its target and takes the target's name only when it is whole and its
checksum is right. Beside it, `NAME.part.json` has the server's name of this state of the file (ETag or date):
a later attempt requests the missing bytes of exactly that state (`Range` with `If-Range`, RFC 9110, sections 13.1.5
and 14.2) and starts again if the file has changed. Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`).

The transport is httpx; not pooch, which begins again after every cut and bounds no size.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from workflows import settings
from workflows.errors import DownloadError, StorageError
from workflows.progress import Progress, silent
from workflows.store.files import flush_to_disk, free_bytes, read_json, sha256_of, storage_errors, write_json
from workflows.store.locks import hold

if TYPE_CHECKING:
    import httpx

STAGE = "download"
MEGABYTE = 1_000_000
MOST_BYTES = 20 * 1000 * MEGABYTE
MOST_REDIRECTS = 5
BUSY = frozenset((408, 425, 429, 500, 502, 503, 504))
"""Temporary errors: the request is repeated."""

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Remote:
    """A file on the network, and what is known of it.

    Attributes:
        url: http or https.
        bytes: its exact size, if known.
        sha256: its checksum, 64 hex digits, if known.
        at_most: where the download stops if the size is not known.
    """

    url: str
    bytes: int | None = None
    sha256: str | None = None
    at_most: int = MOST_BYTES


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server.

    Attributes:
        attempts: connections in all; each continues where the last one was interrupted.
        pause: seconds before the second attempt; each further pause is twice as long.
        timeout: seconds without a single byte after which a connection counts as dead.
    """

    attempts: int = 5
    pause: float = 1.0
    timeout: float = 30.0


class _CutOff(Exception):  # noqa: N818 - an interruption, not a verdict
    """This attempt brought not everything; the next one may."""


class _Part:
    """The beginning of a file, and the state of the file that it belongs to."""

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.json")
        self._url = url

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def validator(self) -> str:
        """What the server called the state that the bytes are of; empty if they can't be gone on with."""
        try:
            notes = read_json(self._notes)
        except StorageError:
            return ""
        known = isinstance(notes, dict) and notes.get("url") == self._url and self.size > 0
        return str(notes["validator"]) if known else ""

    def begin(self, validator: str) -> None:
        """Forget the bytes and note which state of the file the next ones are of."""
        self.drop()
        if validator:
            write_json(self._notes, {"url": self._url, "validator": validator})

    def drop(self) -> None:
        """Remove the bytes and the notes."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        """Give the whole file its name."""
        with storage_errors(target):
            flush_to_disk(self.path)
            self.path.replace(target)
            flush_to_disk(target.parent)
        self._notes.unlink(missing_ok=True)


def download(remote: Remote, target: Path, *, patience: Patience | None = None, progress: Progress = silent) -> str:
    """Bring a file here, going on where an earlier attempt was cut; return its SHA-256.

    A file that is there already, and is the right one as far as anybody knows, is not fetched again.

    Args:
        target: the file's final name; it appears there whole or not at all.
        progress: gets the megabytes done and in total, as stage `download`.

    Raises:
        DownloadError: no connection, no such file, another size or another checksum than announced.
        StorageError: the disk is full or can't be written; what was received is used by the next attempt.
    """
    _check_url(remote.url)
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)

    def waiting(text: str) -> None:
        progress(STAGE, 0, 0, text)

    with hold(target.with_name(f"{target.name}.lock"), owner=STAGE, waiting=waiting):
        if target.exists():
            sha256 = sha256_of(target)
            if remote.sha256 in (None, sha256):
                return sha256
        part = _Part(target, remote.url)
        _bring(remote, part, patience or Patience(), progress)
        sha256 = _verified(remote, part)
        part.finish(target)
        return sha256


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DownloadError(f"{url!r} is no address to download from.", "Only http and https are.")


def _bring(remote: Remote, part: _Part, patience: Patience, progress: Progress) -> None:
    """Connect until the file is complete, as often as `patience` allows."""
    import httpx

    if remote.bytes is not None and part.size == remote.bytes and part.validator():
        return  # the last attempt was stopped after its last byte
    trouble: Exception = DownloadError("no attempt was allowed")
    with _client(patience.timeout) as client:
        for attempt in range(patience.attempts):
            if attempt:
                time.sleep(patience.pause * 2 ** (attempt - 1))
            try:
                return _attempt(client, remote, part, progress)
            except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects) as error:
                raise DownloadError(f"{remote.url} leads to a place that can't be followed ({error}).") from error
            except (httpx.TransportError, _CutOff) as error:
                trouble = error
    _fail(remote, part, trouble)


def _client(timeout: float) -> httpx.Client:
    import httpx

    headers = {"User-Agent": "fieldguide", "Accept-Encoding": "identity"}
    try:
        return httpx.Client(follow_redirects=True, max_redirects=MOST_REDIRECTS, timeout=timeout, headers=headers)
    except (ImportError, ValueError, httpx.InvalidURL) as error:  # socks:// without its library, or no address at all
        raise DownloadError(
            f"The proxy that the environment names can't be used ({error}).",
            "Correct HTTP_PROXY, HTTPS_PROXY or ALL_PROXY: an http:// address is understood.",
        ) from error


def _fail(remote: Remote, part: _Part, trouble: Exception) -> NoReturn:
    resumable = f"{part.size / MEGABYTE:.1f} MB are here, and the next attempt continues from there."
    raise DownloadError(
        f"{remote.url} can't be downloaded: {str(trouble) or type(trouble).__name__}.",
        f"{resumable if part.validator() else ''} Check the network, and HTTPS_PROXY if you use a proxy.".strip(),
    ) from trouble


def _attempt(client: httpx.Client, remote: Remote, part: _Part, progress: Progress) -> None:
    """Ask for what is missing, and write what comes."""
    known = part.validator()
    wanted = {"Range": f"bytes={part.size}-", "If-Range": known} if known else {}
    with client.stream("GET", remote.url, headers=wanted) as response:
        _check_path(response)
        if response.status_code == 416 and response.headers.get("Content-Range") == f"bytes */{part.size}":
            return  # nothing is missing
        _check_status(response, part)
        continues = response.status_code == 206
        if continues:
            _check_range(response, part, known)
        total = _announced(response, part.size if continues else 0)
        _check_size(remote, total)
        if not continues:
            part.begin(_validator(response))
        _check_room(part, total)
        _write(response, part, total, remote, progress)
    expected = remote.bytes if total is None else total
    if expected is not None and part.size < expected:
        raise _CutOff(f"the connection ended after {part.size:,} of {expected:,} bytes")


def _check_path(response: httpx.Response) -> None:
    hops = [*response.history, response]
    if any(a.url.scheme == "https" and b.url.scheme == "http" for a, b in pairwise(hops)):
        raise DownloadError(
            f"The server sends {hops[0].url} on to an unprotected address, {response.url}.", "It is not followed."
        )


def _check_status(response: httpx.Response, part: _Part) -> None:
    status = response.status_code
    if status == 416:  # our part is longer than the file that is there now
        part.drop()
        raise _CutOff("the file on the server has changed")
    if status in BUSY:
        raise _CutOff(f"the server answers {status} {response.reason_phrase}")
    if status not in (200, 206):
        raise DownloadError(
            f"{response.url} can't be downloaded: the server answers {status} {response.reason_phrase}.",
            "The file may have moved. If you can get it elsewhere, `fieldguide dataset add NAME FILE` imports it.",
        )


def _check_range(response: httpx.Response, part: _Part, known: str) -> None:
    """Check that the response continues our bytes, also where a server ignores If-Range."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    same = known in (response.headers.get("ETag"), response.headers.get("Last-Modified"))
    if found is None or int(found[1]) != part.size or not (same or not _validator(response)):
        part.drop()
        raise _CutOff("the server does not continue the file")


def _validator(response: httpx.Response) -> str:
    """Return the name of this state of the file; only a strong one means that the bytes are the same."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _announced(response: httpx.Response, before: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return before + int(length) if length.isdecimal() else None


def _check_size(remote: Remote, total: int | None) -> None:
    if total is not None and remote.bytes is not None and total != remote.bytes:
        raise DownloadError(
            f"{remote.url} is another file than expected: {total:,} bytes instead of {remote.bytes:,}.",
            "It was not downloaded. Its publisher may have replaced it.",
        )
    if total is not None and total > remote.at_most:
        raise DownloadError(f"{remote.url} has {total:,} bytes, more than the {remote.at_most:,} allowed.")


def _check_room(part: _Part, total: int | None) -> None:
    missing = (total or 0) - part.size
    free = free_bytes(part.path.parent)
    if missing > free:
        raise StorageError(
            f"Can't download to {part.path.parent}: {missing:,} bytes are missing and {free:,} are free there.",
            f"Free some space there, or choose another disk by {settings.HOME.variable}.",
        )


def _write(response: httpx.Response, part: _Part, total: int | None, remote: Remote, progress: Progress) -> None:
    limit = remote.at_most if remote.bytes is None else remote.bytes
    done = part.size
    with storage_errors(part.path), part.path.open("ab") as stream:
        for chunk in response.iter_raw():
            done += len(chunk)
            if done > limit:
                _refuse(part, f"{remote.url} does not end after {limit:,} bytes.", "It is another file than expected.")
            stream.write(chunk)
            everything = total or remote.bytes or done + MEGABYTE
            progress(STAGE, done // MEGABYTE, everything // MEGABYTE, "MB")


def _verified(remote: Remote, part: _Part) -> str:
    """Return the checksum of the complete part; if it is wrong, the file is removed."""
    sha256 = sha256_of(part.path)
    if remote.sha256 not in (None, sha256):
        _refuse(
            part,
            f"{remote.url} is another file than expected: its SHA-256 is {sha256[:16]}…, not {remote.sha256[:16]}….",
            "It was damaged on the way or replaced by somebody; it has been removed. Try again once; "
            "if that fails, too, don't use it.",
        )
    return sha256


def _refuse(part: _Part, message: str, hint: str) -> NoReturn:
    part.drop()
    raise DownloadError(message, hint)

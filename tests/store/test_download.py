"""Downloads against a real server: resumed, restarted, refused; never half a file under the final name."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Behaviour, serving
from workflows.errors import DownloadError, StorageError
from workflows.store.download import Patience, Remote, download

CONTENT = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(attempts=3, pause=0.01, timeout=5)
ONCE = Patience(attempts=1, timeout=5)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[Behaviour]:
    with serving(Behaviour(CONTENT)) as behaviour:
        yield behaviour


def remote(server: Behaviour) -> Remote:
    return Remote(server.url, len(CONTENT), SHA256)


def left(folder: Path) -> set[str]:
    """What lies there apart from the lock."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_file_comes_whole_and_only_once(server: Behaviour, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    target = tmp_path / "sets" / "file.tgz"
    for _ in range(2):
        found = download(remote(server), target, progress=lambda _s, done, total, text="": steps.append((done, total)))
        assert found == SHA256
    assert target.read_bytes() == CONTENT
    assert left(target.parent) == {"file.tgz"}
    assert len(server.seen) == 1
    assert all(done <= max(total, 1) for done, total in steps) and steps


def test_it_goes_on_where_the_server_cut_it_off(server: Behaviour, tmp_path: Path) -> None:
    server.cuts = [100_000, 50_000]
    assert download(remote(server), tmp_path / "file.tgz", patience=QUICK) == SHA256
    assert (tmp_path / "file.tgz").read_bytes() == CONTENT
    assert server.ranges_asked == ["", "bytes=100000-", "bytes=150000-"]
    assert left(tmp_path) == {"file.tgz"}


def test_a_later_call_goes_on_too(server: Behaviour, tmp_path: Path) -> None:
    server.cuts = [200_000]
    with pytest.raises(DownloadError, match=r"\b0\.2 MB\b"):
        download(remote(server), tmp_path / "file.tgz", patience=ONCE)
    assert left(tmp_path) == {"file.tgz.part", "file.tgz.part.json"}
    assert download(remote(server), tmp_path / "file.tgz", patience=ONCE) == SHA256
    assert server.ranges_asked == ["", "bytes=200000-"]
    assert (tmp_path / "file.tgz").read_bytes() == CONTENT


@pytest.mark.parametrize("heeds", [True, False], ids=["heeds If-Range", "ignores If-Range"])
def test_a_file_that_changed_meanwhile_is_begun_again(server: Behaviour, tmp_path: Path, heeds: bool) -> None:
    server.content, server.cuts, server.heeds_if_range = OTHER, [200_000], heeds
    with pytest.raises(DownloadError):
        download(remote(server), tmp_path / "file.tgz", patience=ONCE)
    server.content = CONTENT
    assert download(remote(server), tmp_path / "file.tgz", patience=QUICK) == SHA256
    assert (tmp_path / "file.tgz").read_bytes() == CONTENT


def test_a_file_that_became_shorter_is_begun_again(server: Behaviour, tmp_path: Path) -> None:
    server.content, server.cuts, server.heeds_if_range = CONTENT + OTHER, [400_000], False
    with pytest.raises(DownloadError):
        download(Remote(server.url), tmp_path / "file.tgz", patience=ONCE)
    server.content = CONTENT
    assert download(remote(server), tmp_path / "file.tgz", patience=QUICK) == SHA256


@pytest.mark.parametrize(
    ("etag", "modified", "ranges"),
    [("by content", None, False), (None, None, True), ('W/"weak"', None, True)],
    ids=["no ranges", "nothing to tell the state by", "a weak ETag only"],
)
def test_where_it_cannot_go_on_it_begins_again(
    server: Behaviour, tmp_path: Path, etag: str | None, modified: str | None, ranges: bool
) -> None:
    server.etag, server.modified, server.ranges, server.cuts = etag, modified, ranges, [100_000]
    assert download(remote(server), tmp_path / "file.tgz", patience=QUICK) == SHA256
    assert (tmp_path / "file.tgz").read_bytes() == CONTENT


def test_the_date_serves_where_there_is_no_etag(server: Behaviour, tmp_path: Path) -> None:
    server.etag, server.modified, server.cuts = None, "Sat, 21 Nov 2026 10:00:00 GMT", [100_000]
    assert download(remote(server), tmp_path / "file.tgz", patience=QUICK) == SHA256
    assert server.seen[1]["if-range"] == server.modified
    assert server.ranges_asked[1] == "bytes=100000-"


@pytest.mark.parametrize("known_size", [True, False])
def test_a_complete_part_needs_no_more_bytes(server: Behaviour, tmp_path: Path, known_size: bool) -> None:
    (tmp_path / "file.tgz.part").write_bytes(CONTENT)
    (tmp_path / "file.tgz.part.json").write_text(json.dumps({"url": server.url, "validator": server.tag}))
    wanted = Remote(server.url, len(CONTENT) if known_size else None, SHA256)
    assert download(wanted, tmp_path / "file.tgz", patience=ONCE) == SHA256
    assert left(tmp_path) == {"file.tgz"}


@pytest.mark.parametrize("notes", ["", "[]", '{"url": "http://elsewhere/", "validator": "x"}', '{"url": 7}'])
def test_damaged_or_foreign_notes_begin_again(server: Behaviour, tmp_path: Path, notes: str) -> None:
    (tmp_path / "file.tgz.part").write_bytes(OTHER[:1000])
    (tmp_path / "file.tgz.part.json").write_text(notes)
    assert download(remote(server), tmp_path / "file.tgz", patience=ONCE) == SHA256


def test_another_checksum_is_refused_and_nothing_stays(server: Behaviour, tmp_path: Path) -> None:
    server.content = OTHER
    with pytest.raises(DownloadError, match="SHA-256"):
        download(remote(server), tmp_path / "file.tgz", patience=QUICK)
    assert left(tmp_path) == set()


def test_another_size_is_refused_before_it_is_downloaded(server: Behaviour, tmp_path: Path) -> None:
    server.content = CONTENT + b"!"
    with pytest.raises(DownloadError, match=r"300,001\b.*\b300,000\b"):
        download(remote(server), tmp_path / "file.tgz", patience=QUICK)
    assert left(tmp_path) == set()
    assert len(server.seen) == 1


@pytest.mark.parametrize("limit", ["bytes", "at_most"])
def test_a_file_without_end_is_stopped(server: Behaviour, tmp_path: Path, limit: str) -> None:
    server.length = False
    wanted = Remote(server.url, bytes=100_000) if limit == "bytes" else Remote(server.url, at_most=100_000)
    with pytest.raises(DownloadError, match=r"\b100,000 bytes"):
        download(wanted, tmp_path / "file.tgz", patience=ONCE)
    assert left(tmp_path) == set()


def test_a_short_file_without_announced_length_is_no_whole_one(server: Behaviour, tmp_path: Path) -> None:
    server.length, server.cuts = False, [10_000]
    assert download(remote(server), tmp_path / "file.tgz", patience=QUICK) == SHA256


def test_a_damaged_file_under_the_final_name_is_replaced(server: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "file.tgz").write_bytes(OTHER)
    assert download(remote(server), tmp_path / "file.tgz") == SHA256
    assert (tmp_path / "file.tgz").read_bytes() == CONTENT


def test_a_redirect_is_followed(server: Behaviour, tmp_path: Path) -> None:
    server.redirect = server.url
    moved = Remote(server.url.replace("file.tgz", "moved"), len(CONTENT), SHA256)
    assert download(moved, tmp_path / "file.tgz", patience=ONCE) == SHA256


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/moved", "http://"])
def test_a_redirect_to_nowhere_is_an_error(server: Behaviour, tmp_path: Path, place: str) -> None:
    server.redirect = place
    with pytest.raises(DownloadError):
        download(Remote(server.url.replace("file.tgz", "moved")), tmp_path / "file.tgz", patience=ONCE)
    assert left(tmp_path) == set()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/etc/passwd", "http://", "data:,x"])
def test_only_http_addresses_are_taken(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match=re.escape(repr(url))):
        download(Remote(url), tmp_path / "file.tgz")


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_final_no_is_not_asked_again(server: Behaviour, tmp_path: Path, status: int) -> None:
    server.answers = [status]
    with pytest.raises(DownloadError, match=str(status)):
        download(remote(server), tmp_path / "file.tgz", patience=QUICK)
    assert len(server.seen) == 1


def test_a_busy_server_is_asked_again(server: Behaviour, tmp_path: Path) -> None:
    server.answers = [503, 429]
    assert download(remote(server), tmp_path / "file.tgz", patience=QUICK) == SHA256
    server.answers = [503, 503, 503]
    (tmp_path / "file.tgz").unlink()
    with pytest.raises(DownloadError, match="503"):
        download(remote(server), tmp_path / "file.tgz", patience=QUICK)


def test_a_server_that_falls_silent_is_given_up(server: Behaviour, tmp_path: Path) -> None:
    server.trickle = 2.0
    with pytest.raises(DownloadError, match="timed out"):
        download(remote(server), tmp_path / "file.tgz", patience=Patience(attempts=2, pause=0.01, timeout=0.2))
    server.trickle = 0.0
    assert download(remote(server), tmp_path / "file.tgz", patience=ONCE) == SHA256


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="HTTPS_PROXY"):
        download(Remote("http://127.0.0.1:9/file.tgz"), tmp_path / "file.tgz", patience=QUICK)


def test_the_proxy_of_the_environment_is_used(
    server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url.rpartition("/")[0])
    assert download(Remote("http://photos.invalid/set.tgz"), tmp_path / "set.tgz", patience=ONCE) == SHA256
    assert server.seen[0][":path"] == "http://photos.invalid/set.tgz"


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "nonsense://x", "::::"])
def test_a_proxy_that_cannot_be_used_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(DownloadError):
        download(Remote("http://photos.invalid/set.tgz"), tmp_path / "set.tgz", patience=ONCE)


def test_a_disk_without_room_is_known_beforehand(small_disk: Path) -> None:
    with serving(Behaviour(CONTENT * 4)) as server, pytest.raises(StorageError, match=r"\d bytes.*\d"):
        download(Remote(server.url), small_disk / "file.tgz", patience=ONCE)
    assert "file.tgz" not in left(small_disk)


def test_a_disk_that_fills_up_keeps_what_came(small_disk: Path) -> None:
    with serving(Behaviour(CONTENT * 4, length=False)) as server:
        with pytest.raises(StorageError, match="disk is full"):
            download(Remote(server.url), small_disk / "file.tgz", patience=ONCE)
        assert "file.tgz" not in left(small_disk)


DOWNLOADER = """
import sys
from pathlib import Path
from workflows.store.download import Remote, download
download(Remote(sys.argv[1], sha256=sys.argv[3]), Path(sys.argv[2]))
"""


def test_a_download_that_is_killed_goes_on(server: Behaviour, tmp_path: Path) -> None:
    server.trickle = 0.05
    target, part = tmp_path / "file.tgz", tmp_path / "file.tgz.part"
    child = subprocess.Popen([sys.executable, "-c", DOWNLOADER, server.url, str(target), SHA256])
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 30_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    here = part.stat().st_size
    assert 0 < here < len(CONTENT) and not target.exists()
    server.trickle = 0.0
    assert download(remote(server), target, patience=ONCE) == SHA256
    assert server.ranges_asked[-1] == f"bytes={here}-"
    assert target.read_bytes() == CONTENT


def test_two_at_once_fetch_once(server: Behaviour, tmp_path: Path) -> None:
    server.trickle = 0.02
    target = tmp_path / "file.tgz"
    command = [sys.executable, "-c", DOWNLOADER, server.url, str(target), SHA256]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [child.wait(timeout=60) for child in both] == [0, 0]
    assert len(server.seen) == 1
    assert target.read_bytes() == CONTENT

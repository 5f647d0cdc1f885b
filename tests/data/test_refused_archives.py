"""Archives that are refused before anything is unpacked, with the entry and the reason."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.archive_files import (
    KINDS,
    PHOTO,
    TWO_CLASSES,
    RawEntry,
    left,
    make_archive,
    make_tar,
    make_zip,
    opened,
    raw_zip,
)
from tests.data.conftest import encoded, picture, tree_state, write
from tests.properties import examples
from workflows.data import archive_checks, tar_archives, zip_archives
from workflows.data.archive_checks import ArchiveEntry, plan
from workflows.errors import SourceError


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


def _outside(folder: Path) -> dict[str, tuple[str, int, int]]:
    return {name: state for name, state in tree_state(folder).items() if not name.endswith(".lock")}


def refused(archive: Path, workspace: Path, words: str) -> str:
    """Check that an archive is refused in these words and leaves nothing; return the message."""
    before = _outside(archive.parent)
    with pytest.raises(SourceError, match=words) as caught, opened(archive, workspace):
        pytest.fail("it was opened")
    assert left(workspace) == []
    assert _outside(archive.parent) == before
    return caught.value.message


def test_an_empty_class_folder_is_refused_as_in_a_folder(tmp_path: Path, workspace: Path) -> None:
    archive = make_zip(tmp_path / "x.zip", [*TWO_CLASSES.items(), ("empty/", b"")])
    refused(archive, workspace, "'empty'")


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../x.png", "leads outside"),
        ("a/../../x.png", "leads outside"),
        ("a/..", "leads outside"),
        ("/etc/x.png", "absolute path"),
        ("C:/x.png", "path with a drive"),
        ("c:x.png", "path with a drive"),
        ("a/1.png", "twice"),
        ("a/./1.png", "twice"),
        ("./a//1.png", "twice"),
        ("A/1.PNG", "twice"),
        ("a/" + "n" * 201 + ".png", "name that is too long"),
        ("a/" + "é" * 101 + ".png", "name that is too long"),
        ("/".join(["d" * 199] * 6) + "/x.png", "name that is too long"),
        ("d/" * 21 + "x.png", "deeper than 20 folders"),
        ("d/" * 2500 + "x.png", "deeper than 20 folders"),
        ("a", "both a file and a folder"),
        ("a/1.png/x.png", "both a file and a folder"),
    ],
)
def test_names_that_refuse_an_archive(tmp_path: Path, workspace: Path, kind: str, name: str, words: str) -> None:
    make = {"zip": make_zip, "tar": make_tar}[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's writer warns of some of these names itself
        archive = make(tmp_path / f"bad.{kind}", [*TWO_CLASSES.items(), (name, PHOTO)])
    message = refused(archive, workspace, words)
    assert repr(name)[1:20] in message or "a/1.png" in message


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_every_bad_entry_is_named(tmp_path: Path, workspace: Path, kind: str) -> None:
    bad = {f"../{n}.png": PHOTO for n in range(30)} | {"/x.png": PHOTO, "a/1.png/y.png": PHOTO}
    archive = make_archive(tmp_path / f"bad.{kind}", {**TWO_CLASSES, **bad})
    with pytest.raises(SourceError) as caught, opened(archive, workspace):
        pytest.fail("it was opened")
    assert len(caught.value.problems) == 32
    assert all(any(repr(name) in problem for problem in caught.value.problems) for name in [*bad][:-1])
    assert any("a/1.png" in problem for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("..\\x.png", "leads outside"),
        ("a\\..\\..\\x.png", "leads outside"),
        ("a/..\\../x.png", "leads outside"),
        ("a\\..", "leads outside"),
        ("\\etc\\x.png", "absolute path"),
        ("\\\\host\\share\\x.png", "absolute path"),
        ("/\\host/x.png", "absolute path"),
        ("C:\\x.png", "path with a drive"),
        ("c:x\\y.png", "path with a drive"),
        ("a\\1.png", "twice"),
        ("A\\1.PNG", "twice"),
        (".\\a\\\\1.png", "twice"),
        ("a\\1.png\\x.png", "both a file and a folder"),
        ("d\\" * 21 + "x.png", "deeper than 20 folders"),
        ("\\".join(["d" * 199] * 6) + "\\x.png", "name that is too long"),
        ("a\\link\\", "is a folder with content"),
    ],
)
def test_backslashes_in_a_zip_pass_the_same_checks(tmp_path: Path, workspace: Path, name: str, words: str) -> None:
    entry = RawEntry(name.encode())
    archive = raw_zip(tmp_path / "bad.zip", [RawEntry(b"a/1.png"), RawEntry(b"b/2.png"), entry])
    refused(archive, workspace, words)


def test_a_backslash_that_may_be_half_a_letter_separates_nothing(tmp_path: Path, workspace: Path) -> None:
    name = "\u8868.png".encode("shift_jis")
    assert b"\\" in name
    archive = raw_zip(tmp_path / "x.zip", [RawEntry(b"a/1.png"), RawEntry(b"b/" + name, flags=0)])
    refused(archive, workspace, "has a backslash in its name")


@pytest.mark.parametrize("name", ["a\\x.png", "..\\x.png", "C:\\x.png", "\\\\host\\x.png"])
def test_a_backslash_in_a_tar_is_part_of_a_name_and_refuses_it(tmp_path: Path, workspace: Path, name: str) -> None:
    archive = make_tar(tmp_path / "bad.tar", [*TWO_CLASSES.items(), (name, PHOTO)])
    refused(archive, workspace, "has a (backslash in its name|path with a drive)")


def test_composed_and_decomposed_names_are_one(tmp_path: Path, workspace: Path) -> None:
    archive = make_zip(
        tmp_path / "x.zip", [*TWO_CLASSES.items(), ("a/caf\u00e9.png", PHOTO), ("a/cafe\u0301.png", PHOTO)]
    )
    refused(archive, workspace, "twice")
    with opened(make_zip(tmp_path / "y.zip", [*TWO_CLASSES.items(), ("a/cafe\u0301.png", PHOTO)]), workspace) as found:
        assert "a/caf\u00e9.png" in {entry.relative for entry in found.entries}


def test_zip_name_with_nul(tmp_path: Path, workspace: Path) -> None:
    """Python's reader cuts the name there, and takes `x.png` for the name."""
    archive = raw_zip(tmp_path / "x.zip", [RawEntry(b"a/1.png"), RawEntry(b"b/x.png\0.exe")])
    assert zipfile.ZipFile(archive).namelist()[1] == "b/x.png"
    refused(archive, workspace, "NUL")


def test_tar_name_with_nul(tmp_path: Path, workspace: Path) -> None:
    archive = make_tar(tmp_path / "x.tar", [*TWO_CLASSES.items(), ("b/x\0.png" + "y" * 120, PHOTO)])
    refused(archive, workspace, "NUL")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_zip_links_and_devices(tmp_path: Path, workspace: Path, mode: int) -> None:
    info = zipfile.ZipInfo("a/link.png")
    info.create_system, info.external_attr = 3, (mode | 0o777) << 16
    archive = make_zip(tmp_path / "x.zip", [*TWO_CLASSES.items(), (info, b"/etc/passwd")])
    refused(archive, workspace, "entry 'a/link.png' is (a link|not a file but a device)")


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
        b"Z",
    ],
)
def test_tar_links_and_devices(tmp_path: Path, workspace: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("a/link.png")
    member.type, member.linkname = kind, "a/1.png"
    archive = make_tar(tmp_path / "x.tar", [*TWO_CLASSES.items(), (member, b"")])
    refused(archive, workspace, "is (a link|not a file but a device|a sparse file)|damaged")


@pytest.mark.parametrize("flags", [0x1, 0x41])
def test_zip_encrypted(tmp_path: Path, workspace: Path, flags: int) -> None:
    archive = raw_zip(tmp_path / "x.zip", [RawEntry(b"a/1.png"), RawEntry(b"b/2.png", flags=0x800 | flags)])
    refused(archive, workspace, "entry 'b/2.png' is encrypted")


@pytest.mark.parametrize(("method", "name"), [(12, "bzip2"), (14, "lzma"), (9, "deflate64"), (93, "zstd|method 93")])
def test_zip_compressed_by_another_method(tmp_path: Path, workspace: Path, method: int, name: str) -> None:
    archive = raw_zip(tmp_path / "x.zip", [RawEntry(b"a/1.png"), RawEntry(b"b/2.png", method=method)])
    refused(archive, workspace, f"entry 'b/2.png' is compressed by ({name})")


def test_zip_bomb_by_ratio(tmp_path: Path, workspace: Path) -> None:
    """97 KB that become 100 MB."""
    archive = make_zip(tmp_path / "x.zip", {**TWO_CLASSES, "a/bomb.bmp": bytes(100_000_000)})
    assert archive.stat().st_size < 110_000
    refused(archive, workspace, "more than 100 times its size")


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz"])
def test_tar_bomb_by_ratio(tmp_path: Path, workspace: Path, kind: str) -> None:
    archive = make_tar(tmp_path / f"x.{kind}", {**TWO_CLASSES, "a/bomb.bmp": bytes(30_000_000)})
    refused(archive, workspace, "more than 100 times its size")


def test_zeros_after_a_tars_end_are_counted_too(tmp_path: Path, workspace: Path) -> None:
    plain = make_tar(tmp_path / "x.tar", TWO_CLASSES).read_bytes()
    archive = write(tmp_path / "x.tar.gz", gzip.compress(plain + bytes(50_000_000)))
    refused(archive, workspace, "more than 100 times its size")


def test_zip_header_lies_about_the_size(tmp_path: Path, workspace: Path) -> None:
    """It says 10 bytes for 50 MB."""
    archive = raw_zip(tmp_path / "x.zip", [RawEntry(b"a/1.png"), RawEntry(b"b/2.bmp", bytes(50_000_000), says=10)])
    refused(archive, workspace, r"entry 'b/2.bmp' is damaged")


def test_zip_entry_shorter_than_it_says(tmp_path: Path, workspace: Path) -> None:
    archive = raw_zip(tmp_path / "x.zip", [RawEntry(b"a/1.png"), RawEntry(b"b/2.png", says=len(PHOTO) + 5)])
    refused(archive, workspace, "entry 'b/2.png'")


def test_zip_overlapping_entries(tmp_path: Path, workspace: Path) -> None:
    """A few kilobytes that would be read again for each of many names."""
    kernel = RawEntry(b"a/0.bmp", os.urandom(2000) * 10)
    others = [RawEntry(f"b/{number}.bmp".encode(), os.urandom(2000) * 10, at=0) for number in range(1, 50)]
    refused(raw_zip(tmp_path / "same.zip", [kernel, *others]), workspace, "overlaps")


def test_zip_entry_inside_of_another(tmp_path: Path, workspace: Path) -> None:
    """The quoted kind: an outer, stored entry whose content is the next entry, header and all."""
    inner = RawEntry(b"b/inner.png")
    outer = RawEntry(b"a/outer.png", inner.local(), method=zipfile.ZIP_STORED)
    archive = raw_zip(tmp_path / "x.zip", [outer, RawEntry(b"b/inner.png", at=0)])
    content = archive.read_bytes()
    offset = content.index(inner.local())
    position = content.rindex(b"b/inner.png") - 4
    write(archive, content[:position] + offset.to_bytes(4, "little") + content[position + 4 :])
    assert zipfile.ZipFile(archive).infolist()[1].header_offset == offset
    refused(archive, workspace, "entry 'a/outer.png' overlaps")


def test_too_many_entries(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (archive_checks, zip_archives, tar_archives):
        monkeypatch.setattr(module, "MAX_ENTRIES", 10)
    entries = {f"{'ab'[n % 2]}/{n}.png": PHOTO for n in range(11)}
    for kind in ("zip", "tar"):
        refused(make_archive(tmp_path / f"x.{kind}", entries), workspace, "11 files.* 10 ")
        refused(
            make_archive(tmp_path / f"y.{kind}", {f"{'ab'[n % 2]}/{n}.png": PHOTO for n in range(21)}),
            workspace,
            "more than 10 entries",
        )


def test_too_large_in_all(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_checks, "MAX_BYTES", 3 * len(PHOTO))
    for kind in KINDS:
        entries = {f"{'ab'[n % 2]}/{n}.png": PHOTO for n in range(4)}
        refused(make_archive(tmp_path / f"x.{kind}", entries), workspace, "unpacks to more than")


def test_a_directory_of_absurd_size(tmp_path: Path, workspace: Path) -> None:
    archive = raw_zip(tmp_path / "x.zip", [RawEntry(b"a/1.png"), RawEntry(b"b/2.png")], says=0xFFFFFFF0)
    refused(archive, workspace, "damaged|too large")


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_and_damaged_archives(tmp_path: Path, workspace: Path, kind: str) -> None:
    content = make_archive(
        tmp_path / f"x.{kind}", {f"{'ab'[n % 2]}/{n}.png": encoded(picture(n)) for n in range(6)}
    ).read_bytes()
    used = len(content.rstrip(b"\0"))  # a plain tar ends in zeros that nobody misses
    for length in (used * 9 // 10 // 512 * 512, used // 2, 100, 20):
        refused(write(tmp_path / f"cut.{kind}", content[:length]), workspace, "rejected|not a zip or tar")
    spoiled = bytearray(content)
    spoiled[1000:1010] = bytes(10)
    archive = write(tmp_path / f"spoiled.{kind}", bytes(spoiled))
    if kind != "tar":  # a plain tar has no checksum over content
        refused(archive, workspace, "damaged")


def test_tar_header_bombs(tmp_path: Path, workspace: Path) -> None:
    """Headers that a reader would hold in memory, search for minutes, follow back, or nest without end."""
    good = make_tar(tmp_path / "good.tar", TWO_CLASSES).read_bytes()

    def header(kind: bytes, size: int, name: str = "x") -> bytes:
        member = tarfile.TarInfo(name)
        member.type, member.size = kind, size
        return member.tobuf(tarfile.GNU_FORMAT)

    digits = b"1" * 65_000
    cases = {
        "huge": header(tarfile.XHDTYPE, 50_000_000) + bytes(50_000_000),
        "digits": header(tarfile.XHDTYPE, len(digits)) + digits + bytes(-len(digits) % 512),
        "nested": (header(tarfile.GNUTYPE_LONGNAME, 512) + b"n" * 511 + b"\0") * 3000,
        "backwards": header(tarfile.REGTYPE, -1024),
        "negative": header(tarfile.REGTYPE, -100),
    }
    for name, content in cases.items():
        archive = write(tmp_path / f"{name}.tar", content + good)
        refused(archive, workspace, "damaged|negative length|more than")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a zip or tar archive"),
        (b"<html>not found</html>", "not a zip or tar archive"),
        (PHOTO, "not a zip or tar archive"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "7-Zip archive"),
        (b"Rar!\x1a\x07" + bytes(100), "RAR archive"),
        (gzip.compress(PHOTO), "damaged"),
        (b"PK\x03\x04" + bytes(1000), "damaged"),
        (b"PK\x05\x06" + bytes(18), "no images"),
    ],
)
def test_files_that_are_no_archives(tmp_path: Path, workspace: Path, content: bytes, words: str) -> None:
    refused(write(tmp_path / "photos.zip", content), workspace, words)


NAMES = st.text(st.sampled_from("ab./\\:\0é\u0301C"), min_size=1, max_size=12)


@settings(max_examples=examples(200), deadline=None)
@given(names=st.lists(NAMES, max_size=6), separators=st.sampled_from(("/", "/\\")))
def test_no_name_leads_outside(names: list[str], separators: str) -> None:
    entries = [ArchiveEntry(f"{name}.png", 1, separators=separators) for name in names]
    try:
        chosen = plan(Path("x.zip"), entries, 10)
    except SourceError:
        return
    root = Path("/workspace/files")
    targets = [Path(os.path.normpath(root / place)) for place in chosen.wanted.values()]
    assert all(target.is_relative_to(root) and target != root for target in targets)
    assert not any("\\" in str(target) for target in targets)
    assert len({str(target).casefold() for target in targets}) == len(targets)
    assert len(chosen.wanted) + len(chosen.ignored) == len(entries)


@settings(max_examples=examples(150), deadline=None)
@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_spoiled_archives_are_read_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str
) -> None:
    folder = tmp_path_factory.mktemp("spoiled")
    content = bytearray(make_archive(folder / f"x.{kind}", TWO_CLASSES).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    archive = write(folder / f"x.{kind}", bytes(content[: data.draw(st.integers(1, len(content)))]))
    try:
        with opened(archive, folder / "work") as found:
            assert found.entries
    except SourceError as error:
        assert error.message
    assert left(folder / "work") == []

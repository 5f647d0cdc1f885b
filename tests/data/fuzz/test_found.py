"""What fuzzing found once, each as a case of its own; and a check that the jail sees what it must see."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.data.fuzz.archives import zipped
from tests.data.fuzz.images import sound_images
from tests.processes import ROOT, environment
from workflows.data.archives import unpacked
from workflows.data.images import decode
from workflows.data.importing import add_dataset
from workflows.errors import ImageError, SourceError
from workflows.progress import silent
from workflows.store.store import Store

MISDEEDS = """
import json, os, pickle, shutil, socket, subprocess, sys, tempfile
from pathlib import Path
from tests.data.fuzz import jail

outside = Path(sys.argv[1])
(outside / "folder" / "inner").mkdir(parents=True)
(outside / "file").touch()
sys.addaudithook(jail.watch)
seen = {}

def attempt(name, function):
    jail.violations.clear()
    try:
        function()
    except OSError:
        pass
    seen[name] = len(jail.violations)

attempt("write", lambda: (outside / "new").write_text("x"))
attempt("append by number", lambda: os.close(os.open(outside / "file", os.O_WRONLY | os.O_APPEND)))
attempt("folder", lambda: (outside / "made").mkdir())
attempt("rename out", lambda: os.rename(tempfile.mkdtemp(), outside / "renamed"))
attempt("link", lambda: (outside / "link").symlink_to("/etc"))
attempt("remove a tree", lambda: shutil.rmtree(outside / "folder"))
attempt("connect", lambda: socket.create_connection(("127.0.0.1", 9), timeout=1))
attempt("process", lambda: subprocess.run(["true"]))
attempt("pickle", lambda: pickle.loads(pickle.dumps(Path())))
attempt("allowed", lambda: shutil.rmtree(tempfile.mkdtemp()))
attempt("read", lambda: Path("/etc/hostname").exists() and Path(__file__ if "__file__" in globals() else "/etc/passwd").read_bytes())
print(json.dumps(seen))
"""


def test_the_jail_notices_every_misdeed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("home", "temporary", "outside"):
        (tmp_path / name).mkdir()
    done = subprocess.run(
        [sys.executable, "-c", MISDEEDS, str(tmp_path / "outside")],
        env=environment(tmp_path / "home", TMPDIR=str(tmp_path / "temporary"), PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert {name for name, count in seen.items() if count == 0} == {"allowed", "read"}


@pytest.mark.parametrize("shift", [100, 2**31])
def test_a_zip_whose_directory_points_before_its_start(tmp_path: Path, shift: int) -> None:
    content = bytearray(zipped({"cat/a.png": b"a" * 50, "dog/b.png": b"b" * 50}))
    place = content.rindex(b"PK\x05\x06") + 16
    content[place : place + 4] = struct.pack("<L", struct.unpack_from("<L", content, place)[0] + shift)
    (tmp_path / "photos.zip").write_bytes(content)
    with (
        pytest.raises(SourceError, match="was rejected"),
        unpacked(tmp_path / "photos.zip", tmp_path / "workspace", silent),
    ):
        pass


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
def test_a_reason_has_no_inner_words_of_the_decoder(kind: str) -> None:
    beginning = sound_images()[kind][:12]
    with pytest.raises(ImageError) as caught:
        decode(beginning + bytes(500))
    assert "0x" not in caught.value.message
    assert "MPO" not in caught.value.message


def test_a_gif_that_claims_four_billion_pixels_is_left_out_with_a_reason(tmp_path: Path) -> None:
    sound = sound_images()["gif"]
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (32, 32), (40 * number, 90 if label == "cat" else 200, 10)).save(
                tmp_path / "photos" / label / f"{number}.png"
            )
    (tmp_path / "photos" / "cat" / "huge.gif").write_bytes(sound[:6] + struct.pack("<HH", 65535, 65535) + sound[10:])
    report = add_dataset(Store(tmp_path / "home"), "pets", tmp_path / "photos")
    assert (report.accepted, report.rejected) == (12, 1)

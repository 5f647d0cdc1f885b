"""A run talks to nobody, installs nothing, and needs no network."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.photos import digit_folders
from tests.processes import installed_fieldguide

# Python imports a module of this name by itself, in the command's process and in all that it starts.
SITECUSTOMIZE = """
import json, os, sys

def report(kind, what):
    with open(os.environ["EGRESS_LOG"], "a") as log:
        log.write(json.dumps([kind, what, sys.argv[:2]]) + "\\n")

def is_local(host):
    return host in (None, "", "localhost", "::1", "0.0.0.0") or str(host).startswith("127.")

def audit(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple) and not is_local(arguments[1][0]):
        report("connect", str(arguments[1]))
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and not is_local(arguments[0]):
        report("lookup", str(arguments[0]))
    elif event == "subprocess.Popen":
        words = [os.path.basename(str(word)) for word in (arguments[1] if isinstance(arguments[1], (list, tuple)) else str(arguments[1]).split())]
        if any(word in ("pip", "pip3", "uv", "conda", "apt", "curl", "wget") for word in words[:4]):
            report("start", " ".join(words))

sys.addaudithook(audit)
report("hooked", "")
"""

TRAIN = ("--weights", "none", "--size", 32, "--epochs", 1, "--seed", 0, "--device", "cpu", "--json")


def may_leave_the_network() -> bool:
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    return subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode == 0


def test_a_run_opens_no_connection_and_starts_no_installer(tmp_path: Path) -> None:
    photos, hook, log = digit_folders(tmp_path / "digits"), tmp_path / "hook", tmp_path / "egress.jsonl"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(SITECUSTOMIZE)
    done = installed_fieldguide(tmp_path / "home", "train", photos, *TRAIN, PYTHONPATH=str(hook), EGRESS_LOG=str(log))
    assert done.code == 0, done.stderr
    reports = [json.loads(line) for line in log.read_text().splitlines()]
    hooked = {Path(argv[0]).name for kind, _, argv in reports if kind == "hooked" and argv}
    assert {"fieldguide", "embedded.py"} <= hooked, "the hook must watch the command and its server"
    assert [entry for entry in reports if entry[0] != "hooked"] == []


@pytest.mark.skipif(
    not may_leave_the_network(), reason="NO NETWORK NAMESPACE HERE: running without a network was NOT tested"
)
def test_the_whole_job_works_with_no_network_at_all(tmp_path: Path) -> None:
    photos = digit_folders(tmp_path / "digits")
    jail = ("unshare", "-rn", "sh", "-c", 'ip link set lo up 2>/dev/null; exec "$@"', "sh")
    done = installed_fieldguide(tmp_path / "home", "train", photos, *TRAIN, wrap=jail)
    assert done.code == 0, done.stderr
    assert done.document["state"] == "finished"


def test_weights_that_cannot_be_had_are_an_error_that_names_the_ways_out(tmp_path: Path) -> None:
    photos = digit_folders(tmp_path / "digits")
    if not may_leave_the_network():
        pytest.skip("NO NETWORK NAMESPACE HERE: missing weights without a network were NOT tested")
    done = installed_fieldguide(
        tmp_path / "home", "train", photos, "--size", 32, "--epochs", 1, "--json", wrap=("unshare", "-rn"), timeout=280
    )
    assert done.code == 1
    said = done.document["error"] + done.document["hint"]
    assert "--weights FILE" in said and "--weights none" in said and "weights" in said

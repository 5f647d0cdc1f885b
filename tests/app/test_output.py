"""What belongs on stdout gets there, and nothing else."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from app.output import document_of
from app.request_options import parse_shares
from app.words import duration, metrics_table, size_of, with_absent
from tests.processes import ROOT, environment
from workflows.store.files import to_plain
from workflows.targets.metrics import METRICS

NOISY = """
import ctypes, os, subprocess, sys
from app.output import Output
out = Output({as_json})
print("a library prints")
sys.stdout.write("and writes\\n")
os.write(1, b"to the descriptor, too\\n")
ctypes.CDLL(None).puts(b"even from C")
ctypes.CDLL(None).fflush(None)
subprocess.run(["echo", "and a child process"])
out.answer({{"value": float("nan"), "name": "Gänseblümchen"}}, "the answer")
"""


def run(code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, check=True)


def test_only_the_json_document_reaches_stdout(tmp_path: Path) -> None:
    done = run(NOISY.format(as_json=True), tmp_path)
    assert json.loads(done.stdout) == {"value": None, "name": "Gänseblümchen"}
    for noise in ("a library prints", "and writes", "to the descriptor", "even from C", "a child process"):
        assert noise in done.stderr


def test_only_the_answer_reaches_stdout_without_json_too(tmp_path: Path) -> None:
    assert run(NOISY.format(as_json=False), tmp_path).stdout == "the answer\n"


LONG_ANSWER = """
import app.cli
from app.output import Output
app.cli.app = lambda: Output(True).answer(list(range(500_000)))
app.cli.main()
"""


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$PYTHON" -c "$CODE" | head -c 1'],
        cwd=ROOT,
        env=environment(tmp_path, CODE=LONG_ANSWER, PYTHON=sys.executable),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("[", "")


@dataclass
class Thing:
    """A record of ours."""

    path: Path
    when: datetime
    values: tuple[np.float32, ...]


def test_records_and_tables_become_plain() -> None:
    thing = Thing(Path("/a"), datetime(2026, 1, 2, tzinfo=UTC), (np.float32(0.5), np.float32("nan")))
    document = to_plain(document_of({"things": [thing], "table": pd.DataFrame({"n": [1], "x": [math.inf]})}))
    assert document == {
        "things": [{"path": "/a", "when": "2026-01-02T00:00:00+00:00", "values": [0.5, None]}],
        "table": [{"n": 1, "x": None}],
    }
    json.dumps(document, allow_nan=False)


@given(st.lists(st.integers(1, 98), min_size=3, max_size=3))
def test_shares_are_read_if_and_only_if_they_add_up(parts: list[int]) -> None:
    from workflows.errors import UsageError

    text = "/".join(map(str, parts))
    if sum(parts) == 100:
        assert [round(100 * share) for share in parse_shares(text)] == parts
    else:
        try:
            parse_shares(text)
        except UsageError as error:
            assert "--split" in error.message
        else:
            raise AssertionError("accepted")


def test_times_and_sizes_read_well() -> None:
    assert [duration(s) for s in (None, 0.04, 9.6, 41, 185, 7800)] == [
        "-",
        "0.0 s",
        "9.6 s",
        "41 s",
        "3 min 5 s",
        "2 h 10 min",
    ]
    assert [size_of(b) for b in (12, 5_000, 3_400_000, 2_100_000_000)] == ["12 B", "5 kB", "3.4 MB", "2.1 GB"]


def test_a_mean_over_classes_says_beside_its_number_what_it_leaves_out() -> None:
    held = {"top1": 0.5, "f1_macro": 0.25, "ece": 0.02, "support": 4, "absent": ["180"], "uncalibrated": {"ece": 0.3}}
    table = metrics_table({"val": {**held, "absent": [], "uncalibrated": None}, "test": held})
    cells = {
        str(title): (str(val), str(test)) for title, val, test in zip(*(c.cells for c in table.columns), strict=True)
    }
    assert cells["F1 (macro)"] == ("25.0 %", "25.0 %, without 180")
    assert cells["top-1 accuracy"] == ("50.0 %", "50.0 %")
    assert cells["expected calibration error"] == ("0.0200", "0.0200")
    assert cells["  before calibration"] == ("-", "0.3000")


def test_only_means_over_classes_leave_classes_out() -> None:
    title = {name: METRICS[name].title for name in ("f1_macro", "top1", "recall_macro")}
    assert with_absent("val/f1_macro", ["180"]) == f"{title['f1_macro']}, without 180"
    assert with_absent("val/top1", ["180"]) == title["top1"]
    assert with_absent("recall_macro", []) == title["recall_macro"]

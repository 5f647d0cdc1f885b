"""Killed with `kill -9` at random moments of a training, does every run resume to the same bits?

One run is left alone; the others are killed (the whole process group, at a moment drawn uniformly over the length of
the first) and resumed by `fieldguide runs resume`, again and again if asked. Each must end with the same metrics, the
same weights byte for byte, step rows exactly 1…E, and no file that can't be read.

    .venv/bin/python -m tests.benchmarks.kill_and_resume --kills 20
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open

from tests.tiny import write_tiny

FIELDGUIDE = str(Path(sys.executable).with_name("fieldguide"))


class Killed:
    """Runs of one request, killed and resumed in a state folder of their own."""

    def __init__(self, scratch: Path, epochs: int) -> None:
        self.source = write_tiny(scratch / "digits", classes=tuple("0123456789"), per_class=100)
        self.epochs = epochs
        self.environment = {**os.environ, "FIELDGUIDE_HOME": str(scratch / "home")}
        self.home = scratch / "home"

    def command(self) -> list[str]:
        """The training that is killed."""
        options = ["--weights", "none", "--size", "64", "--epochs", str(self.epochs), "--seed", "3", "--device", "cpu"]
        return [FIELDGUIDE, "train", str(self.source), *options, "--json"]

    def call(self, *command: str) -> Any:
        """Run a command to its end and return what it printed."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
        return json.loads(done.stdout)

    def kill_after(self, command: list[str], seconds: float) -> bool:
        """Start a command, kill its process group after `seconds`; return whether it was still running."""
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(timeout=seconds)
            return False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True

    def newest(self) -> str | None:
        """The id of the newest run."""
        runs = self.call(FIELDGUIDE, "runs", "list", "--json")
        return runs[0]["run_id"] if runs else None

    def verdict(self, result: dict[str, Any]) -> dict[str, Any]:
        """What must be equal between runs, and what must be so in each."""
        folder = self.home / "runs" / result["run_id"]
        steps = sorted(int(path.stem) for path in (folder / "training" / "steps").iterdir())
        for path in folder.rglob("*"):
            if path.suffix == ".parquet":
                pd.read_parquet(path)
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".safetensors":
                with safe_open(path, "pt") as file:
                    assert file.keys()
        rows = self.call(FIELDGUIDE, "runs", "show", result["run_id"], "--json")
        return {
            "metrics": result["metrics"],
            "weights": hashlib.sha256(Path(result["artifacts"]["model"]).read_bytes()).hexdigest(),
            "steps": steps,
            "state": rows["state"],
            "left": [path.name for path in folder.rglob("*.tmp*")],
        }


def main() -> None:
    """Print each kill's outcome; exit 1 if any run differs from the one left alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        runs = Killed(Path(scratch), options.epochs)
        started = time.perf_counter()
        whole = runs.verdict(runs.call(*runs.command()))
        length = time.perf_counter() - started
        assert whole["steps"] == list(range(1, options.epochs + 1)), whole["steps"]
        print(f"left alone: {length:.0f} s, test top-1 {whole['metrics']['test']['top1']:.4f}", flush=True)
        equal = hit = 0
        for number in range(1, options.kills + 1):
            moment = draw.uniform(0.0, length)
            before = runs.newest()
            hit += runs.kill_after(runs.command(), moment)
            run_id = runs.newest()
            if run_id == before:  # killed before there was a run: nothing to resume, nothing lost
                equal += 1
                print(f"{number}: killed after {moment:.1f} s, before the run was recorded", flush=True)
                continue
            found = runs.verdict(runs.call(FIELDGUIDE, "runs", "resume", str(run_id), "--json"))
            differing = [name for name in whole if whole[name] != found[name]]
            equal += not differing
            print(
                f"{number}: killed after {moment:.1f} s, {'differs in ' + str(differing) if differing else 'equal'}",
                flush=True,
            )
    print(f"{equal} of {options.kills} runs ({hit} hit while alive) ended like the one that was left alone")
    sys.exit(equal != options.kills)


if __name__ == "__main__":
    main()

"""Does a confidence keep what it promises: the calibration error on test photos, without and with the temperature.

Each seed is one whole run of the command line, as a stranger would start it. The temperature is fitted on the
validation photos alone; the test photos only judge it. How small the error can get at all is told beside it: what a
model whose confidences were exactly right would show with this many photos, by chance.

    .venv/bin/python -m tests.benchmarks.calibration ../shared/data/flowers \
        --weights ../shared/weights/yolov8n-cls-backbone.safetensors --size 128 --epochs 8 --seeds 0
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from workflows.evaluation.predictions import read_predictions
from workflows.targets.calibration import expected_calibration_error

DRAWS = 1000


def main() -> None:
    """Train with every seed and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    asked = parser.parse_args()
    print(
        "| seed | test top-1 | photos | temperature | ECE without | ECE with | by chance alone | log loss without | with |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory(prefix="fieldguide-") as home:
            print(line(train(asked, seed, home), seed), flush=True)


def train(asked: argparse.Namespace, seed: int, home: str) -> dict[str, Any]:
    """Run one training from the command line and return its result, with the test's confidences."""
    options = ["--weights", asked.weights, "--size", asked.size, "--epochs", asked.epochs, "--seed", seed]
    command = [sys.executable, "-c", "from app.cli import main; main()", "train", asked.data, *options]
    done = subprocess.run(
        [str(part) for part in [*command, "--device", "cpu", "--json"]],
        env={**os.environ, "FIELDGUIDE_HOME": home},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    frame, _ = read_predictions(Path(result["artifacts"]["predictions"]))
    return result | {"confidence": frame.loc[frame["split"] == "test", "confidence"].to_numpy(np.float64)}


def line(result: dict[str, Any], seed: int) -> str:
    """Return one row of the table."""
    test, calibration = result["metrics"]["test"], result["calibration"]
    before = test.get("uncalibrated", test)
    return (
        f"| {seed} | {test['top1']:.4f} | {test['support']} | {calibration['temperature']:.3f} | {before['ece']:.4f} | "
        f"{test['ece']:.4f} | {by_chance(result['confidence']):.4f} | {before['log_loss']:.4f} | {test['log_loss']:.4f} |"
    )


def by_chance(confidence: np.ndarray) -> float:
    """Return the mean error of a model that is right exactly as often as it says, with as many photos."""
    random = np.random.default_rng(0)
    draws = [expected_calibration_error(confidence, random.random(len(confidence)) < confidence) for _ in range(DRAWS)]
    return float(np.mean(draws))


if __name__ == "__main__":
    main()

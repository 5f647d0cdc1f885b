"""In the same minutes, who is better: plain `yolo classify train`, or our recommended workflow?

Both get the same photos, splits and pretrained weights, and run one after the other on the same machine, seed by
seed. Ultralytics runs first, with its defaults, for a fixed number of epochs; the wall-clock time of its whole
process is the budget that our recommender is given. Ours is timed as a whole process, too: from the folder of
photos (import, decoding, recommendation) to the best weights. Both models are then judged on the same test photos
by their own library's way to a square.

    .venv/bin/python -m tests.benchmarks.against_ultralytics ../shared/data/flowers ../shared/data/hymenoptera \
        --weights ../shared/weights/yolov8n-cls-backbone.safetensors

A folder that comes split into train and val keeps its val photos as the test; its train photos are split 85/15.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

THEIRS = """
import sys, json, torch, workflows
from safetensors.torch import load_file
from ultralytics import YOLO
from ultralytics.nn.tasks import ClassificationModel
weights, tree, size, epochs, seed, out = sys.argv[1:]
plain = ClassificationModel("yolov8n-cls.yaml", nc=1000, verbose=False)
plain.load_state_dict(load_file(weights), strict=False)
torch.save({"model": plain, "train_args": {"task": "classify"}, "epoch": -1}, out + "/start.pt")
model = YOLO(out + "/start.pt", task="classify")
model.train(data=tree, imgsz=int(size), epochs=int(epochs), seed=int(seed), device="cpu", project=out, verbose=False)
print("BEST", model.trainer.best)
"""

JUDGE_THEIRS = """
import sys, workflows
from ultralytics import YOLO
best, tree, size = sys.argv[1:]
print("TOP1", YOLO(best, task="classify").val(data=tree, split="test", imgsz=int(size), device="cpu", plots=False).top1)
"""

OURS = """
import sys
from pathlib import Path
import workflows
from workflows.pipeline import RunContext, create_run, do_step, walk
from workflows.requests import TrainRequest
from workflows.store.store import Store
tree, weights, seconds, seed = sys.argv[1:]
store = Store()
# Minutes are those of a whole run; the 10 s that are planned for heat-maps and report are not part of this duel
minutes = (float(seconds) + 10) / 60
request = TrainRequest(source=tree, weights=weights, minutes=minutes, seed=int(seed), device="cpu", goal="balanced")
run = create_run(store, request)
context = RunContext(store, run.run_id)
for step in walk(context):
    do_step(context, step)
    if step.key == "training":
        break
print("RUN", run.run_id)
"""

JUDGE_OURS = """
import sys
import workflows
from workflows.pipeline import RunContext, do_step, walk
from workflows.store.store import Store
context = RunContext(Store(), sys.argv[1])
answer = do_step(context, next(step for step in walk(context) if step.key == "evaluation")).document()
model, training = context.workflow.model, context.workflow.training
print("TOP1", answer["metrics"]["test"]["top1"])
print("CHOICE", f"{model.image_size} px, {training.epochs} epochs, batch {training.batch}")
"""


def split_tree(source: Path, seed: int, target: Path) -> Path:
    """Write train/val/test folders of links to the photos of `source`; the same seed gives the same folders."""
    given = (source / "train").is_dir()
    for folder in sorted((source / "train").iterdir() if given else source.iterdir()):
        photos = sorted(folder.iterdir())
        random.Random(f"{seed} {folder.name}").shuffle(photos)
        if given:
            cut = round(0.85 * len(photos))
            parts = {
                "train": photos[:cut],
                "val": photos[cut:],
                "test": sorted((source / "val" / folder.name).iterdir()),
            }
        else:
            first, second = round(0.7 * len(photos)), round(0.85 * len(photos))
            parts = {"train": photos[:first], "val": photos[first:second], "test": photos[second:]}
        for split, chosen in parts.items():
            (target / split / folder.name).mkdir(parents=True)
            for photo in chosen:
                shutil.copyfile(photo, target / split / folder.name / photo.name)
    return target


def run(code: str, arguments: Sequence[str], home: Path) -> tuple[dict[str, str], float]:
    """Run `code` in a process of its own; return the `NAME value` lines that it printed, and its seconds."""
    environment = {**os.environ, "FIELDGUIDE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        cwd=home.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    lines = [line.split(" ", 1) for line in done.stdout.splitlines() if " " in line]
    return {line[0]: line[1] for line in lines}, seconds


def duel(source: Path, seed: int, options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Run both on one data set and seed."""
    tree = str(split_tree(source, seed, scratch / "tree" / source.name))
    weights, size, home = str(options.weights.resolve()), str(options.size), scratch / "home"
    out = scratch / "theirs"
    out.mkdir()
    found, their_seconds = run(THEIRS, [weights, tree, size, str(options.epochs), str(seed), str(out)], home)
    theirs, _ = run(JUDGE_THEIRS, [found["BEST"], tree, size], home)
    found, our_seconds = run(OURS, [tree, weights, str(their_seconds), str(seed)], home)
    ours, _ = run(JUDGE_OURS, [found["RUN"]], home)
    return {
        "data": source.name,
        "seed": seed,
        "ultralytics": float(theirs["TOP1"]),
        "fieldguide": float(ours["TOP1"]),
        "ultralytics_seconds": round(their_seconds, 1),
        "fieldguide_seconds": round(our_seconds, 1),
        "choice": ours["CHOICE"],
    }


def main() -> None:
    """Print each duel as it ends, then the means and their differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path, help="folders of photos")
    parser.add_argument("--weights", type=Path, required=True, help="pretrained YOLOv8n-cls, safetensors")
    parser.add_argument("--size", type=int, default=128, help="image size of Ultralytics' run")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of Ultralytics' run")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    rows = []
    for seed in range(options.seeds):
        for source in options.data:
            with tempfile.TemporaryDirectory() as scratch:
                rows.append(duel(source, seed, options, Path(scratch)))
            print(json.dumps(rows[-1]), flush=True)
    for source in options.data:
        summary(source.name, [row for row in rows if row["data"] == source.name])


def summary(name: str, rows: list[dict[str, Any]]) -> None:
    """Print the mean test top-1 of both, their difference with its spread, and the share of the time used."""
    gains = [row["fieldguide"] - row["ultralytics"] for row in rows]
    time_share = statistics.median(row["fieldguide_seconds"] / row["ultralytics_seconds"] for row in rows)
    means = [statistics.mean(row[side] for row in rows) for side in ("ultralytics", "fieldguide")]
    print(
        f"{name}: mean test top-1 {means[0]:.4f} (ultralytics) against {means[1]:.4f} (fieldguide), "
        f"difference {statistics.mean(gains):+.4f} (from {min(gains):+.4f} to {max(gains):+.4f}), "
        f"in {time_share:.2f} of the time"
    )


if __name__ == "__main__":
    main()

"""The end of a run: its result document, pictures and report."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from workflows.graph.nodes import Estimate
from workflows.pipeline import STAGE_KEYS, RunContext
from workflows.store.files import write_json

PACKAGES = ("fieldguide", "ultralytics", "torch", "torchvision", "albumentations", "grad-cam", "numpy", "pillow")

ARTIFACTS = {
    "workflow": "workflow.yaml",
    "model": "model/model.safetensors",
    "model_card": "model/model.json",
    "predictions": "evaluation/predictions.parquet",
    "metrics": "evaluation/metrics.json",
    "suspected_labels": "evaluation/suspected_labels.csv",
    "explanations": "explanation/explanations.csv",
    "report": "report.html",
}


def result_document(context: RunContext) -> dict[str, Any]:
    """Return everything that is known of a run, as `train --json` prints it."""
    from workflows.recommend.estimate import compare_estimate
    from workflows.recommend.hardware import detect_hardware

    done = {key: context.answer(key) or {} for key in STAGE_KEYS}
    dataset, training, evaluation = done["dataset"], done["training"], done["evaluation"]
    device = done["workflow"]["device"]
    seconds = {key: answer["seconds"] for key, answer in done.items() if "seconds" in answer}
    estimate = done["workflow"]["estimate"]
    actual = sum(seconds.values())
    return {
        "run_id": context.run_id,
        "state": "running",
        "workflow": context.workflow.model_dump(mode="json"),
        "dataset": {name: dataset[name] for name in ("name", "version", "images", "classes")},
        "splits": {split: done["split"].get(split, 0) for split in ("train", "val", "test")},
        "import": dataset["import"],
        "findings": done["audit"].get("findings", []),
        "metrics": {"val": None, "test": None, **evaluation.get("metrics", {})},
        "suspected_labels": evaluation.get("suspected_labels", 0),
        "training": training,
        "weights": {name: done["model"].get(name) for name in ("origin", "sha256")},
        "seconds": seconds,
        "images_per_second": training.get("images_per_second"),
        "device": device,
        "hardware": detect_hardware(device).name,
        "estimate": estimate
        and {**estimate, "actual_seconds": actual, **compare_estimate(Estimate.model_validate(estimate), actual)},
        "versions": {"python": platform.python_version(), **_installed(PACKAGES)},
        "artifacts": artifacts(context.folder),
    }


def _installed(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of packages; one used from a plain folder (Fieldguide on a GPU machine) has none."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def artifacts(folder: Path) -> dict[str, str]:
    """Return the files that a run left for people, by name."""
    found = {name: folder / path for name, path in ARTIFACTS.items()}
    found |= {path.stem: path for path in sorted((folder / "evaluation").glob("*.csv"))}
    found |= {f"{path.stem}_picture": path for path in sorted((folder / "pictures").glob("*.png"))}
    return {name: str(path) for name, path in found.items() if path.exists()}


def draw_report(context: RunContext) -> dict[str, Any]:
    """Draw all pictures of a run and write its report."""
    from workflows.report.build import draw_run_pictures
    from workflows.report.html import build_report

    result = result_document(context)
    steps = context.store.runs.steps(context.run_id)
    pictures = draw_run_pictures(context.folder, result, steps, pixel_reader(context))
    context.progress("report", 1, 2)
    report = build_report(context.folder, result, steps)
    context.progress("report", 2, 2)
    return {"pictures": {name: str(path) for name, path in pictures.items()}, "report": str(report)}


def pixel_reader(context: RunContext) -> Callable[[str], np.ndarray]:
    """Return a function from an image id to the square that the network sees (uint8 [side, side, 3])."""
    from workflows.data.images import read_rgb
    from workflows.inference.model import load_card

    transform = load_card(context.folder / "model").transform
    hashes = context.records().set_index("image_id")["sha256"]
    return lambda image_id: transform(read_rgb(context.store.blobs.path(hashes[image_id])))


def finish(context: RunContext) -> dict[str, Any]:
    """Write the result of a run, record it as finished, and return the result."""
    result = result_document(context) | {"state": "finished"}
    write_json(context.folder / "result.json", result)
    context.store.runs.update(context.run_id, state="finished", result=result)
    return result

"""A small run's folder, made up but complete, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from tests.evaluation.cases import softmax
from workflows.evaluation.tables import evaluate_predictions
from workflows.store.files import write_table
from workflows.targets.single_label.label_errors import suspected_labels
from workflows.targets.single_label.tables import predictions_table

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=https://example.org/x onerror=alert(2)>',
    "雪豹",
    "قط بري",
    '=HYPERLINK("http://example.org")',
    "$\\alpha$ & $b$",
    "{{ 7 * 7 }}{% raw %}",
    "a name that never ends " * 12,
)


def pixels_of(image_id: str) -> NDArray[np.uint8]:
    """Return made-up pixels, different for each image."""
    return np.random.default_rng(int(image_id, 16)).integers(0, 255, (96, 96, 3), dtype=np.uint8)


def steps_table(epochs: int) -> pd.DataFrame:
    """Return the long table of metrics of a made-up training."""
    names = ["train/loss", "val/loss", "val/top1", "val/top5", "val/f1_macro", "val/ece", "val/average_confidence"]
    return pd.DataFrame(
        [
            {"step": step, "name": name, "value": 1.0 / (step + place)}
            for step in range(1, epochs + 1)
            for place, name in enumerate([*names, "learning_rate"], start=1)
        ],
        columns=["step", "name", "value"],
    )


def make_frame(
    classes: Sequence[str],
    images: int,
    *,
    splits: Sequence[str] = ("val", "test"),
    skill: float = 2.0,
    present: int | None = None,
) -> pd.DataFrame:
    """Make a predictions table; only the first `present` classes have images."""
    random = np.random.default_rng(0)
    labels = random.integers(0, present or len(classes), images)
    logits = random.normal(0.0, 1.5, (images, len(classes)))
    logits[np.arange(images), labels] += skill
    return predictions_table(
        [f"{index:016x}" for index in range(images)],
        [f"{classes[label]}/{index}.jpg" for index, label in enumerate(labels)],
        [splits[index % len(splits)] for index in range(images)],
        labels,
        softmax(logits),
        classes,
    )


def make_run(
    folder: Path,
    classes: Sequence[str] = ("ant", "bee", "cat"),
    *,
    images: int = 120,
    splits: Sequence[str] = ("val", "test"),
    skill: float = 2.0,
    present: int | None = None,
    temperature: float = 1.0,
) -> dict[str, Any]:
    """Write all tables of a run into `folder`, and return its result document."""
    frame = make_frame(classes, images, splits=splits, skill=skill, present=present)
    metrics = evaluate_predictions(folder / "evaluation", frame, classes, temperature=temperature)
    suspects = suspected_labels(None, frame)
    suspects.insert(1, "path", "photo.jpg")
    write_table(folder / "evaluation" / "suspected_labels.csv", suspects)
    write_table(folder / "records.parquet", frame[["image_id", "path", "split", "label"]])
    _explain(folder / "explanation", frame.head(3))
    return {
        "run_id": "made-up-run",
        "state": "running",
        "dataset": {"name": "animals", "version": 2, "images": images, "classes": list(classes)},
        "metrics": metrics,
        "workflow": _workflow(),
        "training": {"best_step": 2, "monitor": "top1", "images_per_second": 100.0},
        "seconds": {"training": 61.0, "evaluation": 2.5},
        "estimate": _workflow()["estimate"] | {"actual_seconds": 63.5, "within": True},
        "splits": {split: int((frame["split"] == split).sum()) for split in ("train", "val", "test")},
    }


def _explain(folder: Path, frame: pd.DataFrame) -> None:
    folder.mkdir(parents=True)
    rows = []
    for image, path, label, predicted in zip(
        frame["image_id"], frame["path"], frame["label"], frame["predicted"], strict=True
    ):
        for name in ("input", "eigen-cam"):
            Image.fromarray(pixels_of(image)).save(folder / f"{image}_{name}.png")
        rows.append(
            {
                "image_id": image,
                "method": "eigen-cam",
                "predicted": predicted,
                "confidence": 0.75,
                "target": predicted,
                "picture": f"/another/machine/{image}_eigen-cam.png",
                "path": path,
                "label": label,
            }
        )
    write_table(folder / "explanations.csv", pd.DataFrame(rows))


def _workflow() -> dict[str, Any]:
    return {
        "name": "animals, balanced",
        "goal": "balanced",
        "description": "For animals.",
        "nodes": [
            {"id": "model", "kind": "model", "settings": {"size": "n", "weights": "/somebody/private/net.safetensors"}},
            {"id": "evaluation", "kind": "evaluation", "settings": {"calibration_bins": 10}},
        ],
        "reasons": [
            {
                "node": "model",
                "field": "size",
                "value": "n",
                "because": "It is quick <b>enough</b>.",
                "source": "measured",
            }
        ],
        "estimate": {
            "seconds": 60.0,
            "seconds_low": 40.0,
            "seconds_high": 90.0,
            "memory_bytes": 800_000_000,
            "images_per_second": 100.0,
            "basis": "a guess",
        },
    }

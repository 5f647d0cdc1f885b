"""The report of a run: one HTML file that holds everything it shows.

No script, no external request: pictures are part of the file, and its content security policy forbids the
rest. Light and dark by the reader's system, always light on paper. Every text goes through autoescaping.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from workflows.errors import RunError
from workflows.evaluation.confusion import most_confused_pairs
from workflows.evaluation.predictions import read_predictions
from workflows.evaluation.tables import most_wrong
from workflows.report import words
from workflows.report.build import SHOWN, SPLIT_TITLES, TINY, best_step, calibration_bins, split_charts, suspected_of
from workflows.report.curves import learning_curves_picture
from workflows.report.findings import SPLIT_NAMES, cautions, data_cautions, f1_interval, findings, headline, origin_of
from workflows.report.tables import class_rows, explanation_rows, reason_rows, setting_rows, split_rows
from workflows.report.theme import DPI
from workflows.store.files import write_atomic

PAIRS_SHOWN = 15
EXPLAINED_SHOWN = 12
CLASSES_SHOWN = 40

# CSS pixels per inch.
CSS_DPI = 96


def build_report(run_folder: Path, result: Mapping[str, Any], steps: pd.DataFrame) -> Path:
    """Write `report.html` of a run into its folder, and return its path.

    Call after :func:`workflows.report.build.draw_run_pictures`, which keeps the photos to show.

    Args:
        run_folder: The run's folder; what is missing in it is left out of the report, or said to be missing.
        result: The run's result document (`metrics` of a split without images is None).
        steps: Long table of metrics: `step`, `name`, `value`.

    Raises:
        RunError: There are no predictions, or they hold neither a validation nor a test image.
        StorageError: The disk is full or read-only.
    """
    page = page_environment().get_template("template.html").render(report_contents(run_folder, result, steps))
    path = run_folder / "report.html"
    write_atomic(path, page.encode())
    return path


def report_contents(run_folder: Path, result: Mapping[str, Any], steps: pd.DataFrame) -> dict[str, Any]:
    """Gather everything that the template shows."""
    frame, classes = read_predictions(run_folder / "evaluation" / "predictions.parquet")
    metrics = {split: (result.get("metrics") or {}).get(split) for split in ("test", "val")}
    split = next((name for name, found in metrics.items() if found), None)
    main = metrics.get(split or "")
    if split is None or main is None:
        raise RunError(
            "There is nothing to report: neither the test nor the validation split was evaluated.",
            hint="Evaluate the run first: fieldguide evaluate RUN",
        )
    part = frame[frame["split"] == split]
    suspects = suspected_of(run_folder)
    return {
        "result": result,
        "now": datetime.now(UTC),
        "classes": list(classes),
        "numbers": {name: place for place, name in enumerate(classes, start=1)},
        "split": SPLIT_NAMES[split],
        "metrics": metrics,
        "main": main,
        "f1_ci95": f1_interval(part, classes),
        "headline": headline(main, split),
        "origin": origin_of(split),
        "cautions": cautions(metrics, split, part) + data_cautions(result),
        "findings": findings(main, part, classes, len(suspects)),
        "charts": _charts(part, classes, split, result, steps),
        "class_rows": class_rows(part, classes),
        "pairs": most_confused_pairs(part, PAIRS_SHOWN).to_dict("records"),
        "pair_count": len(most_confused_pairs(part)),
        "mistakes": int((~part["correct"].astype(bool)).sum()),
        **_galleries(run_folder, part, classes, suspects),
        **_workflow_contents(run_folder, result, classes, steps),
    }


def _workflow_contents(
    run_folder: Path, result: Mapping[str, Any], classes: tuple[str, ...], steps: pd.DataFrame
) -> dict[str, Any]:
    """Gather what is told of the data, the workflow and the course of the training."""
    workflow = dict(result.get("workflow") or {})
    return {
        "split_rows": split_rows(run_folder, classes),
        "reasons": reason_rows(workflow),
        "settings": setting_rows(workflow),
        "estimate": result.get("estimate") or workflow.get("estimate"),
        "best_step": best_step(result),
        "last_step": int(steps["step"].max()) if len(steps) else 0,
        "classes_shown": CLASSES_SHOWN,
        "files": _files(run_folder),
    }


def _charts(
    part: pd.DataFrame, classes: tuple[str, ...], split: str, result: Mapping[str, Any], steps: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    """Draw every chart on light and on dark paper: by name, `light` and `dark` as data URIs and `width` in CSS pixels."""
    charts: dict[str, dict[str, Any]] = {}
    for mode in ("light", "dark"):
        drawn = split_charts(part, classes, SPLIT_TITLES[split], bins=calibration_bins(result), mode=mode)
        if len(steps):
            drawn["learning_curves"] = learning_curves_picture(
                steps, best_step(result), mode=mode, classes=len(classes)
            )
        for name, png in drawn.items():
            charts.setdefault(name, {})[mode] = _data_uri(png, "png")
            charts[name]["width"] = round(Image.open(BytesIO(png)).width * CSS_DPI / DPI)
    return charts


def _galleries(
    run_folder: Path, part: pd.DataFrame, classes: tuple[str, ...], suspects: pd.DataFrame
) -> dict[str, Any]:
    """Gather the photos to show, each with what is said below it."""
    photos = run_folder / "pictures" / "photos"
    wrong = most_wrong(part, classes, SHOWN).to_dict("records")
    suspected = suspects.head(SHOWN).to_dict("records")
    explained = explanation_rows(run_folder, EXPLAINED_SHOWN)
    return {
        "wrong": [row | {"photo": _photo(photos, str(row["image_id"]))} for row in wrong],
        "suspects": [row | {"photo": _photo(photos, str(row["image_id"]))} for row in suspected],
        "suspect_count": len(suspects),
        "explained": [
            row
            | {
                "confidence": float(row.get("confidence") or "nan"),
                "input": _picture(row["input"]),
                "maps": [(method, _picture(path)) for method, path in row["maps"]],
            }
            for row in explained
        ],
    }


def _photo(folder: Path, image_id: str) -> dict[str, Any] | None:
    """Return a kept photo for the template, or None if it was not kept."""
    for suffix in (".jpg", ".png"):
        path = folder / f"{image_id}{suffix}"
        if path.is_file():
            return _picture(path)
    return None


def _picture(path: Path) -> dict[str, Any] | None:
    """Return a picture as `uri` and `tiny` (show its pixels, don't blur them), large ones as JPEG to spare space."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    with Image.open(BytesIO(content)) as picture:
        tiny = max(picture.size) <= TINY
        if picture.format == "PNG" and not tiny:
            stream = BytesIO()
            reduced = picture.convert("RGB")
            reduced.thumbnail((320, 320))
            reduced.save(stream, format="JPEG", quality=88)
            return {"uri": _data_uri(stream.getvalue(), "jpeg"), "tiny": False}
        return {"uri": _data_uri(content, "png" if picture.format == "PNG" else "jpeg"), "tiny": tiny}


def _files(run_folder: Path) -> list[str]:
    """List the run's tables and pictures, relative to its folder: a report that travels names no machine's paths."""
    found = [
        path
        for pattern in ("evaluation/*", "pictures/*.png", "model/*", "explanation/*.csv", "workflow.yaml")
        for path in run_folder.glob(pattern)
        if path.is_file() and not path.name.startswith(".")
    ]
    return sorted(path.relative_to(run_folder).as_posix() for path in found)


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


@cache
def page_environment() -> Environment:
    """Return the templates of this folder, with autoescaping and the words that they use."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": words.percent,
        "duration": words.duration,
        "bytes": words.size,
        "plain": words.plain,
        "counted": words.count,
        "listed": words.listed,
    }
    return environment

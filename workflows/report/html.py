"""The report of a run: one self-contained HTML file.

No script, no external request: pictures are embedded, and its content security policy forbids the
rest. Light or dark by the reader's system, always light in print. Every text is autoescaped.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from workflows.data.version import SPLIT_WORDS
from workflows.errors import RunError
from workflows.evaluation.predictions import read_predictions
from workflows.evaluation.thresholds import ReviewThreshold, judge_threshold
from workflows.palette import PALETTES
from workflows.report import words
from workflows.report.build import (
    SHOWN,
    SPLIT_TITLES,
    TINY,
    absent_from,
    calibration_bins,
    error_before,
    split_charts,
    suspected_of,
)
from workflows.report.curves import learning_curves_picture
from workflows.report.findings import cautions, data_cautions, f1_interval, findings, headline, origin_of
from workflows.report.tables import (
    class_rows,
    explanation_rows,
    further_evaluations,
    reason_rows,
    setting_rows,
    split_rows,
)
from workflows.report.theme import DPI
from workflows.store.files import write_atomic
from workflows.store.run_folder import PicturesFolder, RunFolder
from workflows.store.run_result import RunResult
from workflows.targets.metrics import AVERAGE_CONFIDENCE, ECE, F1, METRICS, PRECISION, RECALL, TOP1, TOP5
from workflows.targets.single_label.confusion import most_confused_pairs
from workflows.targets.single_label.tables import most_wrong
from workflows.words import signed

MEASURED = (TOP1, TOP5, F1, PRECISION, RECALL, AVERAGE_CONFIDENCE, ECE)
"""In the table of figures; the log loss, which is no share, and the number of photos follow them."""
PAIRS_SHOWN = 15
EXPLAINED_SHOWN = 12
CLASSES_SHOWN = 40

# CSS pixels per inch.
CSS_DPI = 96


def build_report(
    run_folder: RunFolder, result: RunResult, steps: pd.DataFrame, review: ReviewThreshold | None = None
) -> Path:
    """Write `report.html` of a run into its folder, and return its path.

    Call after :func:`workflows.report.build.draw_run_pictures`, which stores the photos to show.

    Args:
        run_folder: The run's folder; what is missing in it is left out of the report, or marked as missing.
        result: The run's result.
        steps: Long table of metrics: `step`, `name`, `value`.
        review: The classifier's review threshold; the default of a run that has just ended.

    Raises:
        RunError: There are no predictions, or they contain neither validation nor test images.
        StorageError: The disk is full or read-only.
    """
    contents = report_contents(run_folder, result, steps, review or ReviewThreshold())
    page = page_environment().get_template("template.html").render(contents)
    write_atomic(run_folder.report, page.encode())
    return run_folder.report


def report_contents(
    run_folder: RunFolder, result: RunResult, steps: pd.DataFrame, review: ReviewThreshold
) -> dict[str, Any]:
    """Return everything that the template shows."""
    frame, classes = read_predictions(run_folder.evaluation.predictions)
    metrics = {split: result.metrics.get(split) for split in ("test", "val")}
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
        "split": SPLIT_WORDS[split],
        "metrics": metrics,
        "further": further_evaluations(result),
        "main": main,
        "measured": MEASURED,
        "vocabulary": METRICS,
        "calibration": words.calibration_words(result.calibration),
        "review": [words.threshold_words(review), *_reviewed(frame, review)],
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


def _reviewed(frame: pd.DataFrame, review: ReviewThreshold) -> list[str]:
    """Return what the review threshold does on each split, measured now."""
    parts = {split: frame[frame["split"] == split] for split in ("test", "val")}
    judged = [
        judge_threshold(review.value, split, part["confidence"], part["correct"]) for split, part in parts.items()
    ]
    return [words.judged_words(each) for each in judged if each.images]


def _workflow_contents(
    run_folder: RunFolder, result: RunResult, classes: tuple[str, ...], steps: pd.DataFrame
) -> dict[str, Any]:
    """Return what the report shows of the data, the workflow and the training."""
    workflow = result.workflow
    return {
        "split_rows": split_rows(run_folder, classes),
        "reasons": reason_rows(workflow),
        "settings": setting_rows(workflow),
        "estimate": result.estimate or workflow.get("estimate"),
        "best_step": result.training.best_step,
        "last_step": int(steps["step"].max()) if len(steps) else 0,
        "classes_shown": CLASSES_SHOWN,
        "files": _files(run_folder),
    }


def _charts(
    part: pd.DataFrame, classes: tuple[str, ...], split: str, result: RunResult, steps: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    """Draw every chart on light and on dark paper: by name, `light` and `dark` as data URIs and `width` in CSS pixels."""
    charts: dict[str, dict[str, Any]] = {}
    for mode in ("light", "dark"):
        bins, before = calibration_bins(result), error_before(result, split)
        drawn = split_charts(part, classes, SPLIT_TITLES[split], bins=bins, before=before, mode=mode)
        if len(steps):
            drawn["learning_curves"] = learning_curves_picture(
                steps, result.training.best_step, mode=mode, classes=len(classes), absent=absent_from(result, "val")
            )
        for name, png in drawn.items():
            charts.setdefault(name, {})[mode] = _data_uri(png, "png")
            charts[name]["width"] = round(Image.open(BytesIO(png)).width * CSS_DPI / DPI)
    return charts


def _galleries(
    run_folder: RunFolder, part: pd.DataFrame, classes: tuple[str, ...], suspects: pd.DataFrame
) -> dict[str, Any]:
    """Return the photos to show, each with its caption."""
    photos = run_folder.pictures
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


def _photo(folder: PicturesFolder, image_id: str) -> dict[str, Any] | None:
    """Return a stored photo for the template, or None if it was not stored."""
    for suffix in (".jpg", ".png"):
        path = folder.photo(image_id, suffix)
        if path.is_file():
            return _picture(path)
    return None


def _picture(path: Path) -> dict[str, Any] | None:
    """Return a picture as `uri` and `tiny` (show its pixels without blurring), large ones as JPEG to save space."""
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


def _files(run_folder: RunFolder) -> list[str]:
    """List the run's tables and pictures, relative to its folder: a report may be sent to others and must not contain this machine's paths."""
    found = [
        run_folder.workflow,
        run_folder.explanation.table,
        *run_folder.pictures.path.glob("*.png"),
        *(path for folder in (run_folder.evaluation, run_folder.model) for path in folder.path.glob("*")),
    ]
    shown = (path for path in found if path.is_file() and not path.name.startswith("."))
    return sorted(path.relative_to(run_folder.path).as_posix() for path in shown)


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


@cache
def page_environment() -> Environment:
    """Return the templates of this folder, with autoescaping and the filters that they use."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"light": PALETTES["light"], "dark": PALETTES["dark"]}
    environment.filters |= {
        "percent": words.percent,
        "duration": words.duration,
        "bytes": words.size,
        "plain": words.plain,
        "counted": words.count,
        "without": words.without,
        "signed": signed,
    }
    return environment

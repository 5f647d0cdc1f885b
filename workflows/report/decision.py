"""The page of a retraining decision: why a challenger became champion, or why not."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from workflows.report.html import page_environment
from workflows.store.files import write_atomic
from workflows.targets.judged import OPTIMISTIC_COMPARISON, counted_images
from workflows.targets.metrics import METRICS

SHOWN_IMAGES = 24
PHOTO_SIDE = 224
TITLES = {
    "promoted": "The challenger is the new champion",
    "kept": "The champion stays",
    "unchanged": "Nothing to do",
    "stopped": "Stopped: the champion stays",
}

Thumbnail = Callable[[str], Path]


def write_decision_report(path: Path, document: Mapping[str, Any], thumbnail: Thumbnail | None = None) -> Path:
    """Write the page of a decision: one self-contained HTML file.

    Args:
        path: the file.
        document: the decision's document (see :mod:`workflows.retraining.retrain`).
        thumbnail: from an image id to its thumbnail; without it the images are only listed.

    Raises:
        StorageError: the disk is full or read-only.
    """
    comparison = (document.get("decision") or {}).get("comparison")
    changed = _changed(comparison, thumbnail) if comparison else {}
    page = page_environment().get_template("decision.html")
    content = page.render(
        document=document,
        title=TITLES[document["outcome"]],
        comparison=comparison,
        images=counted_images(comparison["images"], comparison["split"]) if comparison else "",
        caution=OPTIMISTIC_COMPARISON if comparison and comparison["split"] == "val" else "",
        metrics=METRICS,
        changed=changed,
        shown=SHOWN_IMAGES,
    )
    write_atomic(path, content.encode())
    return path


def _changed(comparison: Mapping[str, Any], thumbnail: Thumbnail | None) -> dict[str, list[dict[str, Any]]]:
    """Return the images that only one of the two got right, with their thumbnails."""
    found: dict[str, list[dict[str, Any]]] = {"broken": [], "mended": []}
    for row in comparison["changed"]:
        rows = found[row["change"]]
        photo = _photo(thumbnail(row["image_id"])) if thumbnail and len(rows) < SHOWN_IMAGES else None
        rows.append({**row, "photo": photo})
    return found


def _photo(path: Path) -> str:
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    stream = BytesIO()
    small.save(stream, format="JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"

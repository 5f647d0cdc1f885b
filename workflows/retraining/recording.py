"""Recording a decision about a champion: its document and its page, then its record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from workflows.data.rendering import Rendering
from workflows.data.thumbnails import thumbnail
from workflows.registry.models import champion_changed
from workflows.report.decision import write_decision_report
from workflows.store.files import to_plain, write_json
from workflows.store.models import DecisionRecord, ModelVersion
from workflows.store.store import Store
from workflows.store.tables import now
from workflows.targets.judged import judged_by

DOCUMENT_FILE, REPORT_FILE = "decision.json", "report.html"


def record_decision(
    store: Store,
    facts: Mapping[str, Any],
    images: pd.DataFrame,
    rendering: Rendering | None,
    promoted: Mapping[str, str] | None = None,
) -> DecisionRecord:
    """Write the document and the page of a decision, then its record, and with it the promotion; return the record.

    Args:
        store: where everything is kept.
        facts: `decision_id`, `model`, `trigger`, `outcome`, `reason`, `champion` and `challenger` (of :func:`brief_of`; the
            latter may be None), `data`, `changes` (None if they can't be known), `notes`, `rules` and `decision`; more is kept in the document.
        images: those compared (columns image_id, sha256).
        rendering: how they are rendered.
        promoted: `author` and `reason` of the challenger's promotion; None if the champion stays.

    Raises:
        ModelError: the challenger was to be the champion, but the champion is another one by now.
        StorageError: the disk is full or can't be written.
    """
    created: datetime = now()
    plain = to_plain({**facts, "created_at": created.isoformat()})
    folder = store.decision_folder(plain["decision_id"])
    write_json(folder / DOCUMENT_FILE, plain)
    hashes = dict(zip(images["image_id"], images["sha256"], strict=True))

    def small(image_id: str) -> Path:
        return thumbnail(store, hashes[image_id], rendering=rendering)

    write_decision_report(folder / REPORT_FILE, plain, small)
    challenger = plain["challenger"] or {}
    record = DecisionRecord(
        **{name: plain[name] for name in ("decision_id", "model", "trigger", "outcome", "reason")},
        champion=plain["champion"]["number"],
        challenger=challenger.get("number"),
        challenger_run=challenger.get("run_id"),
        document=plain,
        created_at=created,
    )
    if not store.models.add_decision(record, promoted):
        raise champion_changed(record.model)
    return record


def brief_of(version: ModelVersion) -> dict[str, Any]:
    """Return a version as a decision's document names it."""
    judged = judged_by(version.metrics)
    found = {name: getattr(version, name) for name in ("number", "run_id", "dataset", "version")}
    top1 = judged.top1 if judged and judged.split == "test" else None
    return {**found, "test_top1": top1, "judged": judged and judged.document()}

"""The tables of a report: from a run's files to rows of plain values."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pandas as pd

from workflows.errors import RunError
from workflows.evaluation.metrics import per_class_metrics
from workflows.store.files import FORMULA_STARTS

SPLITS = ("train", "val", "test")

Rows = list[dict[str, Any]]


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV of a run as text, each cell as it was before it was made safe for spreadsheets.

    Raises:
        RunError: The file is damaged.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} can't be read: {error}", hint="Evaluate the run again: fieldguide evaluate RUN"
        ) from error
    return table.map(_restored)


def _restored(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_STARTS) else cell


def split_rows(run_folder: Path, classes: tuple[str, ...]) -> Rows:
    """Return the images of each class in each split: `class`, `train`, `val`, `test`, `total`; empty if unknown."""
    path = run_folder / "records.parquet"
    if not path.exists():
        return []
    records = pd.read_parquet(path, columns=["label", "split"])
    counts = pd.crosstab(records["label"].astype(object), records["split"].astype(object))
    counts = counts.reindex(index=list(classes), columns=list(SPLITS), fill_value=0)
    counts["total"] = counts.sum(axis=1)
    return [{"class": name, **{str(key): int(value) for key, value in row.items()}} for name, row in counts.iterrows()]


def class_rows(part: pd.DataFrame, classes: tuple[str, ...]) -> Rows:
    """Return the figures of every class, the weakest (by F1) first, classes without images last."""
    table = per_class_metrics(part["label"], part["predicted"], part["confidence"], classes)
    table["number"] = range(1, len(table) + 1)
    table["absent"] = table["support"] == 0
    return _records(table.sort_values(["absent", "f1", "recall", "support"], ascending=[True, True, True, False]))


def reason_rows(workflow: dict[str, Any]) -> Rows:
    """Return what was chosen and why, node by node: `node`, `field`, `value`, `because`, `source`."""
    order = {node.get("id"): place for place, node in enumerate(workflow.get("nodes") or [])}
    reasons = [{**reason, "value": _portable(reason.get("value"))} for reason in workflow.get("reasons") or []]
    return sorted(reasons, key=lambda reason: order.get(reason.get("node"), len(order)))


def setting_rows(workflow: dict[str, Any]) -> Rows:
    """Return every setting of the workflow: `node`, `kind` and its `settings` as pairs."""
    return [
        {
            "node": node.get("id"),
            "kind": node.get("kind"),
            "settings": [(field, _portable(value)) for field, value in (node.get("settings") or {}).items()],
        }
        for node in workflow.get("nodes") or []
    ]


def _portable(value: Any) -> Any:
    """Return a setting without the folders of this machine: a report travels, and they are nobody's business."""
    is_path = isinstance(value, str) and (PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute())
    return PureWindowsPath(value).name if is_path else value


def explanation_rows(run_folder: Path, most: int) -> Rows:
    """Return the explained images: `image_id`, `label`, `predicted`, `confidence`, `path`, `input`, `maps`.

    `maps` are pairs of a method and its picture's path; pictures that no longer exist are left out.
    """
    folder = run_folder / "explanation"
    if not (folder / "explanations.csv").exists():
        return []
    rows: dict[str, dict[str, Any]] = {}
    for record in _records(read_csv(folder / "explanations.csv")):
        # by name within the folder: the run may have been moved since
        picture = folder / Path(str(record.get("picture", ""))).name
        image = str(record.get("image_id", record.get("path", "")))
        row = rows.setdefault(image, {**record, "input": folder / f"{image}_input.png", "maps": []})
        if picture.is_file():
            row["maps"].append((str(record.get("method", "")), picture))
    return [row for row in rows.values() if row["maps"]][:most]


def _records(table: pd.DataFrame) -> Rows:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]

"""The tables of a report: from a run's files to rows of plain values."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pandas as pd

from workflows.data.version import SPLITS
from workflows.errors import RunError
from workflows.store.files import FORMULA_STARTS
from workflows.store.run_folder import RunFolder
from workflows.store.run_result import RunResult
from workflows.targets.single_label.metrics import per_class_metrics

Rows = list[dict[str, Any]]


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV of a run as text, each cell as it was before being escaped for spreadsheets.

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


def split_rows(run_folder: RunFolder, classes: tuple[str, ...]) -> Rows:
    """Return the images of each class in each split: `class`, `train`, `val`, `test`, `total`; empty if unknown."""
    path = run_folder.records
    if not path.exists():
        return []
    records = pd.read_parquet(path, columns=["label", "split"])
    counts = pd.crosstab(records["label"].astype(object), records["split"].astype(object))
    counts = counts.reindex(index=list(classes), columns=list(SPLITS), fill_value=0)
    counts["total"] = counts.sum(axis=1)
    return [{"class": name, **{str(key): int(value) for key, value in row.items()}} for name, row in counts.iterrows()]


def class_rows(part: pd.DataFrame, classes: tuple[str, ...]) -> Rows:
    """Return the metrics of every class, the weakest (by F1) first, classes without images last."""
    table = per_class_metrics(part["label"], part["predicted"], part["confidence"], classes)
    table["number"] = range(1, len(table) + 1)
    table["absent"] = table["support"] == 0
    return _records(table.sort_values(["absent", "f1", "recall", "support"], ascending=[True, True, True, False]))


def further_evaluations(result: RunResult) -> Rows:
    """Return the evaluations other than the main one, one row per split: `node`, `data`, `split` and `metrics`."""
    own = f"{result.dataset.name} version {result.dataset.version}" if result.dataset.name else ""
    rows = []
    for key, answer in result.further.items():
        on = answer.get("dataset")
        data = f"{on['name']} version {on['version']}" if on else own
        for split, found in (answer.get("metrics") or {}).items():
            if found:
                rows.append({"node": key.partition(".")[2] or key, "data": data, "split": split, "metrics": found})
    return rows


def reason_rows(workflow: dict[str, Any]) -> Rows:
    """Return the choices and their reasons by node: `node`, `field`, `value`, `because`, `source`."""
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
    """Return a setting without the folders of this machine: a report may be sent to others."""
    is_path = isinstance(value, str) and (PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute())
    return PureWindowsPath(value).name if is_path else value


def explanation_rows(run_folder: RunFolder, most: int) -> Rows:
    """Return the explained images: `image_id`, `label`, `predicted`, `confidence`, `path`, `input`, `maps`.

    `maps` are pairs of a method and its picture's path; pictures that no longer exist are left out.
    """
    folder = run_folder.explanation
    if not folder.table.exists():
        return []
    rows: dict[str, dict[str, Any]] = {}
    for record in _records(read_csv(folder.table)):
        # by name within the folder: the run may have been moved since
        picture = folder.path / Path(str(record.get("picture", ""))).name
        image = str(record.get("image_id", record.get("path", "")))
        row = rows.setdefault(image, {**record, "input": folder.input(image), "maps": []})
        if picture.is_file():
            row["maps"].append((str(record.get("method", "")), picture))
    return [row for row in rows.values() if row["maps"]][:most]


def _records(table: pd.DataFrame) -> Rows:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]

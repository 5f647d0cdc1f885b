"""Numbers and tables as people read them in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

METRIC_TITLES = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "precision_macro": "precision (macro)",
    "recall_macro": "recall (macro)",
    "f1_macro": "F1 (macro)",
    "average_confidence": "average confidence",
    "ece": "expected calibration error",
    "log_loss": "log loss",
    "support": "images",
}


def percent(share: float | None) -> str:
    """0.9734 -> '97.3 %'."""
    return "-" if share is None else f"{100 * share:.1f} %"


def duration(seconds: float | None) -> str:
    """Seconds as '41 s', '3 min 5 s' or '2 h 10 min'."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size_of(count: float) -> str:
    """Bytes as '512 kB', '3.4 MB' or '2.1 GB'."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def metric(name: str, value: Any) -> str:
    """A metric's value: shares in percent, losses and counts as they are."""
    if value is None:
        return "-"
    if name == "support":
        return str(value)
    return f"{value:.4f}" if name in ("log_loss", "ece") else percent(value)


def headline(metrics: Mapping[str, Any]) -> str:
    """The one line about a split: accuracy with its confidence interval, over how many images."""
    low, high = metrics.get("top1_ci95") or (None, None)
    return (
        f"top-1 accuracy {percent(metrics['top1'])} "
        f"(95 % confidence: {percent(low)} to {percent(high)}; {metrics['support']} images)"
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> Table:
    """A plain table; columns whose name begins with `#` hold numbers and are set flush right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        made.add_column(
            column.removeprefix("#"), justify="right" if column.startswith("#") else "left", overflow="fold"
        )
    for row in rows:
        made.add_row(*(Text("-" if cell is None else str(cell)) for cell in row))
    return made


def metrics_table(metrics: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row for each metric, one column for each split."""
    splits = [split for split in metrics if metrics[split]]
    rows = [
        [title, *(metric(name, metrics[split].get(name)) for split in splits)] for name, title in METRIC_TITLES.items()
    ]
    return table(["metric", *(f"#{split}" for split in splits)], rows)

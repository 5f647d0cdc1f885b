"""Numbers and tables, formatted for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workflows.report.words import calibration_words as calibration_words
from workflows.report.words import judged_words as judged_words
from workflows.report.words import threshold_words as threshold_words
from workflows.report.words import without
from workflows.targets.judged import Judged
from workflows.targets.metrics import ECE, METRICS, TOP1, metric_of

if TYPE_CHECKING:
    from rich.table import Table


SQUARES = {"crop": "centre crop", "pad": "with grey borders", "stretch": "stretched to a square"}
"""How a photo becomes the network's square input."""


def percent(share: float | None) -> str:
    """0.9734 -> '97.3 %'."""
    return "-" if share is None else f"{100 * share:.1f} %"


def moment(at: datetime | None) -> str:
    """Return a time by this machine's clock, as '2026-03-30 03:00'; '-' for None."""
    return "-" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M}"


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
    form = METRICS[name].form
    if form == "count":
        return str(value)
    return percent(value) if form == "share" else f"{value:.4f}"


def with_absent(name: str, absent: Sequence[str], title: str | None = None) -> str:
    """A metric's title (`title`, if another is given); where it is a mean over classes, with the classes left out."""
    known = metric_of(name)
    shown = title if title is not None else known.title if known else name
    return f"{shown}, {without(absent)}" if absent and known and known.over_classes else shown


def headline(judged: Judged) -> str:
    """The one line about an accuracy: with its confidence interval, and on how many of which images."""
    found = interval(judged)
    return f"{TOP1.title} {percent(judged.top1)}{f' (95 % interval {found})' if found else ''} on {judged.counted}"


def interval(judged: Judged | None) -> str:
    """The confidence interval of an accuracy: '91.2 to 95.0 %'; empty if it is not known."""
    if judged is None or judged.interval is None:
        return ""
    low, high = judged.interval
    return f"{100 * low:.1f} to {percent(high)}"


JUDGED_COLUMNS = ("#top-1", "95 % interval", "judged on")


def judged_cells(judged: Judged | None) -> list[str]:
    """The cells below :data:`JUDGED_COLUMNS`."""
    return ["-", "", "not evaluated"] if judged is None else [percent(judged.top1), interval(judged), judged.counted]


def verdict(judged: Judged | None) -> list[str]:
    """An accuracy as lines of text: the headline, and what weakens it."""
    if judged is None:
        return ["It was not evaluated."]
    return [f"{headline(judged)[:1].upper()}{headline(judged)[1:]}.", *filter(None, [judged.caution])]


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


def metrics_table(metrics: Mapping[str, Mapping[str, Any] | None]) -> Table:
    """One row for each metric, one column for each split."""
    judged = {split: found for split, found in metrics.items() if found}
    known = [name for name in METRICS if any(name in found for found in judged.values())]
    rows = [[METRICS[name].title, *(_cell(found, name) for found in judged.values())] for name in known]
    before = [found.get("uncalibrated") or {} for found in judged.values()]
    if any(before):
        place = known.index(ECE.name) + 1
        rows.insert(place, ["  before calibration", *(metric(ECE.name, each.get(ECE.name)) for each in before)])
    return table(["metric", *(f"#{split}" for split in judged)], rows)


def _cell(found: Mapping[str, Any], name: str) -> str:
    return with_absent(name, found.get("absent") or (), metric(name, found.get(name)))

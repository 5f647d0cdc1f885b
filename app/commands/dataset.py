"""`fieldguide dataset ...`: photos in, and out again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import AsJson, ExportFormat, Seed, example, parse_shares
from app.output import Output
from app.words import table

if TYPE_CHECKING:
    from workflows.data.reports import ImportReport
    from workflows.data.version import DatasetVersion

commands = typer.Typer(help="Bring labelled photos in, look at them, take them out again.", no_args_is_help=True)

SHOWN_PROBLEMS = 10
VersionOption = Annotated[int | None, typer.Option("--version", min=1, help="Version number; the newest by default.")]


@commands.command(
    epilog=example(
        "fieldguide dataset add flowers photos/flowers",
        "fieldguide dataset add flowers flowers.zip",
        "fieldguide dataset add birds photos --labels labels.csv --split 80/10/10 --group-by 'camera(\\d+)'",
        "fieldguide dataset add street upload.zip --unlabelled",
    )
)
def add(
    name: Annotated[str, typer.Argument(help="What to call the data set; an existing one gets a new version.")],
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder, zip or tar with one sub-folder per class, or with train/val/test above them, or of images."
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(help="A CSV file with the columns filename and label, or an export of Label Studio or CVAT."),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="The label file's encoding; UTF-8 by default.")] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Take all images without a label, to be labelled later.")
    ] = False,
    split: Annotated[str, typer.Option(help="Shares of train/val/test, in percent.")] = "70/15/15",
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX|COLUMN",
            help="Images that agree in this stay on one side of the split: a pattern on the path, or a CSV column.",
        ),
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Drop images that the source no longer holds; without it they stay.")
    ] = False,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="Take the source's labels and images even where they were corrected here.")
    ] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Import photos: check every image, split them, and keep them as a new version."""
    out = Output(as_json)
    ratios = parse_shares(split)
    from app.bars import Bars
    from workflows.data.importing import add_dataset
    from workflows.store.store import Store

    with Bars(out) as bars:
        report = add_dataset(
            Store(),
            name,
            source,
            labels=labels,
            ratios=ratios,
            group_by=group_by,
            seed=seed,
            mirror=mirror,
            encoding=encoding,
            unlabelled=unlabelled,
            afresh=afresh,
            progress=bars,
        )
    out.answer(report.to_dict(), *told(report))


def told(report: ImportReport) -> list[Any]:
    """The import report in words: counts, what was left out and why, the splits."""
    version = report.version
    lines: list[Any] = [
        f"{version.name}, version {version.number}: {version.images} images, {len(version.classes)} classes",
        f"{report.accepted} accepted, {report.rejected} rejected, {report.ignored} ignored of {report.total} files",
    ]
    lines += report.notes
    left_out = report.left_out()
    if left_out:
        rows = [[entry.outcome, entry.path, entry.reason] for entry in left_out[:SHOWN_PROBLEMS]]
        lines.append(table(["outcome", "file", "why"], rows))
        if len(left_out) > SHOWN_PROBLEMS:
            lines.append(f"and {len(left_out) - SHOWN_PROBLEMS} more: see import.json in {version.folder}")
    if not version.classes:
        return [*lines, f"Next: give labels, e.g. fieldguide dataset relabel {version.name} labels.csv"]
    return [*lines, _splits(version), f"Next: fieldguide train {version.name}"]


def _splits(version: DatasetVersion) -> Any:
    counts = version.split_counts()
    rows = [[label, *(int(value) for value in row)] for label, row in zip(counts.index, counts.to_numpy(), strict=True)]
    return table(["class", *(f"#{split}" for split in counts.columns)], rows)


@commands.command("list", epilog=example("fieldguide dataset list"))
def list_(as_json: AsJson = False) -> None:
    """List the data sets with their newest version."""
    out = Output(as_json)
    from workflows.data.catalog import list_datasets
    from workflows.store.store import Store

    versions = list_datasets(Store())
    rows = [[v.name, v.number, v.images, len(v.classes), f"{v.created_at:%Y-%m-%d %H:%M}", v.source] for v in versions]
    shown = table(["name", "#version", "#images", "#classes", "made", "source"], rows)
    none = "No data sets yet. Bring one in: fieldguide dataset add NAME FOLDER"
    out.answer([_facts(version) for version in versions], shown if versions else none)


@commands.command(epilog=example("fieldguide dataset show flowers"))
def show(
    name: Annotated[str, typer.Argument(help="The data set.")],
    version: VersionOption = None,
    as_json: AsJson = False,
) -> None:
    """Show one data set: its classes, splits, where it came from and, if it was fetched, under which licence."""
    out = Output(as_json)
    from workflows.data.cards import kept_card
    from workflows.data.catalog import get_version
    from workflows.data.quarantine import quarantined
    from workflows.store.store import Store

    store = Store()
    found = get_version(store, name, version)
    card = kept_card(store, name)
    facts = _facts(found) | ({"licence": card.licence, "terms": card.terms, "origin": card.origin} if card else {})
    rejected = quarantined(store, name)
    if rejected:
        facts |= {"rejected": len(rejected), "quarantine": store.quarantine_folder(name)}
    lines = [f"{key}: {value}" for key, value in facts.items() if key not in ("classes", "splits")]
    out.answer(facts, "\n".join(lines), _splits(found))


def _facts(version: DatasetVersion) -> dict[str, Any]:
    labels = version.table()["label"]
    return {
        "name": version.name,
        "version": version.number,
        "images": version.images,
        "classes": list(version.classes),
        "splits": {split: int(count) for split, count in version.split_counts().sum().items()},
        "unlabelled": int(labels.isna().sum()),
        "given_split": version.given_split,
        "source": version.source,
        "created_at": version.created_at,
        "author": version.author,
        "action": version.action,
        "reason": version.reason,
        "fingerprint": version.fingerprint,
        "folder": version.folder,
    }


@commands.command(epilog=example("fieldguide dataset export flowers /tmp/flowers --format folders"))
def export(
    name: Annotated[str, typer.Argument(help="The data set.")],
    dest: Annotated[Path, typer.Argument(help="An empty or new folder.")],
    format: Annotated[
        ExportFormat, typer.Option(help="folders: split/class/file; csv: images and a labels.csv.")
    ] = ExportFormat.folders,
    version: VersionOption = None,
    as_json: AsJson = False,
) -> None:
    """Write a data set out as folders or as images with a CSV file."""
    out = Output(as_json)
    from workflows.data.catalog import export_dataset, get_version
    from workflows.store.store import Store

    store = Store()
    found = get_version(store, name, version)
    export_dataset(store, name, dest, format.value, found.number)
    document = {"name": found.name, "version": found.number, "images": found.images, "folder": dest.resolve()}
    out.answer(document, f"{found.images} images of {found.name} (version {found.number}) written to {dest}")

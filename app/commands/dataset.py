"""`fieldguide dataset ...`: importing, editing and exporting photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import (
    AsJson,
    DatasetArgument,
    ExportFormat,
    FilenameColumn,
    LabelColumn,
    Search,
    Seed,
    Starred,
    TagFilter,
    example,
)
from app.output import Output
from app.request_options import parse_shares
from app.words import moment, table

if TYPE_CHECKING:
    from workflows.data.reports import ImportReport
    from workflows.data.version import DatasetVersion
    from workflows.store.store import Store

commands = typer.Typer(help="Import, inspect, edit and export labelled photos.", no_args_is_help=True)

SHOWN_PROBLEMS = 10
VersionOption = Annotated[int | None, typer.Option("--version", min=1, help="Version number; the newest by default.")]


@commands.command(
    epilog=example(
        "fieldguide dataset add flowers photos/flowers",
        "fieldguide dataset add flowers flowers.zip",
        "fieldguide dataset add birds photos --labels labels.csv --split 80/10/10 --group-by 'camera(\\d+)'",
        "fieldguide dataset add wild photos --labels table.csv --filename-column File --label-column Species",
        "fieldguide dataset add street upload.zip --unlabelled",
    )
)
def add(
    name: Annotated[str, typer.Argument(help="Name of the data set; an existing one gets a new version.")],
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder, zip or tar with one sub-folder per class, or with train/val/test above them, or of images."
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="A CSV file with the columns filename and label, or with one column of 0 and 1 for each class; a list "
            "of images and numbers; or an export of Label Studio, CVAT, Datumaro or FiftyOne."
        ),
    ] = None,
    filename_column: FilenameColumn = None,
    label_column: LabelColumn = None,
    encoding: Annotated[str | None, typer.Option(help="The label file's encoding; UTF-8 by default.")] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Import all images without labels, to be labelled later.")
    ] = False,
    with_unlabelled: Annotated[
        bool,
        typer.Option(
            "--with-unlabelled",
            help="Also import images without a label: outside the class folders, or not in the label file.",
        ),
    ] = False,
    class_level: Annotated[
        int,
        typer.Option(
            metavar="LEVEL",
            help="Which folders are the classes: 1 the top folders, 2 the folders inside them (group/class/photo), and so on.",
        ),
    ] = 1,
    split: Annotated[str, typer.Option(help="Shares of train/val/test, in percent.")] = "70/15/15",
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX|COLUMN",
            help="Images that agree in this stay on one side of the split: a pattern on the path, or a CSV column.",
        ),
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Remove images that are no longer in the source; by default they stay.")
    ] = False,
    discard_corrections: Annotated[
        bool,
        typer.Option(
            "--discard-corrections", help="Use the source's labels and images even where they were corrected here."
        ),
    ] = False,
    afresh: Annotated[
        bool, typer.Option("--afresh", hidden=True, help="The former name of --discard-corrections.")
    ] = False,
    bands: Annotated[
        str | None,
        typer.Option(
            metavar="R,G,B",
            help="Bands of TIFF files to show as red, green and blue, or one as grey; the first three by default.",
        ),
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Import photos: check every image, split them, and store them as a new version."""
    out = Output(as_json)
    ratios = parse_shares(split)
    from app.progress_bars import ProgressBars
    from workflows.data.columns import Columns
    from workflows.data.importing import add_dataset
    from workflows.data.naming import dataset_called
    from workflows.data.sources import Reading
    from workflows.data.survey import parse_bands
    from workflows.store.store import Store

    with ProgressBars(out) as bars:
        store = Store()
        report = add_dataset(
            store,
            dataset_called(store, name),
            source,
            labels=labels,
            ratios=ratios,
            group_by=group_by,
            seed=seed,
            mirror=mirror,
            reading=Reading(encoding, Columns(filename_column, label_column), unlabelled, with_unlabelled, class_level),
            afresh=discard_corrections or afresh,
            bands=parse_bands(bands) if bands is not None else None,
            progress=bars,
        )
    out.answer(report.to_dict(), *report_lines(report, out))


def report_lines(report: ImportReport, out: Output) -> list[Any]:
    """The import report as text: counts, what was left out and why, the splits."""
    version = report.version
    lines: list[Any] = [
        f"{version.name}, version {version.number}: {version.images} images, {len(version.classes)} classes",
        f"{report.accepted} accepted, {report.rejected} rejected, {report.ignored} ignored of {report.total} files",
    ]
    if report.already:
        lines.append(f"{report.already_words()} `known` of --json has their ids.")
    lines += report.notes
    left_out = report.left_out()
    if left_out:
        rows = [[entry.outcome, entry.path, entry.reason] for entry in left_out[:SHOWN_PROBLEMS]]
        lines.append(table(["outcome", "file", "why"], rows))
        if len(left_out) > SHOWN_PROBLEMS:
            whole = (f"{entry.outcome}\t{entry.path}\t{entry.reason}" for entry in left_out)
            lines.append(f"All {len(left_out):,}: {out.whole_list(whole, '`entries`')}")
    if not version.classes:
        return [*lines, f"Next: add labels, e.g. fieldguide dataset relabel {version.name} labels.csv"]
    return [*lines, _splits(version), f"Next: fieldguide train {version.name}"]


def _splits(version: DatasetVersion) -> Any:
    counts = version.split_counts()
    rows = [[label, *(int(value) for value in row)] for label, row in zip(counts.index, counts.to_numpy(), strict=True)]
    return table(["class", *(f"#{split}" for split in counts.columns)], rows)


@commands.command("list", epilog=example("fieldguide dataset list"))
def list_(search: Search = "", tag: TagFilter = None, starred: Starred = False, as_json: AsJson = False) -> None:
    """List the data sets with their newest version."""
    out = Output(as_json)
    from workflows.data.catalog import list_datasets
    from workflows.store.store import Store

    store = Store()
    known, marks = list_datasets(store), store.marks.all("dataset")
    wanted = store.marks.among("dataset", [version.name for version in known], search, tag or (), starred)
    versions = [version for version in known if version.name in wanted]
    rows = [
        [
            v.name,
            marks[v.name].words if v.name in marks else "",
            v.number,
            v.images,
            len(v.classes),
            moment(v.created_at),
            v.source,
        ]
        for v in versions
    ]
    shown = table(["id", "name", "#version", "#images", "#classes", "made", "source"], rows)
    none = "No data set matches." if known else "No data sets yet. Import one: fieldguide dataset add NAME FOLDER"
    out.answer([_facts(version, store) for version in versions], shown if versions else none)


@commands.command(epilog=example("fieldguide dataset show flowers"))
def show(
    name: DatasetArgument,
    version: VersionOption = None,
    as_json: AsJson = False,
) -> None:
    """Show one data set: its classes, splits, source and, if it was fetched, its licence."""
    out = Output(as_json)
    from workflows.data.cards import saved_card
    from workflows.data.catalog import get_version
    from workflows.data.quarantine import quarantined
    from workflows.store.store import Store

    store = Store()
    found = get_version(store, name, version)
    card = saved_card(store, name)
    facts = _facts(found, store) | (
        {"licence": card.licence, "terms": card.terms, "origin": card.origin} if card else {}
    )
    rejected = quarantined(store, name)
    if rejected:
        facts |= {"rejected": len(rejected), "quarantine": store.quarantine_folder(name)}
    lines = [f"{key}: {value}" for key, value in facts.items() if key not in ("classes", "splits")]
    out.answer(facts, "\n".join(lines), _splits(found))


def _facts(version: DatasetVersion, store: Store) -> dict[str, Any]:
    labels = version.table()["label"]
    return {
        "name": version.name,
        **store.marks.get("dataset", version.name).document(),
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
    name: DatasetArgument,
    dest: Annotated[Path, typer.Argument(help="An empty or new folder.")],
    format: Annotated[
        ExportFormat, typer.Option(help="folders: split/class/file; csv: images and a labels.csv.")
    ] = ExportFormat.folders,
    version: VersionOption = None,
    as_json: AsJson = False,
) -> None:
    """Write a data set out as folders or as images with a CSV file."""
    out = Output(as_json)
    from workflows.data.catalog import get_version
    from workflows.data.exporting import export_dataset
    from workflows.store.store import Store

    store = Store()
    found = get_version(store, name, version)
    exported = export_dataset(store, name, dest, format.value, found.number)
    document = {
        "name": found.name,
        "version": found.number,
        "images": found.images,
        "folder": dest.resolve(),
        "renamed": dict(exported.renamed),
        "table": exported.table,
    }
    lines: list[Any] = [f"{found.images} images of {found.name} (version {found.number}) written to {dest}"]
    renamed = sorted(exported.renamed.items())
    if renamed:
        lines.append(table(["class", "its folder, since the name is not possible for a folder"], renamed))
    if exported.table:
        lines.append(f"{exported.table} has the true classes and splits; an import of the folder reads it.")
    out.answer(document, *lines)

"""`fieldguide dataset suspects`: labels that are probably wrong, before anything is trained on them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.commands.dataset import VersionOption
from app.options import AsJson, DatasetArgument, Device, example
from app.output import Output
from app.words import table as text_table


def suspects(
    name: DatasetArgument,
    version: VersionOption = None,
    weights: Annotated[
        str, typer.Option(metavar="auto|FILE", help="Pretrained weights of YOLOv8n-cls that give the features.")
    ] = "auto",
    trust: Annotated[bool, typer.Option("--trust", help="Read a .pt file whose checksum is not known.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Also show labels that are only less probable than another class.")
    ] = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Find labels that are probably wrong, with classifiers that were not trained on the label in question.

    Every image is classified by a linear classifier fitted on the other images (5-fold cross-validation), on features of
    the pretrained network. It needs no training, and takes seconds to minutes. Labels that were confirmed in the studio
    are left out. With --json: a list of path, label, suggested, score and suspected.
    """
    out = Output(as_json)
    from app.progress_bars import ProgressBars
    from workflows.data.catalog import get_version
    from workflows.data.label_checks import CHECK_FILE, OPEN, standing
    from workflows.inference.label_check import check_version
    from workflows.store.store import Store
    from workflows.targets.single_label.suspects import limits, summary

    store = Store()
    found = get_version(store, name, version)
    with ProgressBars(out) as bars:
        check = check_version(store, found, weights=weights, device=device, trust=trust, progress=bars)
    labels = found.table().set_index("image_id")["label"]
    table = standing(check.table, labels, store.confirmed_labels.of(name))
    table = table[table["state"] == OPEN].drop(columns="state")
    shown = table if every else table[table["suspected"]]
    rows = [[row.path, row.label, row.suggested, f"{row.score:.3f}", row.split] for row in shown.itertuples()]
    lines: list[Any] = [*summary(check), *limits(check, full=str(found.folder / CHECK_FILE))]
    if as_json and check.blind:
        out.note(check.blind)
    more = f"To correct one: fieldguide dataset relabel {name} PATH=LABEL"
    columns = ["file", "label", "suggested", "#score", "split"]
    if rows:
        lines += [text_table(columns, rows), more]
    out.answer(table, *lines)


def register(commands: typer.Typer) -> None:
    """Add the verb to `fieldguide dataset`."""
    commands.command(epilog=example("fieldguide dataset suspects flowers"))(suspects)

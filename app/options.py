"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from app.request_options import option_of
from workflows.errors import StorageError
from workflows.requests import TrainRequest

PANEL = "Main commands"
"""Heading of the verbs that one works with, in the list of all."""


class Split(StrEnum):
    """Images that were not trained on."""

    val = "val"
    test = "test"


class ExportFormat(StrEnum):
    """Formats of an export."""

    folders = "folders"
    csv = "csv"


FilenameColumn = Annotated[str | None, option_of(TrainRequest, "filename_column")]
LabelColumn = Annotated[str | None, option_of(TrainRequest, "label_column")]
Seed = Annotated[int, option_of(TrainRequest, "seed")]
Device = Annotated[str, option_of(TrainRequest, "device")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document on stdout.")]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run: its id, an unambiguous prefix, its name, or `latest`.")
]
ClassifierArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL|RUN",
        help="A model (its champion), a version of it as in `birds:2`, or a run: its id, a prefix, or `latest`.",
    ),
]


Search = Annotated[
    str, typer.Option("--search", metavar="TEXT", help="Only those with this in their id, name, note or tags.")
]
TagFilter = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="Only those with this tag; may be repeated.")
]
Starred = Annotated[bool, typer.Option("--starred", help="Only those with a star.")]


def _id_of_dataset(text: str) -> str:
    from workflows.data.naming import dataset_called
    from workflows.store.store import Store

    try:
        return dataset_called(Store(), text) if text else text
    except StorageError:
        return text  # the command opens the store, too, and reports it


DatasetArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The data set: its id or its name.", callback=_id_of_dataset)
]


def example(*lines: str) -> str:
    """The epilog of a verb's `--help`: commands to copy."""
    return "\n\n".join(["Example:", *lines])

"""The command line: `fieldguide VERB ...`.

Exit codes: 0 done, 1 failed, 2 bad usage, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import errno
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from app.commands import (
    alerts,
    dataset,
    dataset_audit,
    dataset_edits,
    dataset_fetch,
    dataset_history,
    dataset_suspects,
    demo,
    doctor,
    marks,
    models,
    runs,
    schedule,
    serve,
    train,
    tune,
    up,
    use,
    watch,
    workflow,
)
from app.output import Output
from workflows.errors import FieldguideError, StorageError

STOPPED = 130
DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)

app = typer.Typer(
    name="fieldguide",
    help="The self-hosted studio for image classifiers: photos in; an evaluated, explained, reusable classifier out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fieldguide {version('fieldguide')}")
        raise typer.Exit


@app.callback(epilog="Start with: fieldguide train FOLDER, where FOLDER has one sub-folder of photos for each class.")
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


up.register(app)
train.register(app)
tune.register(app)
use.register(app)
serve.register(app)
dataset_edits.register(dataset.commands)
dataset_history.register(dataset.commands)
dataset_audit.register(dataset.commands)
dataset_suspects.register(dataset.commands)
dataset_fetch.register(dataset.commands)
marks.register(runs.commands, dataset.commands)
app.add_typer(dataset.commands, name="dataset", rich_help_panel="Further commands")
app.add_typer(workflow.commands, name="workflow", rich_help_panel="Further commands")
app.add_typer(runs.commands, name="runs", rich_help_panel="Further commands")
app.add_typer(models.commands, name="models", rich_help_panel="Further commands")
schedule.register(app)
watch.register(app)
alerts.register(app)
demo.register(app)
doctor.register(app)


def main() -> None:
    """Run the command line and exit. Our own errors are shown as messages; anything else is a bug and shows its traceback."""
    try:
        app()
    except FieldguideError as error:
        (Output.current or Output()).fail(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except BrokenPipeError:  # the reader closed the pipe (`| head`)
        if Output.current is not None:
            Output.current.discard()
        sys.exit(1)
    except OSError as error:  # raised inside a library: our own code reports such errors where they happen
        if error.errno not in DISK_TROUBLE:
            raise
        where = f": {error.filename}" if error.filename else ""
        trouble = StorageError(f"{error.strerror}{where}.", "`fieldguide doctor` shows the free space.")
        (Output.current or Output()).fail(trouble)
        sys.exit(trouble.exit_code)

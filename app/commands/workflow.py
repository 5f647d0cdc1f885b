"""`fieldguide workflow ...`: recommended, shown and checked graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.options import AsJson, DatasetArgument, example
from app.output import Output
from app.request_options import Options, options_from, request_of
from workflows.requests import TrainRequest

commands = typer.Typer(help="Recommend a workflow with reasons, show it, check it.", no_args_is_help=True)

WorkflowFile = Annotated[Path, typer.Argument(metavar="FILE", help="A workflow in YAML.")]


@commands.command(epilog=example("fieldguide workflow recommend flowers --goal balanced -o flowers.yaml"))
@options_from(
    TrainRequest,
    only=("goal", "size", "epochs", "minutes", "weights", "device", "seed"),
    defaults={"weights": "auto", "device": "auto", "seed": 0},
)
def recommend(
    name: DatasetArgument,
    options: Options,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the workflow to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Recommend a workflow for a data set: every choice with its reason, and the expected cost."""
    out = Output(as_json)
    request = request_of(TrainRequest, options)
    from app.progress_bars import ProgressBars
    from workflows.data.catalog import get_version
    from workflows.graph.workflow import dumps
    from workflows.recommend.advice import recommend_for
    from workflows.store.files import write_atomic
    from workflows.store.store import Store

    store = Store()
    with ProgressBars(out) as bars:
        workflow = recommend_for(
            store,
            get_version(store, name),
            request.goal,
            image_size=request.size,
            epochs=request.epochs,
            minutes=request.minutes,
            weights=request.weights or "auto",
            device=request.device or "auto",
            seed=request.seed or 0,
            progress=bars,
        )
    if output is not None:
        write_atomic(output, dumps(workflow).encode())
        out.note(f"Written to {output}. Run it with: fieldguide train {name} --workflow {output}")
    if as_json:
        out.answer(workflow)
    elif output is None:
        out.text(dumps(workflow))


@commands.command(
    epilog=example("fieldguide workflow show flowers.yaml", "fieldguide workflow show flowers.yaml --mermaid")
)
def show(
    file: WorkflowFile,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Draw it in Mermaid's language.")] = False,
    graphviz: Annotated[bool, typer.Option("--graphviz", help="Draw it in Graphviz' language.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw a workflow: for the terminal with its reasons, or as Mermaid or Graphviz text."""
    out = Output(as_json)
    from workflows.graph.drawing import to_graphviz, to_mermaid, to_text
    from workflows.graph.workflow import load_workflow

    workflow = load_workflow(file)
    if as_json:
        out.answer(workflow)
    else:
        out.text(to_mermaid(workflow) if mermaid else to_graphviz(workflow) if graphviz else to_text(workflow))


@commands.command(epilog=example("fieldguide workflow check flowers.yaml"))
def check(file: WorkflowFile, as_json: AsJson = False) -> None:
    """Check a workflow; report every bad node and field at once."""
    out = Output(as_json)
    from workflows.errors import WorkflowError
    from workflows.graph.workflow import load_workflow

    try:
        workflow = load_workflow(file)
    except WorkflowError as error:
        if not as_json:
            raise
        out.answer({"file": file, "ok": False, "error": error.message, "problems": error.problems})
        raise typer.Exit(error.exit_code) from error
    text = f"{file} is valid: {len(workflow.nodes)} nodes, {workflow.training.epochs} epochs."
    out.answer({"file": file, "ok": True, "problems": [], "name": workflow.name}, text)

"""`fieldguide tune`: search for a better workflow within a budget."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import AsJson, Device, Epochs, Goal, GoalOption, Seed, Size, check_size, example
from app.output import Output
from app.words import duration, headline, percent, table
from workflows.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from workflows.store.store import Store
    from workflows.tuning.study import Tuning


class RefitOn(StrEnum):
    """What the winner is trained on."""

    train = "train"
    train_and_val = "train+val"


_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def tune(
    dataset: Annotated[str, typer.Argument(help="The data set; not needed with --resume, --show or --list.")] = "",
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Computing time in all, e.g. 90s, 20m or 2h.")
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all.")] = None,
    workflow: Annotated[Path | None, typer.Option(help="The workflow (YAML) to start from.")] = None,
    goal: GoalOption = Goal.balanced,
    size: Size = None,
    epochs: Epochs = None,
    weights: Annotated[str | None, typer.Option(help="First weights: auto, none, or a file.")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on with a tuning, or help one as a second worker.")
    ] = None,
    worker: Annotated[int, typer.Option(min=0, help="Number of this worker, where several work on one tuning.")] = 0,
    show: Annotated[str | None, typer.Option(metavar="ID", help="Show a tuning's trials and what mattered.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List all tunings.")] = False,
    allow: Annotated[list[str] | None, typer.Option(help="An audit finding that doesn't stop the training.")] = None,
    refit: Annotated[
        RefitOn, typer.Option(help="What the winner is trained on before its one test; train+val: for a fixed time.")
    ] = RefitOn.train,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Search for a better workflow: start from the recommended one, end hopeless trials early, test the winner once."""
    out = Output(as_json)
    check_size(size)
    from workflows.store.store import Store

    store = Store()
    if list_:
        return _list(out, store)
    if show is not None:
        return _show(out, store, show)
    wishes = {"goal": goal.value, "size": size, "epochs": epochs, "weights": weights, "seed": seed}
    wishes["refit"] = refit.value
    if resume is None:
        limits = {"trials": trials, "budget_seconds": None if budget is None else seconds_of(budget)}
        tuning = _begin(store, dataset, workflow, {**wishes, **limits, "device": device, "allow": allow or ()})
    else:
        from workflows.tuning.study import open_tuning

        tuning = open_tuning(store, resume)
    out.note(f"Tuning {tuning.study_id}; if it is cut off: fieldguide tune --resume {tuning.study_id}")
    from app.bars import Bars
    from flows.searching import tune_now

    with Bars(out) as bars:
        result = tune_now(store, tuning, bars, worker)
    out.answer(result, *_told(result))
    return None


def seconds_of(text: str) -> float:
    """Read `90s`, `20m` or `1.5h` as seconds. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)", text.strip().lower())
    if not found or float(found[1]) <= 0:
        raise UsageError(f"{text!r} is no length of time.", "For example: 90s, 20m, 2h")
    return float(found[1]) * _UNITS[found[2]]


def _begin(store: Store, dataset: str, workflow: Path | None, wishes: dict[str, Any]) -> Tuning:
    if not dataset:
        raise UsageError("Which data set is to be tuned on?", "For example: fieldguide tune flowers --trials 20")
    from workflows.graph.workflow import load_workflow
    from workflows.tuning.study import TuneRequest
    from workflows.tuning.tune import begin_tuning

    document = None if workflow is None else load_workflow(workflow).model_dump(mode="json")
    return begin_tuning(store, TuneRequest(dataset=dataset, workflow=document, **wishes))


def _told(result: dict[str, Any]) -> list[Any]:
    best, start = result["best"], result["start"]
    lines: list[Any] = [
        f"{result['trials']} trials in {duration(result['seconds'])}, {result['pruned']} of them ended early",
        f"best on validation: {percent(best['val_top1'])}"
        + (f"; the workflow it started from: {percent(start['val_top1'])}" if start else ""),
        table(["setting", "start", "best"], _settings(best["params"], (start or {}).get("params") or {})),
    ]
    refit = result.get("refit")
    if refit:
        lines.append(
            f"trained anew on {refit['on']} ({refit['images']} photos), {refit['epochs']} epochs; {refit['chosen']}"
        )
    test = (result["metrics"] or {}).get("test")
    if test:
        lines.append(f"the winner, tested once: {headline(test)}")
    return [*lines, f"Next: fieldguide runs show {result['run_id']}"]


def _settings(best: dict[str, Any], start: dict[str, Any]) -> list[list[Any]]:
    return [[name, _plain(start.get(name)), _plain(value)] for name, value in best.items()]


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


def _list(out: Output, store: Store) -> None:
    from workflows.tuning.study import open_tuning, tuning_ids

    found = [open_tuning(store, study_id) for study_id in tuning_ids(store)]
    documents = [{**tuning.document, "result": tuning.result()} for tuning in found]
    rows = [
        [d["study_id"], f"{d['request']['dataset']} v{d['version']}", "done" if d["result"] else "not finished"]
        for d in documents
    ]
    none = "No tunings yet. Begin one: fieldguide tune DATASET --trials 20"
    out.answer(documents, table(["tuning", "data set", "state"], rows) if rows else none)


def _show(out: Output, store: Store, name: str) -> None:
    from workflows.tuning.study import importances, open_tuning, pareto, trials_table

    tuning = open_tuning(store, name)
    study = tuning.study()
    trials, mattered = trials_table(study), importances(study)
    document = {
        **tuning.document,
        "result": tuning.result(),
        "trials": trials,
        "importances": mattered,
        "pareto": pareto(trials),
    }
    lines = [table(["#trial", "state", "#top-1 (val)", "#took", "#ms a photo", "settings"], _rows(trials))]
    if mattered:
        lines.append(table(["what mattered", "#share"], [[key, percent(value)] for key, value in mattered.items()]))
    out.answer(document, *lines)


def _rows(trials: pd.DataFrame) -> list[list[Any]]:
    rows = []
    for row in trials.to_dict("records"):
        params = {str(k).removeprefix("param:"): v for k, v in row.items() if str(k).startswith("param:") and v == v}
        settings = ", ".join(f"{key} {_plain(value)}" for key, value in params.items())
        value = None if row["value"] is None or row["value"] != row["value"] else row["value"]
        seconds = None if row["seconds"] is None or row["seconds"] != row["seconds"] else row["seconds"]
        rows.append(
            [row["number"] + 1, row["state"], percent(value), duration(seconds), _plain(row["milliseconds"]), settings]
        )
    return rows


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=example(
            "fieldguide tune flowers --budget 2h",
            "fieldguide tune flowers --trials 20 --refit train+val",
            "fieldguide tune --resume latest",
        ),
        rich_help_panel="The job",
    )(tune)

"""`fieldguide tune`: search for a better workflow within a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import PANEL, AsJson, example
from app.output import Output
from app.request_options import Options, options_from, request_of
from app.words import duration, percent, table, verdict
from workflows.errors import UsageError
from workflows.requests import TuneRequest
from workflows.targets.judged import judged_by

if TYPE_CHECKING:
    import pandas as pd

    from workflows.store.store import Store
    from workflows.tuning.study import Tuning


@options_from(TuneRequest, without=("dataset", "version"), defaults={"device": "auto"})
def tune(
    dataset: Annotated[str, typer.Argument(help="The data set; not needed with --resume, --show or --list.")] = "",
    *,
    options: Options,
    resume: Annotated[
        str | None, typer.Option(metavar="ID", help="Resume a tuning, or join one as a second worker.")
    ] = None,
    worker: Annotated[int, typer.Option(min=0, help="Number of this worker, if several work on one tuning.")] = 0,
    show: Annotated[
        str | None, typer.Option(metavar="ID", help="Show a tuning's trials and hyperparameter importances.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List all tunings.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search for a better workflow: start from the recommended one, prune unpromising trials, test the winner once."""
    out = Output(as_json)
    from workflows.store.store import Store

    store = Store()
    if list_:
        return _list(out, store)
    if show is not None:
        return _show(out, store, show)
    if resume is None:
        tuning = _begin(store, dataset, options)
    else:
        from workflows.tuning.study import open_tuning

        tuning = open_tuning(store, resume)
    out.note(f"Tuning {tuning.study_id}; if it is interrupted: fieldguide tune --resume {tuning.study_id}")
    from app.progress_bars import ProgressBars
    from flows.local import tune_now

    with ProgressBars(out) as bars:
        result = tune_now(store, tuning, bars, worker)
    out.answer(result, *_described(result))
    return None


def _begin(store: Store, dataset: str, options: Options) -> Tuning:
    if not dataset:
        raise UsageError("A data set is needed.", "For example: fieldguide tune flowers --trials 20")
    from workflows.data.naming import dataset_called
    from workflows.tuning.tune import begin_tuning

    return begin_tuning(store, request_of(TuneRequest, options, dataset=dataset_called(store, dataset)))


def _described(result: dict[str, Any]) -> list[Any]:
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
            f"retrained on {refit['on']} ({refit['images']} photos), {refit['epochs']} epochs; {refit['chosen']}"
        )
    judged = judged_by(result["metrics"] or {})
    lines += [f"the winner: {line}" if number == 0 else line for number, line in enumerate(verdict(judged))]
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
    none = "No tunings yet. Start one: fieldguide tune DATASET --trials 20"
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
        rich_help_panel=PANEL,
    )(tune)

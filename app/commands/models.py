"""`fieldguide models ...`: names that people rely on, and the version in use for each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.train import test_images_hint
from app.options import AsJson, ClassifierArgument, RunArgument, Split, example
from app.output import Output
from app.request_options import Options, options_from, request_of
from app.words import (
    JUDGED_COLUMNS,
    calibration_words,
    judged_cells,
    judged_words,
    moment,
    percent,
    table,
    threshold_words,
    verdict,
)
from workflows.errors import UsageError
from workflows.requests import RetrainSettings
from workflows.targets.judged import counted_images, judged_by
from workflows.targets.metrics import meaningful

if TYPE_CHECKING:
    from workflows.store.models import DecisionRecord, ModelVersion
    from workflows.store.store import Store

commands = typer.Typer(help="Register models, choose their champion, retrain, roll back, export.", no_args_is_help=True)

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")]
Why = Annotated[str, typer.Option("--why", help="The reason, for the log.")]
SHOWN_DECISIONS = 10


def _facts(version: ModelVersion, champion: int | None) -> dict[str, Any]:
    judged = judged_by(version.metrics)
    return {
        "model": version.model,
        "version": version.number,
        "champion": version.number == champion,
        "run_id": version.run_id,
        "dataset": version.dataset,
        "dataset_version": version.version,
        "classes": list(version.card["classes"]),
        "image_size": version.card["image_size"],
        "square": version.card["square"],
        "test_top1": judged.top1 if judged and judged.split == "test" else None,
        "judged": judged and judged.document(),
        "author": version.author,
        "reason": version.reason,
        "created_at": version.created_at,
    }


@commands.command("list", epilog=example("fieldguide models list"))
def list_(as_json: AsJson = False) -> None:
    """List the models with their champions."""
    out = Output(as_json)
    from workflows.registry.models import get_model
    from workflows.store.store import Store

    store = Store()
    champions = store.models.champions()
    found = [get_model(store, name) for name in store.models.names()]
    rows = [
        [
            v.model,
            v.number,
            *judged_cells(judged_by(v.metrics)),
            len(v.card["classes"]),
            f"{v.dataset} v{v.version}",
            v.run_id,
        ]
        for v in found
    ]
    shown = table(["model", "#champion", *JUDGED_COLUMNS, "#classes", "trained on", "run"], rows)
    none = "No models yet. Register a finished run: fieldguide models register NAME RUN"
    out.answer([_facts(v, champions.get(v.model)) for v in found], shown if found else none)


@commands.command(epilog=example("fieldguide models show birds"))
def show(model: ModelArgument, as_json: AsJson = False) -> None:
    """Show one model: its versions, champions and decisions."""
    out = Output(as_json)
    from workflows.registry.models import get_model
    from workflows.registry.thresholds import threshold_of
    from workflows.store.store import Store

    store = Store()
    current = get_model(store, model)
    champion = store.models.champions().get(model)
    versions, log = store.models.versions(model), store.models.promotions(model)
    decisions, review = store.models.decisions(model, SHOWN_DECISIONS), threshold_of(store, current.run_id)
    document = {
        **_facts(current, champion),
        "metrics": {
            split: found and meaningful(found, len(current.card["classes"])) for split, found in current.metrics.items()
        },
        "calibration": current.card.get("calibration"),
        "threshold": review.document(),
        "versions": [_facts(version, champion) for version in versions],
        "promotions": log,
        "decisions": [_brief(store, decision) for decision in decisions],
    }
    rows = [
        [
            v.number,
            "champion" if v.number == champion else "",
            *judged_cells(judged_by(v.metrics)),
            f"{v.dataset} v{v.version}",
            v.reason,
        ]
        for v in reversed(versions)
    ]
    steps = [[moment(p.created_at), p.action, p.previous, p.number, p.author, p.reason] for p in log]
    judged = judged_by(current.metrics)
    lines: list[Any] = [f"{current}: {' '.join(verdict(judged))}", *test_images_hint(judged, current.dataset)]
    lines += [calibration_words(current.card.get("calibration")), threshold_words(review)]
    lines.append(table(["#version", "", *JUDGED_COLUMNS, "trained on", "why"], rows, "Versions"))
    lines.append(table(["when", "what", "#from", "#to", "who", "why"], steps, "Champions"))
    if decisions:
        decided = [[moment(d.created_at), d.outcome, d.trigger, d.reason] for d in decisions]
        lines.append(table(["when", "outcome", "trigger", "why"], decided, "Decisions"))
    out.answer(document, *lines)


def _brief(store: Store, decision: DecisionRecord) -> dict[str, Any]:
    facts = {name: value for name, value in decision.values().items() if name != "document"}
    return {**facts, "report": store.decision_folder(decision.decision_id) / "report.html"}


@commands.command(epilog=example("fieldguide models register birds latest --why 'first good one'"))
def register(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name; a new one makes a new model.")],
    run: RunArgument,
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Make a finished run the next version of a model. The first becomes champion."""
    out = Output(as_json)
    from workflows.registry.models import frozen_images, frozen_split
    from workflows.registry.models import register as register_run
    from workflows.store.store import Store

    store = Store()
    version = register_run(store, model, run, reason=why)
    champion = store.models.champions().get(model)
    crown = "the champion" if champion == version.number else f"the champion is version {champion}"
    frozen = frozen_images(store, version)
    split = frozen_split(frozen)
    facts = {**_facts(version, champion), "frozen": {"split": split, "images": len(frozen)}}
    kept = f"Challengers will be compared with it on its {counted_images(len(frozen), split)}."
    figure = verdict(judged_by(version.metrics))
    out.answer(facts, f"{version} is run {version.run_id}; {crown}.", *figure, kept)


@commands.command(epilog=example("fieldguide models promote birds 3 --why 'fewer confused finches'"))
def promote(
    model: ModelArgument,
    version: Annotated[int, typer.Argument(min=1, help="The version to make champion.")],
    why: Why = "",
    accept_worse: Annotated[
        bool,
        typer.Option("--accept-worse", help="Promote it even if it gets fewer of the champion's frozen images right."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a version of a model its champion, after a comparison on the champion's frozen images."""
    out = Output(as_json)
    from workflows.registry.models import get_model
    from workflows.retraining.by_hand import promote_by_hand
    from workflows.store.store import Store

    store = Store()
    decision = promote_by_hand(store, model, version, reason=why, accept_worse=accept_worse)
    promoted = get_model(store, model, version)
    document = {**_facts(promoted, promoted.number), "decision": decision and decision.document}
    out.answer(document, f"{promoted} is the champion now.", *([decision.reason] if decision else []))


@commands.command(epilog=example("fieldguide models rollback birds --why 'complaints from the field'"))
def rollback(model: ModelArgument, why: Why = "", as_json: AsJson = False) -> None:
    """Make the previous champion the champion again."""
    out = Output(as_json)
    from workflows.registry.models import rollback as roll_back
    from workflows.store.store import Store

    version = roll_back(Store(), model, reason=why)
    out.answer(_facts(version, version.number), f"{version} is the champion again.")


@commands.command(
    epilog=example(
        "fieldguide models threshold birds",
        "fieldguide models threshold birds --accuracy 0.95 --why 'one mistake in 20 is acceptable'",
        "fieldguide models threshold birds 0.8 --why 'two people for the rest'",
    )
)
def threshold(
    model: ClassifierArgument,
    value: Annotated[
        float | None, typer.Argument(min=0, max=1, help="Confidence below which predictions are to be reviewed.")
    ] = None,
    accuracy: Annotated[
        float | None, typer.Option(min=0, max=1, help="Choose the lowest threshold that gives this accuracy instead.")
    ] = None,
    split: Annotated[Split, typer.Option(help="With --accuracy: whose predictions to choose it on.")] = Split.val,
    default: Annotated[bool, typer.Option("--default", help="Return to the default.")] = False,
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Show or set below which confidence a model's predictions are to be reviewed by a person."""
    out = Output(as_json)
    if (value is not None) + (accuracy is not None) + default > 1:
        raise UsageError("Only one of a threshold, --accuracy and --default can be given.")
    from app.commands.use import model_run
    from workflows.registry.thresholds import choose_threshold, judged_on, threshold_of
    from workflows.store.store import Store

    store = Store()
    run_id = store.runs.get(model_run(store, model)).run_id
    chosen = value if accuracy is None else choose_threshold(store, run_id, accuracy, split.value)
    if chosen is not None or default:
        from workflows.report.review import set_threshold

        on = split.value if accuracy is not None else ""
        set_threshold(store, run_id, chosen, reason=why, wanted=accuracy, chosen_on=on)
    found, log = threshold_of(store, run_id), store.thresholds.log(run_id)
    judged = judged_on(store, run_id, found.value)
    steps = [
        [
            moment(line.created_at),
            percent(line.value) if line.value is not None else "default",
            line.author,
            line.reason,
        ]
        for line in log
    ]
    document = {
        "run_id": run_id,
        **found.document(),
        "judged": [each.document() for each in judged],
        "log": [line.values() for line in log],
    }
    shown = [table(["when", "#threshold", "who", "why"], steps, "Thresholds")] if log else []
    out.answer(document, threshold_words(found), *map(judged_words, judged), *shown)


@commands.command(epilog=example("fieldguide models export birds handed-out/birds"))
def export(
    model: ModelArgument,
    dest: Annotated[Path, typer.Argument(help="An empty or new folder.")],
    version: Annotated[int | None, typer.Option(min=1, help="The version; the champion by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a version's weights (safetensors) and card to a folder, with instructions for use."""
    out = Output(as_json)
    from workflows.registry.models import export_model
    from workflows.store.store import Store

    found = export_model(Store(), model, dest, version)
    out.answer({**_facts(found, None), "folder": dest.resolve()}, f"{found} is in {dest}")


@commands.command(
    epilog=example("fieldguide models retrain birds", "fieldguide models retrain birds --start-from both")
)
@options_from(RetrainSettings, defaults={"device": "auto"})
def retrain(model: ModelArgument, options: Options, as_json: AsJson = False) -> None:
    """Train a challenger on the newest data, compare it with the champion, promote it if it is better."""
    out = Output(as_json)
    settings = request_of(RetrainSettings, options)
    from app.progress_bars import ProgressBars
    from flows.local import retrain_now
    from workflows.store.store import Store

    store = Store()
    with ProgressBars(out) as bars:
        decision = retrain_now(store, model, "by hand", settings, bars)
    report = store.decision_folder(decision.decision_id) / "report.html"
    out.answer(_brief(store, decision), f"{decision.outcome}: {decision.reason}", f"report: {report}")

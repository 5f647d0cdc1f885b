"""`fieldguide models ...`: names that people rely on, and which version of each is in use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import AsJson, Device, RunArgument, example
from app.output import Output
from app.words import headline, percent, table
from workflows.errors import UsageError

if TYPE_CHECKING:
    from workflows.retraining.plan import RetrainSettings
    from workflows.store.models import DecisionRecord, ModelVersion
    from workflows.store.store import Store

commands = typer.Typer(
    help="Name models, choose their champion, retrain, go back, hand them out.", no_args_is_help=True
)

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")]
Why = Annotated[str, typer.Option("--why", help="The reason, kept in the log.")]
SHOWN_DECISIONS = 10


def _facts(version: ModelVersion, champion: int | None) -> dict[str, Any]:
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
        "test_top1": _top1(version),
        "author": version.author,
        "reason": version.reason,
        "created_at": version.created_at,
    }


def _top1(version: ModelVersion) -> float | None:
    return (version.metrics.get("test") or {}).get("top1")


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
        [v.model, v.number, percent(_top1(v)), len(v.card["classes"]), f"{v.dataset} v{v.version}", v.run_id]
        for v in found
    ]
    shown = table(["model", "#champion", "#test top-1", "#classes", "trained on", "run"], rows)
    none = "No models yet. Make a finished run one: fieldguide models register NAME RUN"
    out.answer([_facts(v, champions.get(v.model)) for v in found], shown if found else none)


@commands.command(epilog=example("fieldguide models show birds"))
def show(model: ModelArgument, as_json: AsJson = False) -> None:
    """Show one model: its versions, who was champion when, and what was decided."""
    out = Output(as_json)
    from workflows.registry.models import get_model
    from workflows.store.store import Store

    store = Store()
    current = get_model(store, model)
    champion = store.models.champions().get(model)
    versions, log = store.models.versions(model), store.models.promotions(model)
    decisions = store.models.decisions(model, SHOWN_DECISIONS)
    document = {
        **_facts(current, champion),
        "metrics": current.metrics,
        "versions": [_facts(version, champion) for version in versions],
        "promotions": log,
        "decisions": [_brief(store, decision) for decision in decisions],
    }
    rows = [
        [v.number, "champion" if v.number == champion else "", percent(_top1(v)), f"{v.dataset} v{v.version}", v.reason]
        for v in reversed(versions)
    ]
    steps = [[f"{p.created_at:%Y-%m-%d %H:%M}", p.action, p.previous, p.number, p.author, p.reason] for p in log]
    test = current.metrics.get("test")
    lines: list[Any] = [f"{current}: {headline(test)}" if test else str(current)]
    lines.append(table(["#version", "", "#test top-1", "trained on", "why"], rows, "Versions"))
    lines.append(table(["when", "what", "#from", "#to", "who", "why"], steps, "Champions"))
    if decisions:
        told = [[f"{d.created_at:%Y-%m-%d %H:%M}", d.outcome, d.trigger, d.reason] for d in decisions]
        lines.append(table(["when", "outcome", "asked for by", "why"], told, "Decisions"))
    out.answer(document, *lines)


def _brief(store: Store, decision: DecisionRecord) -> dict[str, Any]:
    facts = {name: value for name, value in vars(decision).items() if name != "document"}
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
    from workflows.registry.models import register as register_run
    from workflows.store.store import Store

    store = Store()
    version = register_run(store, model, run, reason=why)
    champion = store.models.champions().get(model)
    crown = "the champion" if champion == version.number else f"the champion is version {champion}"
    out.answer(_facts(version, champion), f"{version} is run {version.run_id}; {crown}.")


@commands.command(epilog=example("fieldguide models promote birds 3 --why 'fewer confused finches'"))
def promote(
    model: ModelArgument,
    version: Annotated[int, typer.Argument(min=1, help="The version to make champion.")],
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Make a version of a model its champion."""
    out = Output(as_json)
    from workflows.registry.models import promote as promote_version
    from workflows.store.store import Store

    promoted = promote_version(Store(), model, version, reason=why)
    out.answer(_facts(promoted, promoted.number), f"{promoted} is the champion now.")


@commands.command(epilog=example("fieldguide models rollback birds --why 'complaints from the field'"))
def rollback(model: ModelArgument, why: Why = "", as_json: AsJson = False) -> None:
    """Make the champion before the present one the champion again."""
    out = Output(as_json)
    from workflows.registry.models import rollback as roll_back
    from workflows.store.store import Store

    version = roll_back(Store(), model, reason=why)
    out.answer(_facts(version, version.number), f"{version} is the champion again.")


@commands.command(epilog=example("fieldguide models export birds handed-out/birds"))
def export(
    model: ModelArgument,
    dest: Annotated[Path, typer.Argument(help="An empty or new folder.")],
    version: Annotated[int | None, typer.Option(min=1, help="The version; the champion by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a version's weights (safetensors) and card to a folder, with words on how to use them."""
    out = Output(as_json)
    from workflows.registry.models import export_model
    from workflows.store.store import Store

    found = export_model(Store(), model, dest, version)
    out.answer({**_facts(found, None), "folder": dest.resolve()}, f"{found} is in {dest}")


def retrain_settings(verb: str, asked: dict[str, Any], rules: dict[str, Any]) -> RetrainSettings:
    """Return the settings that were given to a verb. Raises UsageError naming the option that is wrong."""
    from pydantic import ValidationError

    from workflows.retraining.plan import RetrainSettings

    given = {name: value for name, value in asked.items() if value is not None}
    ruled = {name: value for name, value in rules.items() if value is not None}
    try:
        return RetrainSettings.model_validate({**given, "rules": ruled} if ruled else given)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][-1]).replace("_", "-")
        raise UsageError(f"--{option}: {first['msg']}.", f"`fieldguide {verb} --help` shows what it takes.") from error


@commands.command(
    epilog=example("fieldguide models retrain birds", "fieldguide models retrain birds --start-from both")
)
def retrain(
    model: ModelArgument,
    min_changes: Annotated[
        int, typer.Option(min=0, help="Images added, removed or relabelled that make it worth training.")
    ] = 20,
    start_from: Annotated[
        str, typer.Option(metavar="champion|pretrained|both", help="The challenger's first weights.")
    ] = "pretrained",
    require: Annotated[
        str, typer.Option(metavar="better|not-worse", help="What the challenger must show on the frozen test images.")
    ] = "better",
    margin: Annotated[float, typer.Option(help="With not-worse: how much top-1 accuracy may be lost.")] = 0.01,
    class_drop: Annotated[float, typer.Option(help="How much recall no class may lose more than.")] = 0.10,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs instead of the champion's.")] = None,
    allow: Annotated[list[str] | None, typer.Option(help="An audit finding that doesn't stop the training.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Train a challenger on the newest data, judge it against the champion, promote it if it has earned it."""
    out = Output(as_json)
    rules = {"require": require, "margin": margin, "class_drop": class_drop}
    asked = {"min_changes": min_changes, "start_from": start_from, "epochs": epochs, "allow": allow or ()}
    settings = retrain_settings("models retrain", {**asked, "device": device}, rules)
    from app.bars import Bars
    from flows.deciding import retrain_now
    from workflows.store.store import Store

    store = Store()
    with Bars(out) as bars:
        decision = retrain_now(store, model, "by hand", settings, bars)
    report = store.decision_folder(decision.decision_id) / "report.html"
    out.answer(_brief(store, decision), f"{decision.outcome}: {decision.reason}", f"report: {report}")

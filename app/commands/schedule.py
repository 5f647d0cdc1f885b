"""`fieldguide schedule ...`: when models are retrained by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.models import retrain_settings
from app.commands.tune import seconds_of
from app.options import AsJson, example
from app.output import Output
from app.words import table
from workflows.errors import UsageError

if TYPE_CHECKING:
    from workflows.store.schedules import Firing, Schedule
    from workflows.store.store import Store

commands = typer.Typer(help="Retrain models by themselves: at times, or as photos arrive.", no_args_is_help=True)

ScheduleArgument = Annotated[
    str, typer.Argument(metavar="SCHEDULE", help="A schedule's id, or a model that has only one.")
]
SHOWN_FIRINGS = 20
OVERLAPS, MISSED = ("skip", "queue"), ("run-once", "skip")


@commands.command(
    epilog=example(
        'fieldguide schedule add birds --cron "0 3 * * 1"',
        "fieldguide schedule add birds --every 6h",
        "fieldguide schedule add birds --on-new-images 200 --start-from champion",
    )
)
def add(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")],
    cron: Annotated[
        str | None, typer.Option(metavar="LINE", help="Minute, hour, day of month, month, day of week.")
    ] = None,
    every: Annotated[str | None, typer.Option(metavar="TIME", help="An interval, e.g. 90s, 20m, 6h, 7d.")] = None,
    on_new_images: Annotated[
        int | None, typer.Option(min=1, help="As soon as so many labelled images are new since the last look.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Where the cron line counts; this machine's zone by default.")
    ] = None,
    overlap: Annotated[
        str, typer.Option(metavar="skip|queue", help="While a retraining of the model is under way.")
    ] = "skip",
    missed: Annotated[
        str, typer.Option(metavar="run-once|skip", help="What fell into a time when the studio was off.")
    ] = "run-once",
    min_changes: Annotated[
        int | None, typer.Option(min=0, help="Images added, removed or relabelled that make it worth training.")
    ] = None,
    start_from: Annotated[
        str | None, typer.Option(metavar="champion|pretrained|both", help="The challenger's first weights.")
    ] = None,
    require: Annotated[
        str | None, typer.Option(metavar="better|not-worse", help="What the challenger must show.")
    ] = None,
    margin: Annotated[float | None, typer.Option(help="With not-worse: how much top-1 accuracy may be lost.")] = None,
    class_drop: Annotated[float | None, typer.Option(help="How much recall no class may lose more than.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs instead of the champion's.")] = None,
    allow: Annotated[list[str] | None, typer.Option(help="An audit finding that doesn't stop the training.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to compute, instead of the champion's device.")] = None,
    as_json: AsJson = False,
) -> None:
    """Have a model retrained by cron line, by interval, or as photos arrive; the studio does it while it is up."""
    out = Output(as_json)
    _one_of("--overlap", overlap, OVERLAPS)
    _one_of("--missed", missed, MISSED)
    if on_new_images is not None and min_changes is None:
        min_changes = min(on_new_images, 20)  # the images that it waited for are reason enough
    rules = {"require": require, "margin": margin, "class_drop": class_drop}
    asked = {"min_changes": min_changes, "start_from": start_from, "epochs": epochs, "allow": allow, "device": device}
    settings = retrain_settings("schedule add", asked, rules)
    from flows.scheduling import add_schedule
    from workflows.store.store import Store

    store = Store()
    schedule = add_schedule(
        store,
        model,
        cron=cron,
        every_seconds=None if every is None else round(seconds_of(every)),
        on_new_images=on_new_images,
        settings=settings,
        overlap="queue" if overlap == "queue" else "skip",
        missed="skip" if missed == "skip" else "run-once",
        timezone=timezone,
    )
    _answer(out, store, schedule)


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{option} is {value!r}.", f"It must be one of: {', '.join(known)}.")


def facts(store: Store, schedule: Schedule) -> dict[str, Any]:
    """Return all about a schedule, with its last firing."""
    from flows.scheduling import in_words

    last = next(iter(store.schedules.firings(schedule.id, limit=1)), None)
    return {
        **{name: value for name, value in vars(schedule).items() if name != "deployment_id"},
        "when": in_words(schedule),
        "decision_id": last.decision_id if last and last.state == "done" else None,
        "last": None if last is None else firing_facts(store, last),
    }


def firing_facts(store: Store, firing: Firing) -> dict[str, Any]:
    """Return all about a firing, with the report of its decision if there is one."""
    named = ("id", "schedule_id", "model", "trigger", "state", "note", "decision_id", "attempts")
    report = store.decision_folder(firing.decision_id) / "report.html"
    times = {name: getattr(firing, name) for name in ("planned_at", "started_at", "finished_at")}
    shown = str(report) if firing.state == "done" and report.exists() else None
    return {**{name: getattr(firing, name) for name in named}, **times, "report": shown}


def studio_is_up(store: Store) -> bool:
    """Return whether the part of the studio that does all this is there."""
    from flows.studio_file import read_studio

    found = read_studio(store.home)
    return found is not None and "scheduler" in found.parts


def _answer(out: Output, store: Store, schedule: Schedule) -> None:
    shown = facts(store, store.schedules.get(schedule.id))
    up = studio_is_up(store)
    if shown["paused"]:
        when = "paused"
    elif not up:
        when = "it counts from the next start of the studio on: fieldguide up"
    else:
        when = f"next: {shown['next_at']:%Y-%m-%d %H:%M:%S} UTC" if shown["next_at"] else "it watches the data set"
    out.answer({**shown, "studio": up}, f"{shown['id']}: {shown['model']}, {shown['when']}; {when}")


@commands.command("list", epilog=example("fieldguide schedule list", "fieldguide schedule list --json"))
def list_(as_json: AsJson = False) -> None:
    """List the schedules: when they fire next, when they did last, and what came of it."""
    out = Output(as_json)
    from workflows.store.store import Store

    store = Store()
    found = [facts(store, schedule) for schedule in store.schedules.list()]
    rows = [
        [
            one["id"],
            one["model"],
            one["when"],
            "paused" if one["paused"] else _time(one["next_at"]),
            _time(one["last_fired_at"]),
            one["last"]["note"]
            if one["last"] and one["last"]["state"] in ("waiting", "running")
            else one["last_outcome"],
        ]
        for one in found
    ]
    none = 'No schedules yet. Make one: fieldguide schedule add MODEL --cron "0 3 * * 1"'
    out.answer(found, table(["schedule", "model", "when", "next (UTC)", "last", "outcome"], rows) if rows else none)
    if rows and not studio_is_up(store):
        out.note("The studio is off; schedules fire while it is up: fieldguide up")


@commands.command(epilog=example("fieldguide schedule log", "fieldguide schedule log birds"))
def log(
    schedule: Annotated[str | None, typer.Argument(metavar="[SCHEDULE]", help="Only this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show every firing, newest first: what caused it, what came of it, and the decision's report."""
    out = Output(as_json)
    from workflows.store.store import Store

    store = Store()
    chosen = store.schedules.get(schedule).id if schedule else None
    found = [firing_facts(store, one) for one in store.schedules.firings(chosen, limit=SHOWN_FIRINGS)]
    rows = [[_time(one["planned_at"]), one["model"], one["trigger"], one["state"], one["note"]] for one in found]
    out.answer(found, table(["when (UTC)", "model", "cause", "state", "outcome"], rows) if rows else "Nothing yet.")


def _time(value: Any) -> str | None:
    return None if value is None else f"{value:%Y-%m-%d %H:%M}"


def _change(out: Output, name: str, change: Callable[[Store, Schedule], None]) -> None:
    from workflows.store.store import Store

    store = Store()
    found = store.schedules.get(name)
    change(store, found)
    _answer(out, store, found)


@commands.command(epilog=example("fieldguide schedule pause birds"))
def pause(schedule: ScheduleArgument, as_json: AsJson = False) -> None:
    """Let a schedule fire no more until it is resumed."""
    out = Output(as_json)
    from flows import scheduling

    _change(out, schedule, scheduling.pause)


@commands.command(epilog=example("fieldguide schedule resume birds"))
def resume(schedule: ScheduleArgument, as_json: AsJson = False) -> None:
    """Let a paused schedule fire again; what fell into the pause is not made up for."""
    out = Output(as_json)
    from flows import scheduling

    _change(out, schedule, scheduling.resume)


@commands.command(epilog=example("fieldguide schedule remove s-3f9a21"))
def remove(schedule: ScheduleArgument, as_json: AsJson = False) -> None:
    """Forget a schedule; a retraining under way comes to its end, and the log stays."""
    out = Output(as_json)
    from workflows.store.store import Store

    store = Store()
    found = store.schedules.get(schedule)
    store.schedules.remove(found.id)
    out.answer({"removed": found.id}, f"{found.id} ({found.model}) is removed.")


@commands.command("run-now", epilog=example("fieldguide schedule run-now birds"))
def run_now(schedule: ScheduleArgument, as_json: AsJson = False) -> None:
    """Have a schedule fire now; it waits for a retraining that is under way."""
    out = Output(as_json)
    from flows import scheduling
    from workflows.store.store import Store

    store = Store()
    found = store.schedules.get(schedule)
    firing = scheduling.run_now(store, found)
    up = studio_is_up(store)
    text = (
        "it begins in a moment"
        if up
        else f"it begins with the studio (or here: fieldguide models retrain {found.model})"
    )
    out.answer({**firing_facts(store, firing), "studio": up}, f"{firing.id}: {text}. See: fieldguide schedule log")


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.add_typer(commands, name="schedule", rich_help_panel="Parts of the job")

"""`fieldguide schedule ...`: automatic retraining."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import AsJson, example
from app.output import Output
from app.request_options import Options, options_from, request_of
from app.words import moment, table
from workflows.requests import RetrainSettings, ScheduleRequest
from workflows.state import State

if TYPE_CHECKING:
    from workflows.store.schedules import Schedule, ScheduledRun
    from workflows.store.store import Store

commands = typer.Typer(help="Retrain models automatically: on a schedule, or as photos arrive.", no_args_is_help=True)

ScheduleArgument = Annotated[
    str, typer.Argument(metavar="SCHEDULE", help="A schedule's id, or a model that has only one.")
]
SHOWN_RUNS = 20


@commands.command(
    epilog=example(
        'fieldguide schedule add birds --cron "0 3 * * 1"',
        "fieldguide schedule add birds --every 6h",
        "fieldguide schedule add birds --on-new-images 200 --start-from champion",
    )
)
@options_from(ScheduleRequest, RetrainSettings)
def add(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")],
    options: Options,
    as_json: AsJson = False,
) -> None:
    """Schedule retraining of a model by cron line, by interval, or as photos arrive; needs a running studio."""
    out = Output(as_json)
    when = request_of(ScheduleRequest, options)
    settings = request_of(RetrainSettings, options)
    from flows.scheduling import add_schedule
    from workflows.store.store import Store

    store = Store()
    schedule = add_schedule(store, model, settings=settings, **when.model_dump(exclude_unset=True))
    _answer(out, store, schedule)
    _note_obstacles(out, _obstacles(store, [schedule]))


@commands.command(
    epilog=example('fieldguide schedule edit birds --cron "30 4 * * 1-5"', "fieldguide schedule edit birds --every 6h")
)
@options_from(ScheduleRequest, show_defaults=False)
def edit(schedule: ScheduleArgument, options: Options, as_json: AsJson = False) -> None:
    """Change when a schedule is due; what is not given stays as it is."""
    out = Output(as_json)
    changes = request_of(ScheduleRequest, options).model_dump(exclude_unset=True)
    from flows.scheduling import edit_schedule

    def change(store: Store, found: Schedule) -> None:
        edit_schedule(store, found, **changes)

    _change(out, schedule, change)


def facts(store: Store, schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as a document, with its last run."""
    from flows.scheduling import in_words

    last = next(iter(store.schedules.scheduled_runs(schedule.id, limit=1)), None)
    return {
        **{name: value for name, value in schedule.values().items() if name != "deployment_id"},
        "when": in_words(schedule),
        "decision_id": last.decision_id if last and last.state == State.FINISHED else None,
        "last": None if last is None else scheduled_run_facts(store, last),
    }


def scheduled_run_facts(store: Store, scheduled: ScheduledRun) -> dict[str, Any]:
    """Return a scheduled run as a document, with the report of its decision if there is one."""
    named = ("id", "schedule_id", "model", "trigger", "state", "note", "decision_id", "attempts")
    report = store.decision_folder(scheduled.decision_id) / "report.html"
    times = {name: getattr(scheduled, name) for name in ("planned_at", "started_at", "finished_at")}
    shown = str(report) if scheduled.state == State.FINISHED and report.exists() else None
    fields = {name: getattr(scheduled, name) for name in named} | {"state": scheduled.state_word}
    return {**fields, **times, "report": shown}


def studio_is_up(store: Store) -> bool:
    """Return whether the studio's scheduler runs."""
    from flows.studio_file import read_studio

    found = read_studio(store.home)
    return found is not None and "scheduler" in found.parts


def _answer(out: Output, store: Store, schedule: Schedule) -> None:
    shown = facts(store, store.schedules.get(schedule.id))
    up = studio_is_up(store)
    if shown["paused"]:
        when = "paused"
    elif not up:
        when = "it starts with the studio: fieldguide up"
    else:
        when = f"next: {_clock(shown, 'next_at', seconds=True)}" if shown["next_at"] else "it watches the data set"
    out.answer({**shown, "studio": up}, f"{shown['id']}: {shown['model']}, {shown['when']}; {when}")


def _obstacles(store: Store, schedules: list[Schedule]) -> dict[str, str | None]:
    """Return by schedule why its next retraining can't succeed; looked for once where schedules would do the same."""
    from workflows.retraining.plan import obstacle

    found: dict[tuple[str, str], str] = {}
    reasons: dict[str, str | None] = {}
    for schedule in schedules:
        settings = RetrainSettings.model_validate(schedule.settings)
        key = (schedule.model, settings.model_dump_json())
        if key not in found:
            found[key] = obstacle(store, schedule.model, settings)
        reasons[schedule.id] = found[key] or None
    return reasons


def _note_obstacles(out: Output, reasons: dict[str, str | None]) -> None:
    for schedule_id, reason in reasons.items():
        if reason:
            out.note(f"{schedule_id}: the next retraining can't succeed. {reason}")


@commands.command("list", epilog=example("fieldguide schedule list", "fieldguide schedule list --json"))
def list_(as_json: AsJson = False) -> None:
    """List the schedules: next run, last run, and its result."""
    out = Output(as_json)
    from workflows.store.store import Store

    store = Store()
    schedules = store.schedules.list()
    reasons = _obstacles(store, schedules)
    found = [{**facts(store, schedule), "obstacle": reasons[schedule.id]} for schedule in schedules]
    rows = [
        [
            one["id"],
            one["model"],
            one["when"],
            "paused" if one["paused"] else _clock(one, "next_at"),
            _clock(one, "last_fired_at"),
            one["last"]["note"] if one["last"] and State(one["last"]["state"]).alive else one["last_outcome"],
        ]
        for one in found
    ]
    none = 'No schedules yet. Make one: fieldguide schedule add MODEL --cron "0 3 * * 1"'
    out.answer(found, table(["schedule", "model", "when", "next", "last", "outcome"], rows) if rows else none)
    _note_obstacles(out, reasons)
    if rows and not studio_is_up(store):
        out.note("The studio is off; schedules run while it is up: fieldguide up")


@commands.command(epilog=example("fieldguide schedule log", "fieldguide schedule log birds"))
def log(
    schedule: Annotated[str | None, typer.Argument(metavar="[SCHEDULE]", help="Only this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show every scheduled run, newest first: cause, result, and the decision's report."""
    out = Output(as_json)
    from workflows.store.store import Store

    store = Store()
    chosen = store.schedules.get(schedule).id if schedule else None
    found = [scheduled_run_facts(store, one) for one in store.schedules.scheduled_runs(chosen, limit=SHOWN_RUNS)]
    rows = [[moment(one["planned_at"]), one["model"], one["trigger"], one["state"], one["note"]] for one in found]
    out.answer(found, table(["when", "model", "cause", "state", "outcome"], rows) if rows else "Nothing yet.")


def _clock(shown: dict[str, Any], name: str, seconds: bool = False) -> str | None:
    """Format a time of a schedule in its own time zone."""
    from workflows.retraining.times import on_the_clock

    return None if shown[name] is None else on_the_clock(shown[name], shown["timezone"], seconds)


def _change(out: Output, name: str, change: Callable[[Store, Schedule], None]) -> None:
    from workflows.store.store import Store

    store = Store()
    found = store.schedules.get(name)
    change(store, found)
    _answer(out, store, found)


@commands.command(epilog=example("fieldguide schedule pause birds"))
def pause(schedule: ScheduleArgument, as_json: AsJson = False) -> None:
    """Pause a schedule until it is resumed."""
    out = Output(as_json)
    from flows import scheduling

    _change(out, schedule, scheduling.pause)


@commands.command(epilog=example("fieldguide schedule resume birds"))
def resume(schedule: ScheduleArgument, as_json: AsJson = False) -> None:
    """Resume a paused schedule; missed runs are not repeated."""
    out = Output(as_json)
    from flows import scheduling

    _change(out, schedule, scheduling.resume)


@commands.command(epilog=example("fieldguide schedule remove s-3f9a21"))
def remove(schedule: ScheduleArgument, as_json: AsJson = False) -> None:
    """Delete a schedule; a running retraining continues, and the log stays."""
    out = Output(as_json)
    from workflows.store.store import Store

    store = Store()
    found = store.schedules.get(schedule)
    store.schedules.remove(found.id)
    out.answer({"removed": found.id}, f"{found.id} ({found.model}) is removed.")


@commands.command("run-now", epilog=example("fieldguide schedule run-now birds"))
def run_now(schedule: ScheduleArgument, as_json: AsJson = False) -> None:
    """Run a schedule now; it waits for a running retraining."""
    out = Output(as_json)
    from flows import scheduling
    from workflows.store.store import Store

    store = Store()
    found = store.schedules.get(schedule)
    scheduled = scheduling.run_now(store, found)
    up = studio_is_up(store)
    text = (
        "it starts in a moment"
        if up
        else f"it starts with the studio (or here: fieldguide models retrain {found.model})"
    )
    out.answer(
        {**scheduled_run_facts(store, scheduled), "studio": up}, f"{scheduled.id}: {text}. See: fieldguide schedule log"
    )


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.add_typer(commands, name="schedule", rich_help_panel="Further commands")

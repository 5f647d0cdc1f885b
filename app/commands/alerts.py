"""`fieldguide alerts ...`: webhooks that are notified of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import AsJson, example
from app.output import Output
from app.words import table
from workflows.errors import FieldguideError

if TYPE_CHECKING:
    from workflows.store.watching import Webhook

commands = typer.Typer(help="Notify your own addresses of events (JSON webhooks).", no_args_is_help=True)

AlertArgument = Annotated[str, typer.Argument(metavar="ALERT", help="The alert's id.")]


def _facts(hook: Webhook) -> dict[str, Any]:
    """Return what may be shown: the full address may be a secret."""
    from flows.alerts import masked

    return {**hook.values(), "url": masked(hook.url)}


@commands.command(epilog=example("fieldguide alerts add https://example.org/hooks/fieldguide --on failed,promoted"))
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="An http or https address.")],
    on: Annotated[
        str, typer.Option(metavar="EVENTS", help="Any of: done, failed, promoted, not-promoted, drift.")
    ] = "failed,promoted,not-promoted,drift",
    as_json: AsJson = False,
) -> None:
    """Post a JSON document to an address when an event happens. Nothing is sent anywhere else."""
    out = Output(as_json)
    from flows.alerts import add_alert
    from workflows.store.store import Store

    hook = add_alert(Store(), url, [event.strip() for event in on.split(",") if event.strip()])
    shown = _facts(hook)
    text = (
        f"{hook.id}: {shown['url']} is notified of {', '.join(hook.events)}. Test it: fieldguide alerts test {hook.id}"
    )
    out.answer(shown, text)


@commands.command("list", epilog=example("fieldguide alerts list"))
def list_(as_json: AsJson = False) -> None:
    """List the addresses, their events, and the last delivery."""
    out = Output(as_json)
    from workflows.store.store import Store

    found = [_facts(hook) for hook in Store().webhooks.list()]
    rows = [[one["id"], one["url"], ", ".join(one["events"]), one["last_status"]] for one in found]
    none = "No alerts yet. Add one: fieldguide alerts add URL --on failed,promoted"
    out.answer(found, table(["alert", "address", "events", "last delivery"], rows) if rows else none)


@commands.command(epilog=example("fieldguide alerts remove a-51c0de"))
def remove(alert: AlertArgument, as_json: AsJson = False) -> None:
    """Stop notifying an address."""
    out = Output(as_json)
    from workflows.store.store import Store

    store = Store()
    hook = store.webhooks.get(alert)
    store.webhooks.remove(hook.id)
    out.answer({"removed": hook.id}, f"{_facts(hook)['url']} is no longer notified.")


@commands.command(epilog=example("fieldguide alerts test a-51c0de"))
def test(alert: AlertArgument, as_json: AsJson = False) -> None:
    """Send a test document to an address, and report whether it arrived."""
    out = Output(as_json)
    from flows.alerts import try_alert
    from workflows.store.store import Store

    store = Store()
    hook = store.webhooks.get(alert)
    delivery = try_alert(store, hook)
    shown = _facts(hook)["url"]
    if not delivery.arrived:
        raise FieldguideError(f"{shown}: {delivery.status}.", "Check the address, and that this machine can reach it.")
    out.answer({"id": hook.id, "status": delivery.status}, f"{shown}: {delivery.status}.")


@commands.command(epilog=example("fieldguide alerts drift birds"))
def drift(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")], as_json: AsJson = False
) -> None:
    """Compare a model's recent answers with its training: class distribution and confidence."""
    out = Output(as_json)
    from flows.drift import drift_of
    from workflows.store.store import Store

    found = drift_of(Store(), model)
    rows = [[name, f"{before:.1%}", f"{now:.1%}"] for name, before, now in found.classes]
    verdict = "; ".join(found.reasons) or f"No drift in the last {found.answers} answers."
    facts = f"class distribution: distance {found.mix_distance:.2f} (p = {found.mix_p:.2g}); confidence: distance "
    facts += f"{found.confidence_distance:.2f} (p = {found.confidence_p:.2g})"
    document = {**vars(found), "drifted": found.drifted}
    out.answer(document, verdict, facts, table(["class", "#in training", "#recently"], rows))


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.add_typer(commands, name="alerts", rich_help_panel="Further commands")

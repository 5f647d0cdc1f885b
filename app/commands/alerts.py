"""`fieldguide alerts ...`: addresses that are told what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import AsJson, example
from app.output import Output
from app.words import table
from workflows.errors import FieldguideError

if TYPE_CHECKING:
    from workflows.store.watching import Webhook

commands = typer.Typer(help="Have an address of yours told what happens (JSON webhooks).", no_args_is_help=True)

AlertArgument = Annotated[str, typer.Argument(metavar="ALERT", help="The alert's id.")]


def _facts(hook: Webhook) -> dict[str, Any]:
    """Return all that may be shown; the whole address may be a secret."""
    from flows.alerts import masked

    return {**vars(hook), "url": masked(hook.url)}


@commands.command(epilog=example("fieldguide alerts add https://example.org/hooks/fieldguide --on failed,promoted"))
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="An http or https address.")],
    on: Annotated[
        str, typer.Option(metavar="EVENTS", help="Of these: done, failed, promoted, not-promoted, drift.")
    ] = "failed,promoted,not-promoted,drift",
    as_json: AsJson = False,
) -> None:
    """Have a JSON document posted to an address when something has happened. Nothing is sent anywhere else."""
    out = Output(as_json)
    from flows.alerts import add_alert
    from workflows.store.store import Store

    hook = add_alert(Store(), url, [event.strip() for event in on.split(",") if event.strip()])
    shown = _facts(hook)
    text = f"{hook.id}: {shown['url']} is told of {', '.join(hook.events)}. Try it: fieldguide alerts test {hook.id}"
    out.answer(shown, text)


@commands.command("list", epilog=example("fieldguide alerts list"))
def list_(as_json: AsJson = False) -> None:
    """List the addresses, what they are told of, and how that went last."""
    out = Output(as_json)
    from workflows.store.store import Store

    found = [_facts(hook) for hook in Store().webhooks.list()]
    rows = [[one["id"], one["url"], ", ".join(one["events"]), one["last_status"]] for one in found]
    none = "Nobody is told. Begin: fieldguide alerts add URL --on failed,promoted"
    out.answer(found, table(["alert", "address", "told of", "last"], rows) if rows else none)


@commands.command(epilog=example("fieldguide alerts remove a-51c0de"))
def remove(alert: AlertArgument, as_json: AsJson = False) -> None:
    """Tell an address nothing more."""
    out = Output(as_json)
    from workflows.store.store import Store

    store = Store()
    hook = store.webhooks.get(alert)
    store.webhooks.remove(hook.id)
    out.answer({"removed": hook.id}, f"{_facts(hook)['url']} is told nothing more.")


@commands.command(epilog=example("fieldguide alerts test a-51c0de"))
def test(alert: AlertArgument, as_json: AsJson = False) -> None:
    """Send a test document to an address, and say whether it arrived."""
    out = Output(as_json)
    from flows.alerts import try_alert
    from workflows.store.store import Store

    store = Store()
    hook = store.webhooks.get(alert)
    delivery = try_alert(store, hook)
    shown = _facts(hook)["url"]
    if not delivery.arrived:
        raise FieldguideError(f"{shown}: {delivery.status}.", "Is the address right, and can it be reached from here?")
    out.answer({"id": hook.id, "status": delivery.status}, f"{shown}: {delivery.status}.")


@commands.command(epilog=example("fieldguide alerts drift birds"))
def drift(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")], as_json: AsJson = False
) -> None:
    """Compare what a model answered lately with its training: the mix of classes, and how sure it is."""
    out = Output(as_json)
    from flows.drift import drift_of
    from workflows.store.store import Store

    found = drift_of(Store(), model)
    rows = [[name, f"{before:.1%}", f"{now:.1%}"] for name, before, now in found.classes[:10]]
    verdict = "; ".join(found.reasons) or f"No drift is seen in the last {found.answers} answers."
    facts = f"mix of classes: distance {found.mix_distance:.2f} (p = {found.mix_p:.2g}); confidence: distance "
    facts += f"{found.confidence_distance:.2f} (p = {found.confidence_p:.2g})"
    document = {**vars(found), "drifted": found.drifted}
    out.answer(document, verdict, facts, table(["class", "#in training", "#lately"], rows))


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.add_typer(commands, name="alerts", rich_help_panel="Parts of the job")

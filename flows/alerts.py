"""Alerts: a JSON document is posted to the registered addresses when an event happens.

Why not a Prefect automation: it needs a server with its event services, which a training from the command line lacks;
it tries once; it does not report whether it arrived; and the address, often a secret, would be in a second database.
Each flow run's states are still events in Prefect, so that a team may use its automations, too.

Nothing is sent anywhere unless an address was added with `fieldguide alerts add`.
"""

from __future__ import annotations

import getpass
import json
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import httpx

from workflows.errors import StorageError, UsageError
from workflows.serving.listening import is_loopback
from workflows.store.files import to_plain
from workflows.store.store import Store
from workflows.store.tables import now
from workflows.store.watching import Webhook

AlertEvent = Literal["done", "failed", "promoted", "not-promoted", "drift"]
EVENTS: tuple[str, ...] = get_args(AlertEvent)
TIMEOUT_SECONDS = 5.0
PAUSES_SECONDS = (0.5, 2.0)
"""Seconds before the second try and the third."""
TOGETHER_SECONDS = 20.0
"""A flow waits no longer than this for all its alerts."""
_WORTH_RETRYING = (408, 425, 429)


@dataclass(frozen=True)
class Delivery:
    """Whether an alert has arrived, and its status as text."""

    arrived: bool
    status: str


def add_alert(store: Store, url: str, events: list[str]) -> Webhook:
    """Notify an address of some events. Raises UsageError if it is no http(s) address or an event is unknown."""
    parts = urlsplit(url)
    try:
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or any(letter.isspace() for letter in url):
        raise UsageError("This is not an http or https address.", "For example: https://example.org/hooks/fieldguide")
    unknown = [event for event in events if event not in EVENTS]
    if unknown or not events:
        raise UsageError(f"Unknown event: {', '.join(unknown) or 'none given'}.", f"Known events: {', '.join(EVENTS)}.")
    return store.webhooks.add(url, list(dict.fromkeys(events)))


def masked(url: str) -> str:
    """Return an address without what may be secret: user, path and query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}/…"


def alert(store: Store, event: AlertEvent, text: str, **facts: Any) -> None:
    """Notify the addresses registered for this event; a failed delivery is noted with the address and raises nothing.

    Args:
        store: holds the addresses.
        event: what has happened.
        text: the same in a sentence; also as `text`, which chat programs show.
        facts: more fields of the document: `run_id`, `model`, `decision_id`, ….
    """
    try:
        subscribed = [hook for hook in store.webhooks.list() if event in hook.events]
    except StorageError:
        return  # an alert must not cost a training
    document = _document(event, text, facts)
    threads = [threading.Thread(target=deliver, args=(store, hook, document), daemon=True) for hook in subscribed]
    for thread in threads:
        thread.start()
    end = time.monotonic() + TOGETHER_SECONDS
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def try_alert(store: Store, hook: Webhook) -> Delivery:
    """Send a test document to an address."""
    return deliver(store, hook, _document("test", "This is a test of Fieldguide's alerts.", {}))


def _document(event: str, text: str, facts: dict[str, Any]) -> dict[str, Any]:
    who = {"host": socket.gethostname(), "user": _user()}
    return {"source": "fieldguide", "event": event, "text": text, "at": now().isoformat(), **who, **to_plain(facts)}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def deliver(store: Store, hook: Webhook, document: dict[str, Any]) -> Delivery:
    """Post a document, with up to three tries; note the status with the address."""
    delivery = Delivery(False, "not tried")
    for pause in (0.0, *PAUSES_SECONDS):
        time.sleep(pause)
        delivery, again = _post(hook.url, document)
        if not again:
            break
    try:
        store.webhooks.update(hook.id, last_status=f"{now():%Y-%m-%d %H:%M} {document['event']}: {delivery.status}")
    except StorageError:
        return delivery
    return delivery


def _post(url: str, document: dict[str, Any]) -> tuple[Delivery, bool]:
    """Post once; return the delivery, and whether another try may help. Redirections are not followed."""
    headers = {"Content-Type": "application/json", "User-Agent": "fieldguide"}
    outside = not is_loopback(urlsplit(url).hostname or "")
    try:
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=outside) as client:
            reply = client.post(url, content=json.dumps(document).encode(), headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return Delivery(False, f"not delivered ({type(error).__name__})"), not isinstance(error, httpx.InvalidURL)
    if reply.is_success:
        return Delivery(True, f"delivered ({reply.status_code})"), False
    again = reply.status_code >= 500 or reply.status_code in _WORTH_RETRYING
    return Delivery(False, f"refused ({reply.status_code})"), again

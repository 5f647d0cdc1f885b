"""`fieldguide dataset fetch`: well-known public data sets, by their cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.dataset import report_lines
from app.options import AsJson, example
from app.output import Output
from app.words import size_of, table

if TYPE_CHECKING:
    from workflows.data.cards import Card


def fetch(
    name: Annotated[str | None, typer.Argument(help="A card; without it, all cards are listed.")] = None,
    known_as: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Name of the data set; by default that of its card.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Accept an archive whose checksum is not on the card.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="Only list the cards.")] = False,
    as_json: AsJson = False,
) -> None:
    """Download a public data set that a card describes, check it, and import it.

    An interrupted download is resumed. The file must have the size and the checksum on the card.
    """
    out = Output(as_json)
    if name is None or list_:
        return _list(out)
    from app.progress_bars import ProgressBars
    from workflows.data.cards import card_of
    from workflows.data.fetching import fetch as fetch_card
    from workflows.store.store import Store

    card = card_of(name)
    _introduce(out, card)
    with ProgressBars(out) as bars:
        fetched = fetch_card(Store(), card, name=known_as, trust=trust, progress=bars)
    version = fetched.version
    document = {
        "name": version.name,
        "version": version.number,
        "fetched": fetched.report is not None,
        "card": fetched.card,
        "report": fetched.report.to_dict() if fetched.report else None,
    }
    if fetched.report is None:
        here = f"{version.name} exists already: version {version.number}, {version.images} images. Nothing was fetched."
        return out.answer(document, here)
    lines = report_lines(fetched.report, out)
    if version.images != card.images:
        lines.insert(1, f"The card promises {card.images} images.")
    if card.checksum.sha256 is None:
        out.note(f"Not verified, because the card has no checksum. Recorded: SHA-256 {fetched.card.checksum.sha256}")
    return out.answer(document, *lines)


def _introduce(out: Output, card: Card) -> None:
    """Show what is about to be fetched, from where and under which licence."""
    out.note(f"{card.title}: {card.images} images, {len(card.classes)} classes")
    out.note(f"licence: {card.licence}. {card.terms}")
    out.note(f"cite: {card.origin}")
    if card.url is not None:
        out.note(f"from: {card.url} ({size_of(card.bytes or 0)})")


def _list(out: Output) -> None:
    from workflows.data.cards import known_cards, saved_card
    from workflows.store.store import Store

    store = Store()
    here: dict[str, list[str]] = {}
    for record in store.datasets.list():
        card = saved_card(store, record.name)
        if card is not None:
            here.setdefault(card.name, []).append(record.name)
    cards = known_cards()
    rows = [
        [
            c.name,
            c.images,
            len(c.classes),
            size_of(c.bytes) if c.bytes else "-",
            c.licence,
            ", ".join(here.get(c.name, [])),
        ]
        for c in cards
    ]
    document = [card.model_dump(mode="json") | {"datasets": here.get(card.name, [])} for card in cards]
    shown = table(["card", "#images", "#classes", "#download", "licence", "here as"], rows)
    out.answer(document, shown, "Fetch one: fieldguide dataset fetch flowers")


def register(commands: typer.Typer) -> None:
    """Add the verb to `fieldguide dataset`."""
    commands.command(epilog=example("fieldguide dataset fetch flowers", "fieldguide dataset fetch --list"))(fetch)

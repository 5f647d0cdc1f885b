"""Decisions about champions: the log, and one of them with the evidence for and against."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import client
from app.client.models import DECISION_TITLES, DecisionRecord
from app.components.address import change_address
from app.components.choosing import chosen_row
from app.components.clock import clock
from app.components.comparison import Sides, changed_images, class_changes, metric_changes
from app.components.page import BadgeColour, guarded, percent, plain

SIDES = Sides("the champion", "the challenger")
BADGES: dict[str, tuple[BadgeColour, str]] = {
    "promoted": ("green", "trophy"),
    "kept": ("blue", "shield"),
    "unchanged": ("gray", "remove"),
    "stopped": ("orange", "front_hand"),
}


def decisions_panel(name: str) -> None:
    """List the decisions about a model; show the chosen one (`?decision=`)."""
    found = client().models.decisions(name)
    if not found:
        st.caption(
            "No decisions yet. One is recorded whenever the model is retrained, by hand or on a schedule, and when another "
            "version is promoted by hand."
        )
        return
    rows = [
        {
            "When": clock(decision.created_at),
            "Outcome": decision.outcome,
            "Champion": decision.champion,
            "Challenger": decision.challenger,
            "Trigger": decision.trigger,
            "Why": decision.reason,
        }
        for decision in found
    ]
    chosen = chosen_row(
        rows,
        key=f"decisions-{name}",
        on_select=_unbind,
        height=min(38 + 35 * len(rows), 250),
        column_config={
            "Champion": st.column_config.NumberColumn(width="small"),
            "Challenger": st.column_config.NumberColumn(width="small"),
            "Why": st.column_config.TextColumn(width="large"),
        },
    )
    if chosen is not None:
        change_address({"decision": found[chosen].decision_id})
    wanted = st.query_params.get("decision", found[0].decision_id)
    with guarded():
        decision_detail(client().models.decision(wanted))


def _unbind() -> None:
    change_address({"decision": None})


def decision_detail(decision: DecisionRecord) -> None:
    """Draw one decision: outcome, reason, numbers, classes up and down, images that changed sides."""
    document = decision.document
    colour, icon = BADGES.get(decision.outcome, ("gray", "help"))
    with st.container(border=True, key="decision-head"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(decision.outcome, color=colour, icon=f":material/{icon}:")
            st.markdown(f"**{DECISION_TITLES.get(decision.outcome, decision.outcome)}**", width="stretch")
            _download(decision.decision_id)
        st.markdown(plain(decision.reason))
        st.caption(plain(_facts(decision)))
        if document.get("accepted_worse"):
            st.badge("promoted although worse", color="orange", icon=":material/warning:")
        for note in document.get("notes", ()):
            st.caption(f":material/info: {plain(note)}")
        _drops(document)
    found = client().models.comparison(decision)
    if found is None:
        return
    left, right = st.columns(2)
    with left:
        metric_changes(found, f"decision-{decision.decision_id}", SIDES)
    with right:
        class_changes(found, f"decision-{decision.decision_id}", SIDES)
    champion, challenger = document["champion"]["run_id"], (document.get("challenger") or {}).get("run_id", "")
    changed_images(found, champion, challenger, SIDES)


def _facts(decision: DecisionRecord) -> str:
    document = decision.document
    data, changes = document["data"], document["changes"]
    new = "" if changes is None else _news(changes)
    parts = [
        clock(decision.created_at),
        f"triggered {decision.trigger}",
        f"data set {data['name']} v{data['version']}{new}",
    ]
    challenger = document.get("challenger")
    if challenger:
        start = challenger.get("started_from")
        parts.append(f"challenger v{challenger['number']}{f', started from {start}' if start else ''}")
    return " · ".join(parts)


def _news(changes: dict[str, int]) -> str:
    return f" ({', '.join(f'{number} {name}' for name, number in changes.items() if number) or 'nothing new'})"


def _drops(document: dict[str, Any]) -> None:
    drops = (document.get("decision") or {}).get("drops") or []
    if not drops:
        return
    named = [
        f"{drop['name']} ({percent(drop['champion'])} to {percent(drop['challenger'])}, {drop['support']} images"
        f"{'' if drop['counts'] else ', too few to count'})"
        for drop in drops
    ]
    st.caption(f":material/trending_down: Classes that lose more than allowed: {plain(', '.join(named))}")


def _download(decision_id: str) -> None:
    report = client().models.report(decision_id)
    if report is not None:
        st.download_button(
            "Report",
            report,
            f"{decision_id}.html",
            "text/html",
            key=f"report-{decision_id}",
            icon=":material/download:",
            on_click="ignore",
            help="One self-contained HTML file, to archive or to share.",
        )

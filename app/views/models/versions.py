"""One model: its champion, its versions, who was champion when and why; promoting, rolling back, exporting."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app.client import client
from app.client.models import ModelVersion
from app.components.choosing import chosen_row
from app.components.clock import clock
from app.components.page import ago, go, guarded, metric, percent, plain
from app.components.verdict import verdict_line
from app.views.models.overview import FIGURES, figures, register_form
from app.words import SQUARES, calibration_words, interval, threshold_words, with_absent
from workflows.backbones.registry import title_of
from workflows.targets.judged import judged_by
from workflows.targets.metrics import ECE, F1, TOP1, TOP5, meaningful

WORDS = {"register": "first version", "promote": "promoted", "rollback": "rolled back"}
REASON_LETTERS = 160
"""Of the reason shown here; the log has all of it."""
SHOWN_METRICS = (TOP5, F1, ECE)


def champion_card(name: str) -> None:
    """Draw the model's champion, and the actions on it."""
    current, number = client().models.get(name), client().models.champion_number(name)
    log = client().models.log(name)
    with st.container(border=True, key="champion-card"):
        if number is None:
            st.markdown("This model has no champion. Promote a version below.")
            return
        judged = judged_by(current.metrics)
        left, right = st.columns([3, 2], vertical_alignment="center")
        with left:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.badge("champion", color="green", icon=":material/trophy:")
                st.markdown(
                    f"**{plain(current)}**  trained on the data set {plain(current.dataset)}, version {current.version}"
                )
            st.caption(_since(name))
            st.caption(plain(calibration_words(current.card.get("calibration"))))
            st.caption(plain(threshold_words(client().models.threshold(current.run_id))))
        with right:
            card = current.card
            with st.container(horizontal=True):
                if judged is not None:
                    words = f"{interval(judged)}, {judged.counted}"
                    accuracy = percent(judged.top1)
                    st.metric(TOP1.title.capitalize(), accuracy, words, delta_color="off", delta_arrow="off")
                st.metric(
                    "Classes", len(card["classes"]), f"{card['image_size']} px", delta_color="off", delta_arrow="off"
                )
        if judged is None or judged.optimistic:
            verdict_line(judged, current.dataset, "champion")
        with st.container(horizontal=True):
            _roll_back(name, changes=len(log))
            _hand_out(current, "champion")
            if st.button("Predict photos", key="champion-predict", icon=":material/image_search:"):
                go("predict", model=name)
            if st.button("Open the evaluation", key="champion-evaluation", icon=":material/grid_on:"):
                go("evaluation", run=current.run_id)
            if st.button("Change the threshold", key="champion-threshold", icon=":material/tune:"):
                go("evaluation", run=current.run_id, step="val", view="confidence")


def _since(name: str) -> str:
    log = client().models.log(name)
    if not log:
        return ""
    line = log[0]
    reason = line.reason if len(line.reason) <= REASON_LETTERS else f"{line.reason[:REASON_LETTERS].rstrip()} …"
    return plain(
        f"{WORDS.get(line.action, line.action).capitalize()} {ago(line.created_at)} by {line.author}: {reason}"
    )


def _roll_back(name: str, changes: int) -> None:
    """Offer to roll back; the number of `changes` of the champion is in the keys, so that the popover closes once done."""
    first, key = changes < 2, f"{name}-{changes}"
    helps = "There is no earlier champion." if first else None
    with st.popover("Roll back …", icon=":material/undo:", disabled=first, help=helps, key=f"roll-back-{key}"):
        st.caption("The previous champion takes over from the next request on.")
        reason = st.text_input("Why", key=f"rollback-why-{key}", placeholder="complaints from the field")
        if st.button("Roll back", key=f"rollback-go-{key}", type="primary"):
            with guarded():
                _done(f"{client().models.roll_back(name, reason)} is the champion again.")


def _hand_out(version: ModelVersion, key: str) -> None:
    st.download_button(
        "Export",
        lambda: client().models.archive(version.model, version.number),
        f"{version.model}-v{version.number}.zip",
        "application/zip",
        key=f"{key}-export",
        icon=":material/download:",
        on_click="ignore",
        help="A zip: weights (safetensors), classes and pre-processing (JSON), instructions for use.",
    )


def versions_panel(name: str) -> None:
    """List a model's versions; a chosen one can be promoted, inspected, exported."""
    versions, number = client().models.versions(name), client().models.champion_number(name)
    chosen = chosen_row(
        pd.DataFrame([_row(version, number) for version in versions]),
        key=f"versions-{name}",
        column_config={
            "Version": st.column_config.NumberColumn(width="small", pinned=True),
            "": st.column_config.TextColumn(width="small"),
            "Run": st.column_config.TextColumn(width="medium"),
            "Registered": st.column_config.TextColumn(width=130),
            "Why": st.column_config.TextColumn(width=160),
            **FIGURES,
        },
    )
    if chosen is not None:
        _version(versions[chosen], number)
    else:
        st.caption("Choose a version to promote it, inspect its run or export it.")


def _row(version: ModelVersion, champion: int | None) -> dict[str, Any]:
    return {
        "Version": version.number,
        "": "champion" if version.number == champion else "",
        **figures(version),
        "Trained on": f"{version.dataset} v{version.version}",
        "Registered": f"{ago(version.created_at)} by {version.author}",
        "Why": version.reason,
        "Run": version.run_id,
    }


def _version(version: ModelVersion, champion: int | None) -> None:
    judged = judged_by(version.metrics)
    measured = version.metrics.get(judged.split if judged else "test") or {}
    measured = meaningful(measured, len(version.card["classes"]))
    others = ", ".join(
        f"{each.title} {with_absent(each.name, measured.get('absent') or (), metric(each.name, measured[each.name]))}"
        for each in SHOWN_METRICS
        if each.name in measured
    )
    card = version.card
    st.markdown(
        f"**{plain(version)}** · run {plain(version.run_id)} · {plain(title_of(card['family'], card['size']))}, {card['image_size']} px, "
        f"{plain(SQUARES.get(card['square'], card['square']))} · {len(card['classes'])} classes{' · ' + plain(others) if others else ''}"
    )
    st.caption(plain(calibration_words(card.get("calibration"))))
    st.caption(plain(threshold_words(client().models.threshold(version.run_id))))
    if version.number != champion:
        with guarded():
            _promote(version)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button("Open the evaluation", key=f"open-{version.number}", icon=":material/grid_on:"):
            go("evaluation", run=version.run_id)
        if st.button("Open the run", key=f"run-{version.number}", icon=":material/show_chart:"):
            go("run", run=version.run_id)
        _hand_out(version, f"version-{version.number}")


def _promote(version: ModelVersion) -> None:
    """Show how a version compares with the champion, and let it be promoted; a worse one needs a tick."""
    found, number = client().models.evidence(version.model, version.number), version.number
    with st.container(border=True, key=f"evidence-{number}"):
        icon = "trending_down" if found.worse else "balance" if found.decision else "help"
        st.markdown(f":material/{icon}: {plain(found.words)}")
        for note in found.notes:
            st.caption(f":material/filter_alt: {plain(note)}")
        accepted = False
        if found.worse:
            accepted = st.checkbox("Promote it although it is worse", key=f"promote-worse-{number}")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            reason = st.text_input(
                "Why should it be champion?", key=f"promote-why-{number}", placeholder="fewer confused finches"
            )
            if st.button(
                "Promote",
                key=f"promote-{number}",
                type="primary",
                icon=":material/trophy:",
                disabled=found.worse and not accepted,
            ):
                made = client().models.promote(version.model, number, reason, accept_worse=accepted)
                _done(f"{made} is the champion now.")


def log_panel(name: str) -> None:
    """Show who was champion when, by whom and why."""
    rows = [
        {
            "When": clock(line.created_at),
            "What": WORDS.get(line.action, line.action),
            "From": line.previous,
            "To": line.number,
            "Who": line.author,
            "Why": line.reason,
            "Decision": line.decision_id or "",
        }
        for line in client().models.log(name)
    ]
    st.dataframe(
        pd.DataFrame(rows),
        key=f"log-{name}",
        hide_index=True,
        placeholder="",
        column_config={
            "From": st.column_config.NumberColumn(width="small"),
            "To": st.column_config.NumberColumn(width="small"),
            "Why": st.column_config.TextColumn(width="large"),
        },
    )


def register_panel(name: str) -> None:
    """Let another finished run become a version of this model."""
    register_form(name, key=f"register-{name}")


def _done(words: str) -> None:
    st.session_state["models-said"] = words
    st.rerun()

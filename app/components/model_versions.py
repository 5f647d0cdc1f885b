"""One model: its champion, its versions, who was champion when and why; promoting, going back, handing out."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app.client import client
from app.client.models import ModelVersion
from app.components.model_list import interval, register_form, top1
from app.components.page import ago, count, go, guarded, metric, percent, plain

MOMENT = "%Y-%m-%d %H:%M"
WORDS = {"register": "first version", "promote": "promoted", "rollback": "rolled back"}
REASON_LETTERS = 160
"""Of the reason above the fold; the log has it whole."""
SHOWN_METRICS = ("top5", "f1_macro", "ece")


def champion_card(name: str) -> None:
    """Draw what answers for the model's name now, and what can be done with it."""
    current, number = client().models.get(name), client().models.champion_number(name)
    log = client().models.log(name)
    with st.container(border=True, key="champion-card"):
        if number is None:
            st.markdown("This model has no champion: nobody answers for its name. Promote a version below.")
            return
        left, right = st.columns([3, 2], vertical_alignment="center")
        with left:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.badge("champion", color="green", icon=":material/trophy:")
                st.markdown(f"**{plain(current)}**  trained on {plain(current.dataset)} v{current.version}")
            st.caption(_since(name))
        with right:
            measured, card = current.metrics.get("test") or current.metrics.get("val") or {}, current.card
            split = "test" if current.metrics.get("test") else "val"
            words = f"{interval(current, split)}, {count(int(measured.get('support', 0)))} {split} photos"
            with st.container(horizontal=True):
                st.metric("Top-1 accuracy", percent(measured.get("top1")), words, delta_color="off", delta_arrow="off")
                st.metric(
                    "Classes", len(card["classes"]), f"{card['image_size']} px", delta_color="off", delta_arrow="off"
                )
        with st.container(horizontal=True):
            _roll_back(name, changes=len(log))
            _hand_out(current, "champion")
            if st.button("Predict photos", key="champion-predict", icon=":material/image_search:"):
                go("predict", model=name)
            if st.button("Its evaluation", key="champion-evaluation", icon=":material/grid_on:"):
                go("evaluation", run=current.run_id)


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
    """Offer the champion before; `changes` of the champion so far make the keys, so that it is closed once done."""
    first, key = changes < 2, f"{name}-{changes}"
    helps = "It has had one champion only." if first else None
    with st.popover("Roll back …", icon=":material/undo:", disabled=first, help=helps, key=f"roll-back-{key}"):
        st.caption("The champion before this one answers again, from one request to the next.")
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
        help="A zip: weights (safetensors), classes and pre-processing (JSON), words on how to use them.",
    )


def versions_panel(name: str) -> None:
    """List a model's versions; a chosen one can be promoted, looked at, handed out."""
    versions, number = client().models.versions(name), client().models.champion_number(name)
    chosen = st.dataframe(
        pd.DataFrame([_row(version, number) for version in versions]),
        key=f"versions-{name}",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Version": st.column_config.NumberColumn(width="small", pinned=True),
            "": st.column_config.TextColumn(width="small"),
            "Run": st.column_config.TextColumn(width=190),
            "Registered": st.column_config.TextColumn(width=150),
            "Why": st.column_config.TextColumn(width=220),
            "Test": st.column_config.NumberColumn("Test top-1", format="%.1f %%", width="small"),
            "Validation": st.column_config.NumberColumn("Val. top-1", format="%.1f %%", width="small"),
        },
    )["selection"]["rows"]
    if chosen and chosen[0] < len(versions):
        _version(versions[chosen[0]], number)
    else:
        st.caption("Choose a version to promote it, to look at its run, or to hand it out.")


def _row(version: ModelVersion, champion: int | None) -> dict[str, Any]:
    return {
        "Version": version.number,
        "": "champion" if version.number == champion else "",
        "Test": top1(version),
        "95 % interval": interval(version),
        "Validation": top1(version, "val"),
        "Trained on": f"{version.dataset} v{version.version}",
        "Registered": f"{ago(version.created_at)} by {version.author}",
        "Why": version.reason,
        "Run": version.run_id,
    }


def _version(version: ModelVersion, champion: int | None) -> None:
    measured = version.metrics.get("test") or {}
    others = ", ".join(
        f"{name.replace('_', ' ')} {metric(name, measured[name])}" for name in SHOWN_METRICS if name in measured
    )
    card = version.card
    st.markdown(
        f"**{plain(version)}** · run {plain(version.run_id)} · YOLOv8{plain(card['size'])}-cls, {card['image_size']} px, "
        f"{plain(card['square'])} · {len(card['classes'])} classes{' · ' + plain(others) if others else ''}"
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if version.number != champion:
            reason = st.text_input(
                "Why should it be champion?", key=f"promote-why-{version.number}", placeholder="fewer confused finches"
            )
            if st.button("Promote", key=f"promote-{version.number}", type="primary", icon=":material/trophy:"):
                with guarded():
                    made = client().models.promote(version.model, version.number, reason)
                    _done(f"{made} is the champion now.")
        if st.button("Its evaluation", key=f"open-{version.number}", icon=":material/grid_on:"):
            go("evaluation", run=version.run_id)
        if st.button("Its run", key=f"run-{version.number}", icon=":material/show_chart:"):
            go("run", run=version.run_id)
        _hand_out(version, f"version-{version.number}")


def log_panel(name: str) -> None:
    """Show who was champion when, by whom and why."""
    rows = [
        {
            "When": f"{line.created_at:{MOMENT}}",
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
            "When": st.column_config.TextColumn(help="UTC"),
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

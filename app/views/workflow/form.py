"""A form for the settings of one node, made from their schema; errors are shown at the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.page import plain
from app.views.workflow.draft import Draft, keep_changed
from app.views.workflow.fields import (
    RULE,
    FormField,
    change,
    fits_widget,
    form_fields,
    from_widget,
    node_of,
    purpose,
    title,
    to_widget,
)

if TYPE_CHECKING:
    from workflows.graph.workflow import Workflow


FOLDED = ("augmentation",)
"""Kinds with many fields that hardly anybody changes: a preview says more than they do."""


def node_form(draft: Draft, node_id: str, columns: int = 4) -> Draft:
    """Draw the form of a node; return the draft with what was changed, once all of the form is valid."""
    node = node_of(draft.workflow, node_id)
    fields, settings = form_fields(node.kind), node.settings
    named = "" if node.id == node.kind else f" {plain(node.id)}"
    st.markdown(f"**{title(node.kind)}**{named} :gray[{plain(purpose(node.kind))}]")
    values: dict[str, Any] = {}
    for field in fields:
        key, value = _key(draft, node_id, field), getattr(settings, field.name)
        if key not in st.session_state:
            st.session_state[key] = to_widget(field, value)
        fixed = field.fixed or not fits_widget(field, value)
        values[field.name] = value if fixed else from_widget(field, st.session_state[key])
    workflow, problems = change(draft.workflow, node_id, values)
    if node.kind in FOLDED:
        with st.expander(f"All {len(fields)} settings", icon=":material/tune:"):
            _rows(draft, node_id, fields, problems, columns)
    else:
        _rows(draft, node_id, fields, problems, columns)
    if problems.get(RULE):
        st.error(plain(problems[RULE]), icon=":material/error:")
    if problems:
        st.markdown(":small[:red[Invalid values are not applied: the workflow is unchanged.]]")
    return keep_changed(draft, workflow)


def _key(draft: Draft, node_id: str, field: FormField) -> str:
    return f"node-{draft.turn}-{node_id}-{field.name}"


def _rows(draft: Draft, node_id: str, fields: list[FormField], problems: Mapping[str, str], columns: int) -> None:
    for start in range(0, len(fields), columns):
        for column, field in zip(st.columns(columns), fields[start : start + columns], strict=False):
            with column:
                _widget(draft.workflow, node_id, field, _key(draft, node_id, field))
                if field.name in problems:
                    st.markdown(f":small[:red[:material/error: {plain(problems[field.name])}]]")


def _widget(workflow: Workflow, node_id: str, field: FormField, key: str) -> None:
    words = _help(workflow, node_id, field)
    value = getattr(node_of(workflow, node_id).settings, field.name)
    if field.fixed or not fits_widget(field, value):
        st.text_input(field.title, str(value), disabled=True, help=words, key=f"{key}-fixed")
    elif field.kind in ("integer", "number"):
        whole = field.kind == "integer"
        st.number_input(
            field.title,
            value=None if field.optional else "min",  # the state of the session counts
            step=int(field.step) if whole else field.step,
            format="%d" if whole else "%g",
            placeholder=field.empty or None,
            help=words,
            key=key,
        )
    elif field.kind == "choice":
        st.selectbox(field.title, field.choices, help=words, key=key)
    elif field.kind == "list":
        st.multiselect(field.title, field.choices, help=words, key=key)
    else:
        st.text_input(field.title, help=words, key=key)


def _help(workflow: Workflow, node_id: str, field: FormField) -> str:
    reason = next((one for one in workflow.reasons if (one.node, one.field) == (node_id, field.name)), None)
    why = f"  \n**Why {plain(_shown(reason.value))}:** {plain(reason.because)}" if reason else ""
    return field.help + why


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def reasons(workflow: Workflow, node_id: str | None = None) -> None:
    """Show the reasons for the settings of one node, or of all. Settings that share a reason share a line."""
    shared: dict[tuple[str, str, str], list[str]] = {}
    for reason in workflow.reasons:
        if node_id is None or reason.node == node_id:
            named = f"{reason.field.replace('_', ' ')} {_shown(reason.value)}"
            shared.setdefault((reason.node, reason.because, reason.source), []).append(named)
    if not shared:
        st.caption("No reasons are recorded: a person made these choices.")
    lines = [
        f"- **{plain(', '.join(values))}** – {plain(because)} :gray[{plain(source)}]"
        for (_, because, source), values in shared.items()
    ]
    st.markdown("\n".join(lines))

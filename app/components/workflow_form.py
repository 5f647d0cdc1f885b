"""A form for the settings of one node, made from their schema; what is wrong is said at the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.client.workflow_form import RULE, FormField, change, fits_widget, form_fields, from_widget, purpose, to_widget
from app.components.page import plain
from app.components.workflow_draft import Draft, keep_changed

if TYPE_CHECKING:
    from workflows.graph.workflow import Workflow

FIXED = {("dataset", "name"), ("model", "family")}
"""The data set is chosen above; there is one family."""


def node_form(draft: Draft, kind: str, columns: int = 4) -> Draft:
    """Draw the form of the `kind` node; return the draft with what was changed, as long as all of the form is right."""
    fields, settings = form_fields(kind), draft.workflow.node(kind).settings
    st.markdown(f"**{kind.capitalize()}** :gray[{plain(purpose(kind))}]")
    values: dict[str, Any] = {}
    for field in fields:
        key, value = _key(draft, kind, field), getattr(settings, field.name)
        if key not in st.session_state:
            st.session_state[key] = to_widget(field, value)
        fixed = (kind, field.name) in FIXED or not fits_widget(field, value)
        values[field.name] = value if fixed else from_widget(field, st.session_state[key])
    workflow, problems = change(draft.workflow, kind, values)
    _rows(draft, kind, fields, problems, columns)
    if problems.get(RULE):
        st.error(plain(problems[RULE]), icon=":material/error:")
    if problems:
        st.markdown(":small[:red[What is wrong is not taken over: the workflow stays as it was.]]")
    return keep_changed(draft, workflow)


def _key(draft: Draft, kind: str, field: FormField) -> str:
    return f"node-{draft.turn}-{kind}-{field.name}"


def _rows(draft: Draft, kind: str, fields: list[FormField], problems: Mapping[str, str], columns: int) -> None:
    for start in range(0, len(fields), columns):
        for column, field in zip(st.columns(columns), fields[start : start + columns], strict=False):
            with column:
                _widget(draft.workflow, kind, field, _key(draft, kind, field))
                if field.name in problems:
                    st.markdown(f":small[:red[:material/error: {plain(problems[field.name])}]]")


def _widget(workflow: Workflow, kind: str, field: FormField, key: str) -> None:
    words = _help(workflow, kind, field)
    value = getattr(workflow.node(kind).settings, field.name)
    if (kind, field.name) in FIXED or not fits_widget(field, value):
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


def _help(workflow: Workflow, kind: str, field: FormField) -> str:
    reason = workflow.reason(kind, field.name)
    why = f"  \n**Why {plain(_shown(reason.value))}:** {plain(reason.because)}" if reason else ""
    return field.help + why


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def reasons(workflow: Workflow, kind: str | None = None) -> None:
    """Tell why the settings are as they are: of one node, or of all. Settings that share a reason share a line."""
    shared: dict[tuple[str, str, str], list[str]] = {}
    for reason in workflow.reasons:
        if kind is None or reason.node == workflow.node(kind).id:
            named = f"{reason.field.replace('_', ' ')} {_shown(reason.value)}"
            shared.setdefault((reason.node, reason.because, reason.source), []).append(named)
    if not shared:
        st.caption("No reasons are recorded: a person made these choices.")
    lines = [
        f"- **{plain(', '.join(values))}** – {plain(because)} :gray[{plain(source)}]"
        for (_, because, source), values in shared.items()
    ]
    st.markdown("\n".join(lines))

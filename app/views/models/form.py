"""A form made from the schema of settings: every field with its bounds, its default and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

COLUMNS = 3


def schema_fields(schema: Mapping[str, Any], key: str, titles: Mapping[str, str]) -> dict[str, Any]:
    """Draw a widget for every field of a JSON schema (of an object; objects in it are drawn below the rest).

    Args:
        schema: as of `model_json_schema()`.
        key: beginning of the widgets' keys.
        titles: what to call fields; by default their names.

    Returns:
        The values by field; None where one is empty that may be.
    """
    definitions = schema.get("$defs", {})
    found: dict[str, Any] = {}
    later: dict[str, Mapping[str, Any]] = {}
    columns = st.columns(COLUMNS)
    place = 0
    for name, field in schema["properties"].items():
        whole = _resolved(field, definitions)
        if whole.get("type") == "object":
            later[name] = whole
            continue
        with columns[place % COLUMNS]:
            found[name] = _field(name, whole, f"{key}-{name}", titles)
        place += 1
    for name, inner in later.items():
        st.markdown(f"**{titles.get(name, _words(name))}**")
        found[name] = schema_fields({**inner, "$defs": definitions}, f"{key}-{name}", titles)
    return found


def _resolved(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field with its reference followed and `X | None` taken apart (`nullable`)."""
    own = dict(field)
    options = [option for option in own.pop("anyOf", []) if option.get("type") != "null"]
    nullable = "anyOf" in field and len(options) < len(field["anyOf"])
    for part in (*options[:1], *own.pop("allOf", [])):
        own = {**part, **own}
    if "$ref" in own:
        own = {**definitions[own.pop("$ref").rsplit("/", 1)[1]], **own}
    return {**own, "nullable": nullable}


def _field(name: str, field: Mapping[str, Any], key: str, titles: Mapping[str, str]) -> Any:
    label, words, default = titles.get(name, _words(name)), field.get("description"), field.get("default")
    if "enum" in field:
        options = list(field["enum"])
        return st.selectbox(label, options, index=options.index(default), key=key, help=words)
    if field.get("type") == "boolean":
        return st.toggle(label, bool(default), key=key, help=words)
    if field.get("type") in ("integer", "number"):
        return _number(label, field, key)
    if field.get("type") == "array":
        chosen = st.multiselect(
            label, list(default or ()), default=list(default or ()), accept_new_options=True, key=key, help=words
        )
        return list(chosen)
    text = st.text_input(
        label, default or "", key=key, help=words, placeholder="unchanged" if field["nullable"] else ""
    )
    return text.strip() or (None if field["nullable"] else "")


def _number(label: str, field: Mapping[str, Any], key: str) -> int | float | None:
    low, high = field.get("minimum", field.get("exclusiveMinimum")), field.get("maximum", field.get("exclusiveMaximum"))
    whole = field["type"] == "integer"
    bounds: dict[str, Any] = {
        name: None if value is None else (int if whole else float)(value)
        for name, value in (("min_value", low), ("max_value", high), ("value", field.get("default")))
    }
    steps: dict[str, Any] = {"step": 1} if whole else {"step": 0.01, "format": "%g"}
    value: int | float | None = st.number_input(
        label, **bounds, **steps, key=key, help=field.get("description"), placeholder="unchanged"
    )
    return value


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()

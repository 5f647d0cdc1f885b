"""The documentation page of the inference server, generated from its OpenAPI document.

FastAPI's own page loads its scripts from an external server; this one is self-contained, so it works on
machines without a network, and no visit is reported to anybody.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template


def describe(document: dict[str, Any], with_token: bool) -> str:
    """Return the page for an OpenAPI document; `with_token`: whether examples send one."""
    return _template().render(
        info=document["info"],
        operations=[
            _operation(path, method, operation, with_token)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ],
        schemas=[
            _schema(name, schema)
            for name, schema in document.get("components", {}).get("schemas", {}).items()
            if "properties" in schema and "Validation" not in name
        ],
    )


@cache
def _template() -> Template:
    source = Path(__file__).with_name("docs.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
        source
    )


def _operation(path: str, method: str, operation: dict[str, Any], with_token: bool) -> dict[str, Any]:
    answers = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    return {
        "path": path,
        "method": method.upper(),
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "parameters": [_parameter(parameter) for parameter in operation.get("parameters", [])],
        "answer": _type_of(answers.get("schema", {})),
        "example": _example(path, method, operation, with_token),
    }


def _parameter(parameter: dict[str, Any]) -> dict[str, str]:
    schema = parameter["schema"]
    default = schema.get("default")
    words = ", ".join(default) if isinstance(default, list) else "" if default is None else str(default).lower()
    return {
        "name": parameter["name"],
        "type": _type_of(schema),
        "description": parameter.get("description") or schema.get("description", ""),
        "default": words,
    }


def _schema(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    fields = [
        {"name": field, "type": _type_of(kind), "description": kind.get("description", "")}
        for field, kind in schema["properties"].items()
    ]
    return {"name": name, "description": schema.get("description", ""), "fields": fields}


def _example(path: str, method: str, operation: dict[str, Any], with_token: bool) -> str:
    parts = ["curl"]
    if with_token and path != "/health":
        parts.append('-H "Authorization: Bearer $TOKEN"')
    content = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        (name,) = content["multipart/form-data"]["schema"]["properties"]
        parts += [f"-F {name}=@one.jpg"] + (["-F files=@two.jpg"] if name == "files" else [])
    elif "application/json" in content:
        parts += ["--json '{\"sha256\": …}'"]
    elif method != "get":
        parts.append(f"-X {method.upper()}")
    return " ".join([*parts, "ADDRESS" + path.replace("{run}", "default")])


def _type_of(schema: dict[str, Any]) -> str:
    """Return a JSON schema's type as text."""
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1])
    if "anyOf" in schema:
        return " or ".join(_type_of(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    return str(schema.get("const", schema.get("type", "anything")))

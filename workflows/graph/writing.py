"""From plain data of a workflow to readable YAML: description, command, then one block per node."""

from __future__ import annotations

import shlex
import textwrap
from typing import Any

import yaml

from workflows.graph.kinds import NODE_KINDS
from workflows.graph.reading import CORE, PLAIN_VALUES

WIDTH = 110


class PlainDumper(yaml.SafeDumper):
    """A safe dumper that quotes every string that YAML 1.1 or 1.2 would read as another type."""

    # a copy: `add_implicit_resolver` would otherwise share SafeDumper's lists
    yaml_implicit_resolvers = {first: list(rules) for first, rules in yaml.SafeDumper.yaml_implicit_resolvers.items()}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal values out each time."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Write text with unprintable characters (including line breaks of all kinds) in double quotes.

    There they are escaped; in PyYAML's other styles U+0085, U+2028 and U+2029 come back as spaces.
    """
    return dumper.represent_scalar(CORE + "str", text, style=None if text.isprintable() else '"')


PlainDumper.add_representer(str, _represent_text)
for _tag, _pattern, _first in PLAIN_VALUES:
    PlainDumper.add_implicit_resolver(_tag, _pattern, _first)


def write_yaml(data: dict[str, Any]) -> str:
    """Write a workflow, given as plain JSON-like data, as commented YAML."""
    head = {key: data[key] for key in ("name", "goal", "description")}
    parts = [_header(data), _dump(head), "nodes:\n"]
    parts += [_node(node) for node in data["nodes"]] or ["  []\n"]
    parts.append(_dump({"edges": [f"{edge['source']} -> {edge['target']}" for edge in data["edges"]]}))
    if data["reasons"]:
        parts.append("# Why each setting has its value.\n" + _dump({"reasons": data["reasons"]}))
    if data["estimate"]:
        parts.append("# What a run is expected to cost.\n" + _dump({"estimate": data["estimate"]}))
    return "\n".join(parts)


def _header(data: dict[str, Any]) -> str:
    goal = f" Goal: {data['goal']}." if data["goal"] else ""
    names = [node["settings"]["name"] for node in data["nodes"] if node["kind"] == "dataset"]
    dataset = shlex.quote(names[0]) if names else "NAME"
    lines = [
        f"{data['name']}: a Fieldguide workflow.{goal}",
        *([data["description"]] if data["description"] else []),
        f"Train with: fieldguide train {dataset} --workflow FILE",
        "Check it after a change with: fieldguide workflow check FILE",
    ]
    return "".join(_comment(line) for line in lines)


def _node(node: dict[str, Any]) -> str:
    """Write one node as an item of the list of nodes, under a comment with its purpose."""
    return textwrap.indent(
        _comment(NODE_KINDS[node["kind"]].purpose) + _dump([node]), "  ", lambda line: line.strip() != ""
    )


def _dump(data: Any) -> str:
    return yaml.dump(
        data, Dumper=PlainDumper, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=False
    )


def _comment(text: str) -> str:
    """Turn any text into comment lines; characters not allowed in a comment are dropped."""
    words = "".join(character if character.isprintable() else " " for character in text)
    return "".join(f"# {line}\n" for line in textwrap.wrap(words, WIDTH - 2)) or "#\n"

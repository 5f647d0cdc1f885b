"""From YAML text to plain data, with the line of every part.

YAML is read by version 1.2's core schema, not as PyYAML does by default (1.1): `no` and `on` are strings
and not booleans, `1e-3` is a number, `007` stays text. Only plain data is accepted: no tags that create
objects, no aliases (with which a small file can expand without bound), no duplicate keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml
from yaml.nodes import MappingNode, ScalarNode, SequenceNode

from workflows.errors import WorkflowError

MAX_CHARACTERS = 1_000_000
CORE = "tag:yaml.org,2002:"
PathTo = tuple[str | int, ...]

# tag, pattern, characters that a value of the kind can start with
PLAIN_VALUES = [
    (CORE + "null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    (CORE + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    (CORE + "int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")),
    (
        CORE + "float",
        re.compile(r"^(?:[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)$"),
        list("-+0123456789."),
    ),
]


class Document(NamedTuple):
    """The plain data of a YAML text, and the line of each part."""

    data: Any
    lines: dict[PathTo, int]
    """Line number (from 1) by path, such as ("nodes", 2, "settings", "epochs")."""
    problems: list[str]
    """Duplicate keys, aliases, tags: problems that do not stop the reading but must be fixed."""

    def line(self, *path: str | int) -> int:
        """Return the line of the part at `path`, or of the nearest part around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class PlainLoader(yaml.SafeLoader):
    """A safe loader that resolves plain values as YAML 1.2 does and rejects aliases."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own way to replace its resolvers


for _tag, _pattern, _first in PLAIN_VALUES:
    PlainLoader.add_implicit_resolver(_tag, _pattern, _first)


def read_yaml(text: str, where: str) -> Document:
    """Parse one YAML document.

    Args:
        text: the YAML.
        where: the name of its source, for messages.

    Raises:
        WorkflowError: it is not YAML, too long or too deep.
    """
    if len(text) > MAX_CHARACTERS:
        raise WorkflowError(f"{where} has {len(text):,} characters; a workflow has at most {MAX_CHARACTERS:,}.")
    try:
        root = yaml.compose(text, Loader=PlainLoader)
        return _Reader().read(root)
    except yaml.MarkedYAMLError as error:
        raise WorkflowError(f"{where} is not valid YAML.", [_syntax_problem(error)]) from error
    except yaml.YAMLError as error:
        raise WorkflowError(f"{where} is not valid YAML.", [str(error).splitlines()[0]]) from error
    except RecursionError:
        raise WorkflowError(f"{where} is nested too deeply to be a workflow.") from None


def _syntax_problem(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return place + ", ".join(part for part in (error.problem, error.context) if part)


class _Reader:
    """Traverses the composed nodes once."""

    def __init__(self) -> None:
        self.lines: dict[PathTo, int] = {}
        self.problems: list[str] = []
        self.seen: set[int] = set()

    def read(self, root: yaml.Node | None) -> Document:
        data = None if root is None else self.value(root, ())
        return Document(data, self.lines, self.problems)

    def value(self, node: yaml.Node, path: PathTo) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if id(node) in self.seen:
            self.problems.append(f"line {line}: aliases (*) are not supported; write the value out")
            return None
        self.seen.add(id(node))
        if node.tag not in PLAIN_TAGS:
            self.problems.append(f"line {line}: the tag {node.tag!r} is not supported; give a plain value")
            return None
        if isinstance(node, MappingNode):
            return self.mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self.scalar(node)

    def mapping(self, node: MappingNode, path: PathTo) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self.problems.append(f"line {line}: a field name must be a string")
                continue
            key = key_node.value
            if key in data:
                self.problems.append(f"line {line}: {key!r} is given twice (first on line {self.lines[(*path, key)]})")
                continue
            self.lines[(*path, key)] = line
            data[key] = self.value(value_node, (*path, key))
        return data

    def scalar(self, node: yaml.Node) -> Any:
        text: str = node.value
        try:
            return _SCALARS[node.tag](text)
        except ValueError:
            line, tag = node.start_mark.line + 1, node.tag.removeprefix(CORE)
            self.problems.append(f"line {line}: {text[:40]!r} is not a value of type {tag}")
            return None


_SCALARS: dict[str, Callable[[str], Any]] = {
    CORE + "str": str,
    CORE + "null": lambda text: None,
    CORE + "bool": lambda text: text.lower() == "true",
    CORE + "int": int,
    CORE + "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
}
PLAIN_TAGS = {*_SCALARS, CORE + "map", CORE + "seq"}

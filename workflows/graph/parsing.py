"""Plain data -> the validated parts of a workflow, or every problem at once.

Pydantic judges and collects inside a node's settings, a reason and the estimate. Around them we do: it has no result for
what is partly wrong, and the graph is checked by the nodes that can be read even where others can't.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from workflows.goals import GOALS
from workflows.graph.checks import did_you_mean, nearest, structure_problems
from workflows.graph.kinds import NODE_KINDS
from workflows.graph.nodes import ID_RULE, Edge, Estimate, Node, Reason, is_id
from workflows.graph.reading import Document, PathTo
from workflows.graph.validation import read_settings, shown

WORKFLOW_FIELDS = ("name", "goal", "description", "nodes", "edges", "reasons", "estimate")
NODE_FIELDS = ("id", "kind", "settings")
P = TypeVar("P", bound=BaseModel)


class Parts(NamedTuple):
    """A workflow's parts; complete only if there are no problems."""

    values: dict[str, Any]
    problems: list[str]


def parse(document: Document) -> Parts:
    """Validate a whole document. Nothing is raised: all problems are in `problems`, with their lines."""
    parser = _Parser(document)
    if not isinstance(document.data, dict):
        given = "nothing" if document.data is None else shown(document.data)
        parser.add((), f"expected a workflow with {', '.join(WORKFLOW_FIELDS)}, got {given}")
        return Parts({}, parser.problems)
    return Parts(parser.workflow(document.data), parser.problems)


class _Parser:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems = list(document.problems)

    def add(self, path: PathTo, words: str) -> None:
        self.problems.append(f"line {self.document.line(*path)}: {words}")

    def workflow(self, data: dict[str, Any]) -> dict[str, Any]:
        self.unknown(data, WORKFLOW_FIELDS, (), "a workflow")
        values: dict[str, Any] = {
            "name": self.text(data, "name", ""),
            "goal": self.goal(data.get("goal")),
            "description": self.text(data, "description", "") if "description" in data else "",
        }
        if "name" not in data:
            self.add((), "field 'name': missing; expected text that is not empty")
        elif values["name"] == "" and data["name"] == "":
            self.add(("name",), "field 'name': expected text that is not empty, got \"\"")
        nodes, read = self.nodes(data.get("nodes"), given="nodes" in data)
        edges = self.edges(data.get("edges"), given="edges" in data)
        complete = len(read) == len(nodes) and bool(read)
        self.problems += structure_problems(read, [(e.source, e.target) for e in edges], complete) if read else []
        values["nodes"] = [node for node in nodes if node]
        values["edges"] = edges
        values["reasons"] = self.reasons(data.get("reasons"), {id_ for id_, _ in read})
        values["estimate"] = self.piece(Estimate, data.get("estimate"), ("estimate",), "estimate")
        return values

    def unknown(self, data: dict[str, Any], known: tuple[str, ...], path: PathTo, owner: str) -> None:
        for name in data:
            if name not in known:
                rest = "" if nearest(name, known) else f"; {owner} has {', '.join(known)}"
                self.add(
                    (*path, name),
                    f"{_prefix(path, owner)}field {name!r}: unknown field{did_you_mean(name, known)}{rest}",
                )

    def text(self, data: dict[str, Any], field: str, default: str) -> str:
        value = data.get(field, default)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            self.add((field,), f"field {field!r}: expected text, got {shown(value)}")
            return default
        return value

    def goal(self, value: Any) -> str | None:
        if value is None or value in GOALS:
            return value if value is None else str(value)
        near = did_you_mean(value, GOALS) if isinstance(value, str) else ""
        self.add(("goal",), f"field 'goal': expected one of {', '.join(GOALS)} or empty, got {shown(value)}{near}")
        return None

    def items(self, value: Any, field: str, given: bool) -> list[Any]:
        if isinstance(value, list):
            return value
        if given or field == "nodes":
            self.add((field,), f"field {field!r}: expected a list, got {'nothing' if value is None else shown(value)}")
        return []

    def nodes(self, value: Any, given: bool) -> tuple[list[Node | None], list[tuple[str, str | None]]]:
        """Return each node (None if invalid), and (id, kind) of those with a readable id."""
        nodes: list[Node | None] = []
        read: list[tuple[str, str | None]] = []
        for index, item in enumerate(self.items(value, "nodes", given)):
            node, id_, kind = self.node(item, ("nodes", index))
            nodes.append(node)
            if id_ is not None:
                read.append((id_, kind))
        return nodes, read

    def node(self, item: Any, path: PathTo) -> tuple[Node | None, str | None, str | None]:
        label = f"node {int(path[-1]) + 1}"
        if not isinstance(item, dict):
            self.add(path, f"{label}: expected {', '.join(NODE_FIELDS)}, got {shown(item)}")
            return None, None, None
        before = len(self.problems)
        id_ = self.id(item, path, label)
        label = f"node {id_!r}" if id_ is not None else label
        self.unknown(item, NODE_FIELDS, path, label)
        kind = self.kind(item, path, label)
        settings = self.settings(kind, item.get("settings"), path, label) if kind else None
        if len(self.problems) > before or id_ is None or kind is None or settings is None:
            return None, id_, kind
        return Node(id=id_, kind=kind, settings=settings), id_, kind

    def id(self, item: dict[str, Any], path: PathTo, label: str) -> str | None:
        value = item.get("id")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is None:
            self.add(path, f"{label}: field 'id': missing; expected {ID_RULE}")
        elif not isinstance(value, str) or not is_id(value):
            self.add((*path, "id"), f"{label}: field 'id': expected {ID_RULE}, got {shown(value)}")
        else:
            return value
        return None

    def kind(self, item: dict[str, Any], path: PathTo, label: str) -> str | None:
        value = item.get("kind")
        if value is None:
            self.add(path, f"{label}: field 'kind': missing; expected one of {', '.join(NODE_KINDS)}")
        elif not isinstance(value, str) or value not in NODE_KINDS:
            near = did_you_mean(value, NODE_KINDS) if isinstance(value, str) else ""
            self.add(
                (*path, "kind"),
                f"{label}: unknown kind {shown(value)}{near or '; known kinds: ' + ', '.join(NODE_KINDS)}",
            )
        else:
            return value
        return None

    def settings(self, kind: str, value: Any, path: PathTo, label: str) -> Any:
        value = {} if value is None else value
        if not isinstance(value, dict):
            self.add((*path, "settings"), f"{label}: field 'settings': expected fields and values, got {shown(value)}")
            return None
        settings, problems = read_settings(kind, value)
        for problem in problems:
            field = f"field {problem.path!r}: " if problem.path else ""
            self.add((*path, "settings", problem.path.partition("[")[0]), f"{label}: {field}{problem.words}")
        return settings

    def edges(self, value: Any, given: bool) -> list[Edge]:
        edges = [self.edge(item, ("edges", index)) for index, item in enumerate(self.items(value, "edges", given))]
        return [edge for edge in edges if edge]

    def edge(self, item: Any, path: PathTo) -> Edge | None:
        """Read `a -> b`, or a mapping with source and target."""
        if isinstance(item, str) and item.count("->") == 1:
            ends = dict(zip(("source", "target"), (end.strip() for end in item.split("->")), strict=True))
        else:
            ends = item if isinstance(item, dict) else {}
        good = set(ends) == {"source", "target"} and all(isinstance(end, str) and is_id(end) for end in ends.values())
        if not good:
            self.add(
                path, f"edge {int(path[-1]) + 1}: expected 'source -> target' with two node ids, got {shown(item)}"
            )
            return None
        return Edge(**ends)

    def reasons(self, value: Any, ids: set[str]) -> list[Reason]:
        reasons = []
        for index, item in enumerate(self.items(value, "reasons", given=value is not None)):
            path = ("reasons", index)
            reason = self.piece(Reason, item, path, f"reason {index + 1}")
            if reason is None:
                continue
            if ids and reason.node not in ids:
                self.add(path, f"reason {index + 1}: no node is called {reason.node!r}{did_you_mean(reason.node, ids)}")
            reasons.append(reason)
        return reasons

    def piece(self, type_: type[P], value: Any, path: PathTo, label: str) -> P | None:
        """Validate a reason or an estimate."""
        if value is None:
            return None
        if not isinstance(value, dict):
            self.add(path, f"{label}: expected {', '.join(type_.model_fields)}, got {shown(value)}")
            return None
        try:
            return type_.model_validate(value)
        except ValidationError as error:
            for detail in error.errors():
                self.add((*path, *detail["loc"]), f"{label}: {_piece_words(detail, type_)}")
        return None


def _prefix(path: PathTo, owner: str) -> str:
    return f"{owner}: " if path else ""


def _piece_words(error: ErrorDetails, type_: type[BaseModel]) -> str:
    name = ".".join(map(str, error["loc"]))
    match error["type"]:
        case "extra_forbidden":
            return f"field {name!r}: unknown field{did_you_mean(name, type_.model_fields)}"
        case "missing":
            return f"field {name!r}: missing"
    return f"field {name!r}: {error['msg'].lower()}, got {shown(error['input'])}"

"""Checks of a graph's structure: which kinds it has, how often, and which may follow which.

Works on ids and kinds only, so that it also checks a graph with invalid settings, and reports
all problems at once.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from workflows.graph.kinds import NODE_KINDS


def providers(kind: str) -> list[str]:
    """Return the kinds that a node of `kind` can get input from."""
    wanted = set(NODE_KINDS[kind].inputs)
    return [name for name, known in NODE_KINDS.items() if wanted.intersection(known.outputs)]


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of `words` that is most similar to `word`, or None."""
    close = difflib.get_close_matches(word.lower(), list(words), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return "; did you mean 'x'?", or nothing if no word is similar."""
    near = nearest(word, words)
    return f"; did you mean {near!r}?" if near else ""


def structure_problems(
    nodes: Sequence[tuple[str, str | None]], edges: Sequence[tuple[str, str]], complete: bool = True
) -> list[str]:
    """Return one line for each problem in the structure of a graph.

    Args:
        nodes: (id, kind) of every node; kind None if it is unknown and already reported.
        edges: (source id, target id) of every edge.
        complete: False if some node could not be read; missing kinds are then not reported.
    """
    kinds = dict(nodes)
    problems = _duplicate_ids(nodes) + _kind_counts(kinds, nodes, complete)
    known = []
    for source, target in dict.fromkeys(edges):
        missing = [end for end in dict.fromkeys((source, target)) if end not in kinds]
        problems += [
            f"edge '{source} -> {target}': no node is called {end!r}{did_you_mean(end, kinds)}" for end in missing
        ]
        if not missing:
            known.append((source, target))
    problems += _repeated_edges(edges) + _wrong_edges(kinds, known) + _wrong_inputs(kinds, known) + _cycles(known)
    return problems or _dead_ends(kinds, known)


def topological_order(ids: Sequence[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """Return `ids` ordered so that every source precedes its targets; otherwise in the given order.

    Raises:
        graphlib.CycleError: the edges form a cycle.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(ids, ()))
    for source, target in edges:
        sorter.add(target, source)
    sorter.prepare()
    place = {id_: index for index, id_ in enumerate(ids)}
    order: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=lambda id_: place.get(id_, len(place)))
        first, *ready = ready
        order.append(first)
        sorter.done(first)
    return order


def _duplicate_ids(nodes: Sequence[tuple[str, str | None]]) -> list[str]:
    counts = Counter(id_ for id_, _ in nodes)
    return [f"node {id_!r}: the id is used by {n} nodes; ids must differ" for id_, n in counts.items() if n > 1]


def _kind_counts(kinds: Mapping[str, str | None], nodes: Sequence[tuple[str, str | None]], complete: bool) -> list[str]:
    by_kind: dict[str, list[str]] = {kind: [] for kind in NODE_KINDS}
    for id_, kind in nodes:
        if kind in by_kind:
            by_kind[kind].append(id_)
    problems = []
    complete = complete and None not in kinds.values()
    needed = [name for name, known in NODE_KINDS.items() if not known.optional]
    for kind, ids in by_kind.items():
        if not ids and complete and kind in needed:
            problems.append(f"there is no {kind} node; a workflow needs one each of: {', '.join(needed)}")
        if len(ids) > 1 and not NODE_KINDS[kind].repeatable:
            problems.append(f"there are {len(ids)} {kind} nodes ({', '.join(ids)}); a workflow has at most one")
    return problems


def _repeated_edges(edges: Sequence[tuple[str, str]]) -> list[str]:
    counts = Counter(edges)
    return [f"edge '{s} -> {t}': given {n} times; give it once" for (s, t), n in counts.items() if n > 1]


def _wrong_edges(kinds: Mapping[str, str | None], edges: Iterable[tuple[str, str]]) -> list[str]:
    problems = []
    for source, target in edges:
        above, below = kinds[source], kinds[target]
        if above is None or below is None or above in providers(below):
            continue
        needs = " or ".join(_a(kind) for kind in providers(below))
        rule = f"{_a(below)} node gets its input from {needs} node" if needs else f"{_a(below)} node has no input"
        problems.append(f"edge '{source} -> {target}': {_a(above)} node can't be followed by {_a(below)} node; {rule}")
    return problems


def _wrong_inputs(kinds: Mapping[str, str | None], edges: Sequence[tuple[str, str]]) -> list[str]:
    """Report inputs of nodes that no edge provides, or that several edges provide."""
    problems = []
    for id_, kind in kinds.items():
        sources = [source for source, target in edges if target == id_]
        unknown = any(kinds[source] is None for source in sources)
        for wanted in NODE_KINDS[kind].inputs if kind else ():
            given = [source for source in sources if wanted in _outputs(kinds[source])]
            if not given and not unknown:
                needs = [_a(name) for name in NODE_KINDS if wanted in _outputs(name)]
                problems.append(f"node {id_!r}: no edge leads to it from {' or '.join(needs)} node")
            if len(given) > 1:
                problems.append(f"node {id_!r}: it needs the {wanted} from one node, not from {' and '.join(given)}")
    return problems


def _dead_ends(kinds: Mapping[str, str | None], edges: Sequence[tuple[str, str]]) -> list[str]:
    """Report nodes without effect: no node uses their output, although it has no other purpose."""
    wanted = {name for known in NODE_KINDS.values() if not known.optional for name in known.inputs}
    leading = {source for source, _ in edges}
    return [
        f"node {id_!r}: it has no effect, because no edge leads from it"
        for id_, kind in kinds.items()
        if id_ not in leading and wanted.intersection(_outputs(kind))
    ]


def _outputs(kind: str | None) -> tuple[str, ...]:
    return NODE_KINDS[kind].outputs if kind else ()


def _cycles(edges: Sequence[tuple[str, str]]) -> list[str]:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for source, target in edges:
        sorter.add(target, source)
    try:
        sorter.prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return [f"the edges form a cycle: {' -> '.join(circle)}"]
    return []


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"

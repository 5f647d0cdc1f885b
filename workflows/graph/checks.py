"""What makes a graph sound: which kinds there are, how often, and which may follow which.

Works on bare ids and kinds, so that it also judges a graph some of whose settings are wrong, and names
all that is wrong at once.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from workflows.graph.settings import NODE_KINDS

# What each kind takes its input from. A sound graph has every kind once, fed by exactly these.
NEEDS: dict[str, tuple[str, ...]] = {
    "dataset": (),
    "split": ("dataset",),
    "augmentation": ("split",),
    "model": ("augmentation",),
    "training": ("model",),
    "evaluation": ("training",),
    "explanation": ("evaluation",),
}


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of `words` that `word` was most likely meant to be, or None."""
    close = difflib.get_close_matches(word.lower(), list(words), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return "; did you mean 'x'?", or nothing if no word is near."""
    near = nearest(word, words)
    return f"; did you mean {near!r}?" if near else ""


def structure_problems(
    nodes: Sequence[tuple[str, str | None]], edges: Sequence[tuple[str, str]], complete: bool = True
) -> list[str]:
    """Return one line for each fault in the shape of a graph.

    Args:
        nodes: (id, kind) of every node; kind None where it is unknown and already reported.
        edges: (source id, target id) of every edge.
        complete: False if some node could not be read at all; missing kinds are then not reported.
    """
    kinds = dict(nodes)
    problems = _duplicate_ids(nodes) + _kind_counts(kinds, nodes, complete)
    known = []
    for source, target in dict.fromkeys(edges):
        missing = [end for end in dict.fromkeys((source, target)) if end not in kinds]
        problems += [
            f"edge '{source} -> {target}': there is no node {end!r}{did_you_mean(end, kinds)}" for end in missing
        ]
        if not missing:
            known.append((source, target))
    problems += _repeated_edges(edges) + _wrong_edges(kinds, known) + _missing_inputs(kinds, known) + _cycles(known)
    return problems


def topological_order(ids: Sequence[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """Return `ids` so that every source stands before its targets; otherwise in the given order.

    Raises:
        graphlib.CycleError: the edges form a circle.
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
    for kind, ids in by_kind.items():
        if not ids and complete:
            problems.append(f"there is no {kind} node; a workflow has one of each kind: {', '.join(NODE_KINDS)}")
        if len(ids) > 1:
            problems.append(f"there are {len(ids)} {kind} nodes ({', '.join(ids)}); a workflow has one of each kind")
    return problems


def _repeated_edges(edges: Sequence[tuple[str, str]]) -> list[str]:
    counts = Counter(edges)
    return [f"edge '{s} -> {t}': given {n} times; once is enough" for (s, t), n in counts.items() if n > 1]


def _wrong_edges(kinds: Mapping[str, str | None], edges: Iterable[tuple[str, str]]) -> list[str]:
    problems = []
    for source, target in edges:
        above, below = kinds[source], kinds[target]
        if above is None or below is None or above in NEEDS[below]:
            continue
        needs = NEEDS[below]
        rule = (
            f"{_a(below)} node takes its input from {_a(needs[0])} node" if needs else f"{_a(below)} node comes first"
        )
        problems.append(f"edge '{source} -> {target}': {_a(above)} node can't lead to {_a(below)} node; {rule}")
    return problems


def _missing_inputs(kinds: Mapping[str, str | None], edges: Sequence[tuple[str, str]]) -> list[str]:
    problems = []
    for id_, kind in kinds.items():
        given = {kinds[source] for source, target in edges if target == id_}
        for needed in NEEDS[kind] if kind else ():
            if needed not in given and None not in given:
                problems.append(f"node {id_!r}: no edge leads to it from {_a(needed)} node")
    return problems


def _cycles(edges: Sequence[tuple[str, str]]) -> list[str]:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for source, target in edges:
        sorter.add(target, source)
    try:
        sorter.prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return [f"the edges go in a circle: {' -> '.join(circle)}"]
    return []


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"

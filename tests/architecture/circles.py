"""Circles in a directed graph ``{node: nodes it has an arrow to}``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Graph = Mapping[str, set[str]]


def graph_of(arrows: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """An arrow from a node to itself is left out."""
    graph: dict[str, set[str]] = {}
    for start, end in arrows:
        graph.setdefault(start, set())
        graph.setdefault(end, set())
        if start != end:
            graph[start].add(end)
    return graph


def knots(graph: Graph) -> list[list[str]]:
    """Sets of nodes of which each reaches all others: where circles are. Largest first, each sorted."""
    reached = {node: _reached_from(graph, node) for node in graph}
    found = {frozenset(other for other in reached[node] if node in reached[other]) for node in graph}
    return sorted((sorted(knot) for knot in found if len(knot) > 1), key=lambda knot: (-len(knot), knot))


def shortest_circle(graph: Graph, knot: Iterable[str]) -> list[str]:
    """→ the nodes of a knot's shortest circle in the order of its arrows; the last has one back to the first."""
    return min((_way_back(graph, start) for start in sorted(knot)), key=len)


def _reached_from(graph: Graph, start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for node in graph[waiting.pop()] - reached:
            reached.add(node)
            waiting.append(node)
    return reached


def _way_back(graph: Graph, start: str) -> list[str]:
    """The shortest way from a node of a knot to itself, breadth first."""
    ways = [[start]]
    for way in ways:  # it grows meanwhile
        for node in sorted(graph[way[-1]]):
            if node == start:
                return way
            if not any(node in other for other in ways):
                ways.append([*way, node])
    raise ValueError(f"expected a node on a circle, got {start}")

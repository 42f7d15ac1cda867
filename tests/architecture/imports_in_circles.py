"""Circles of imports, lazy ones counted: among modules, and among rooms."""

from __future__ import annotations

from tests.architecture.circles import graph_of, knots, shortest_circle
from tests.architecture.source_tree import Import, SourceTree, When


def module_circles(tree: SourceTree) -> list[str]:
    """→ for each knot of modules its shortest circle in words, one import a line."""
    graph = graph_of((i.importer, i.imported) for i in tree.own_imports)
    return [_module_circle(tree, knot, shortest_circle(graph, knot)) for knot in knots(graph)]


def room_circles(tree: SourceTree) -> list[str]:
    """→ for each knot of rooms its arrows in words, under each the imports that make it."""
    between: dict[tuple[str, str], list[Import]] = {}
    for item in tree.own_imports:
        between.setdefault((room_of(tree, item.importer), room_of(tree, item.imported)), []).append(item)
    return [_room_circle(tree, knot, between) for knot in knots(graph_of(between))]


def room_of(tree: SourceTree, module: str) -> str:
    """The folder that a module lies in, as a path: ``models/data/tracks``, a room of its own beside ``models/data``.

    A module that lies directly in one of the packages is a room by itself: ``service/app.py``.
    """
    path = tree.modules[module].path.relative_to(tree.root)
    return path.as_posix() if len(path.parts) == 2 else path.parent.as_posix()


def _module_circle(tree: SourceTree, knot: list[str], circle: list[str]) -> str:
    size = "" if len(knot) == len(circle) else f", in a knot of {len(knot)} modules: {', '.join(knot)}"
    steps = zip(circle, [*circle[1:], circle[0]], strict=True)
    lines = [_told(tree, next(i for i in tree.own_imports if (i.importer, i.imported) == step)) for step in steps]
    return "\n".join([f"a circle of {len(circle)}{size}", *lines])


def _room_circle(tree: SourceTree, knot: list[str], between: dict[tuple[str, str], list[Import]]) -> str:
    lines = [f"a knot of {len(knot)} rooms: {', '.join(knot)}"]
    for (start, end), imports in sorted(between.items()):
        if start != end and start in knot and end in knot:
            lines += [f"  {start} → {end}", *(f"  {_told(tree, item)}" for item in imports)]
    return "\n".join(lines)


def _told(tree: SourceTree, item: Import) -> str:
    lazily = f" ({item.when.value})" if item.when is When.LAZY else ""
    return f"  {tree.place(item.importer, item.line)} imports {item.imported}{lazily}"

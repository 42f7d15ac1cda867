"""Imports inside functions: each a decision, with its reason behind ruff's code."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.architecture.source_tree import SourceTree, When

_MARK = re.compile(r"#\s*noqa:\s*[A-Z0-9, ]*\bPLC0415\b[A-Z0-9, ]*(?P<reason>.*)")


@dataclass(frozen=True, slots=True)
class LazyImport:
    """``place`` is ``models/runtimes/load.py:12``; ``reason`` is empty where none of two words or more is given."""

    place: str
    statement: str
    reason: str


def lazy_imports(tree: SourceTree) -> list[LazyImport]:
    """Every statement, whether it imports ours or another's."""
    places = {(i.importer, i.line) for i in tree.imports if i.when is When.LAZY}
    return [_lazy_import(tree, module, line) for module, line in sorted(places)]


def _lazy_import(tree: SourceTree, module: str, line: int) -> LazyImport:
    text = tree.modules[module].text.splitlines()[line - 1]
    mark = _MARK.search(text)
    words = re.findall(r"\w+", mark["reason"]) if mark else []
    return LazyImport(
        tree.place(module, line), text.partition("#")[0].strip(), " ".join(words) if len(words) > 1 else ""
    )

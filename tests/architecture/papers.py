"""Names of files and modules in texts: README, docs, docstrings, Makefile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source_tree import PACKAGES, SourceTree

_FOLDERS = "|".join((*PACKAGES, "tests", "benchmarks"))
_PATH = re.compile(rf"(?<![\w./-])(?:{_FOLDERS})/(?:[\w/.-]*\.py\b|(?:[\w-]+/)+)")
_DOTTED = re.compile(rf"(?<![\w./-])(?:{'|'.join(PACKAGES)})(?:\.[A-Za-z_]\w*)+(?![\w/])")
_QUOTED = re.compile(r"``[^`]+``")  # a name in a docstring
_PLACEHOLDER = re.compile(r"/[A-Z]+\.py$")  # benchmarks/NAME.py: any of them
_ENDINGS = (".py", ".json", ".md")  # of ``pipeline.json``, a file by itself and no module


@dataclass(frozen=True, slots=True)
class Mention:
    """``place`` is ``docs/training.md:240``."""

    place: str
    name: str


def texts(root: Path) -> list[Path]:
    """Markdown but the CHANGELOG, which tells of the past; what builds and runs the checks; sources, for docstrings."""
    patterns = ("*.md", "docs/**/*.md", "weights/*.md", "samples/*.md", "benchmarks/**/*.py")
    inside = (f"{package}/**/*{ending}" for package in PACKAGES for ending in (".md", ".py"))
    found = [path for pattern in (*patterns, *inside) for path in sorted(root.glob(pattern))]
    others = [path for path in (root / "Makefile", root / "Dockerfile", root / ".ci" / "run") if path.is_file()]
    return [path for path in (*found, *others) if path.name != "CHANGELOG.md"]


def stale_mentions(tree: SourceTree) -> list[Mention]:
    """Files, folders and modules that a text names and that are not there; what sources import is no mention."""
    return [
        Mention(f"{path.relative_to(tree.root).as_posix()}:{number}", name)
        for path in texts(tree.root)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for name in _stale(tree, line, line if path.suffix == ".md" else " ".join(_QUOTED.findall(line)))
    ]


def _stale(tree: SourceTree, line: str, prose: str) -> Iterator[str]:
    for name in _PATH.findall(line):
        if not _PLACEHOLDER.search(name) and not (tree.root / name).exists():
            yield name
    for name in _DOTTED.findall(prose):
        if not name.endswith(_ENDINGS) and not tree.defines(name):
            yield name

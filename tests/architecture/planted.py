"""Small made-up houses, to show that the checks see what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.architecture.source_tree import PACKAGES, SourceTree


def plant(root: Path, files: Mapping[str, str]) -> SourceTree:
    """Writes ``{"models/data/split.py": "import …", …}``, gives every folder its ``__init__.py``, → what is read."""
    for name in (*(f"{package}/__init__.py" for package in PACKAGES), *files):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files.get(name, ""), "utf-8")
        for folder in path.parents:
            if folder != root and folder.is_relative_to(root):
                (folder / "__init__.py").touch()
    return SourceTree(root)

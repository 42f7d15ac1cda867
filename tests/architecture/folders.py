"""How the modules are spread over folders."""

from __future__ import annotations

from collections import Counter

from tests.architecture.source_tree import PACKAGES, SourceTree


def module_counts(tree: SourceTree) -> dict[str, int]:
    """``{"models/runtimes": 17, …}``: modules that lie directly in each folder, ``__init__.py`` not counted."""
    files = [module.path.relative_to(tree.root) for module in tree.modules.values() if not module.is_package]
    return dict(Counter(path.parent.as_posix() for path in files))


def rooms(tree: SourceTree) -> set[str]:
    """Folders with modules: ``{"pipeline/", "models/data/tracks/", …}``, each ending with a slash as it is drawn."""
    return {f"{folder}/" for folder in module_counts(tree)} | {f"{package}/" for package in PACKAGES}


def hall_modules(tree: SourceTree) -> set[str]:
    """Modules that lie directly in one of the packages: ``{"service/app.py", …}``."""
    files = [module.path.relative_to(tree.root) for module in tree.modules.values() if not module.is_package]
    return {path.as_posix() for path in files if len(path.parts) == 2}

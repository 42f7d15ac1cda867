"""The modules of the three packages, and what they import, read from their text: nothing is imported to find out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

PACKAGES = ("pipeline", "models", "service")
_NAMED = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")  # "models.networks.i3d", before the colon of ":make_i3d"


class When(Enum):
    """When an import is carried out."""

    LOAD = "at load"
    LAZY = "lazily, inside a function"
    TYPING = "for types only"


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement's mention of a module. ``imported`` is a module of ours, or a foreign name as it stands."""

    importer: str
    imported: str
    when: When
    line: int


@dataclass(frozen=True, slots=True)
class NamedModule:
    """A string that names a module, to be imported or started when it is wanted: an entry of a table."""

    importer: str
    named: str
    line: int


@dataclass(frozen=True)
class Module:
    """A source file; a package is the module that its ``__init__.py`` is."""

    name: str
    path: Path

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))


class SourceTree:
    """The packages that lie below ``root``. A folder without ``__init__.py`` (database migrations) is no part."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = {module.name: module for package in PACKAGES for module in _modules(root / package, package)}

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(found for module in self.modules.values() for found in self._imports_of(module))

    @cached_property
    def own_imports(self) -> tuple[Import, ...]:
        """Those of modules of the tree that happen when the program runs."""
        return tuple(i for i in self.imports if i.imported in self.modules and i.when is not When.TYPING)

    @cached_property
    def named_modules(self) -> tuple[NamedModule, ...]:
        return tuple(found for module in self.modules.values() for found in _named_in(module))

    def place(self, module: str, line: int | None = None) -> str:
        """→ ``models/runtimes/load.py:12``."""
        path = self.modules[module].path.relative_to(self.root).as_posix()
        return path if line is None else f"{path}:{line}"

    def defines(self, dotted: str) -> bool:
        """Whether it is a module, or a module and something that its text binds."""
        if dotted in self.modules:
            return True
        owner, _, attribute = dotted.rpartition(".")
        while owner and owner not in self.modules:
            owner, _, attribute = owner.rpartition(".")
        return bool(owner) and attribute in set(_bound_in(self.modules[owner].tree))

    def _imports_of(self, module: Module) -> Iterator[Import]:
        for statement, when in _statements(module.tree, When.LOAD):
            for imported in self._targets(module, statement):
                yield Import(module.name, imported, when, statement.lineno)

    def _targets(self, module: Module, statement: ast.Import | ast.ImportFrom) -> list[str]:
        """``from a.b import c`` reads ``a.b.c`` where that is a module, else ``a.b``."""
        if isinstance(statement, ast.Import):
            return [alias.name for alias in statement.names]
        base = _absolute(module, statement)
        below = [f"{base}.{alias.name}" for alias in statement.names]
        return list(dict.fromkeys(name if name in self.modules else base for name in below))


def _modules(folder: Path, name: str) -> Iterator[Module]:
    if not (folder / "__init__.py").is_file():
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _modules(path, f"{name}.{path.name}")
        elif path.suffix == ".py":
            yield Module(name if path.stem == "__init__" else f"{name}.{path.stem}", path)


def _statements(node: ast.AST, when: When) -> Iterator[tuple[ast.Import | ast.ImportFrom, When]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, when
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _statements(child, When.LAZY)
        elif isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from _statements(ast.Module(child.body, []), When.TYPING)
            yield from _statements(ast.Module(child.orelse, []), when)
        else:
            yield from _statements(child, when)


def _absolute(module: Module, statement: ast.ImportFrom) -> str:
    if not statement.level:
        return statement.module or ""
    up = statement.level - module.is_package
    base = module.name.split(".")
    return ".".join([*base[: len(base) - up], *([statement.module] if statement.module else [])])


def _named_in(module: Module) -> Iterator[NamedModule]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.partition(":")[0]
            if _NAMED.fullmatch(name) and not name.endswith(".js"):  # a file of the pages
                yield NamedModule(module.name, name, node.lineno)


def _bound_in(tree: ast.Module) -> Iterator[str]:
    """Names that statements at the top of a module bind."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        else:
            yield from (name.id for name in ast.walk(node) if isinstance(name, ast.Name))

"""A configuration as the Python file that ``load_config`` reads: what differs from the defaults, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from enum import Enum
from typing import Any

from models.errors import TrainingError
from models.training.config import TrainConfig


def config_source(config: TrainConfig, docstring: str) -> str:
    """→ the text of the file; ``docstring`` becomes its description.

    Raises TrainingError for a value that cannot be written down: no number, text, enum, dataclass,
    tuple, list or mapping.
    """
    bare = replace(config, description="")
    imports = "\n".join(f"from {module} import {', '.join(names)}" for module, names in sorted(_imports(bare).items()))
    parts = [f"    {each.name}={_source(getattr(bare, each.name))},\n" for each in _told(bare)]
    parts.append('    description=__doc__ or "",\n')
    return f'"""{_quoted(docstring)}"""\n\n{imports}\n\nCONFIG = TrainConfig(\n{"".join(parts)})\n'


def _quoted(docstring: str) -> str:
    return docstring.replace("\\", "\\\\").replace('"', '\\"').strip() + "\n"


def _source(value: Any) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, float):  # NumPy's own would say where they come from
        return repr(float(value)) if math.isfinite(value) else f'float("{value}")'
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    if is_dataclass(value):
        parts = (f"{each.name}={_source(getattr(value, each.name))}" for each in _told(value))
        return f"{type(value).__name__}({', '.join(parts)})"
    return _container(value)


def _container(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_source(key)}: {_source(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_source, value))}]"
    if isinstance(value, tuple):
        inner = ", ".join(map(_source, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    raise TrainingError(f"a configuration with {value!r} cannot be written down")


def _told(value: Any) -> Iterator[Field[Any]]:
    """Fields that are not as their default is."""
    for each in fields(value):
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        if default is MISSING or default != getattr(value, each.name):
            yield each


def _imports(value: Any) -> dict[str, list[str]]:
    """→ names by module, sorted."""
    found: dict[str, set[str]] = {}
    for kind in _kinds(value):
        found.setdefault(kind.__module__, set()).add(kind.__name__)
    return {module: sorted(names) for module, names in found.items()}


def _kinds(value: Any) -> Iterator[type]:
    """Classes that the source names."""
    if isinstance(value, Mapping):
        value = tuple(value.items())
    if isinstance(value, tuple | list):
        for each in value:
            yield from _kinds(each)
    elif isinstance(value, Enum):
        yield type(value)
    elif is_dataclass(value):
        yield type(value)
        for each in _told(value):
            yield from _kinds(getattr(value, each.name))

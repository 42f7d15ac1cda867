"""A forerunner's configuration file as plain values by name: JSON, YAML, INI, or Python with nothing but constants.

Sections count for nothing but their name: ``scheduler: {step: 10}`` is ``scheduler_step: 10``, where that is a key, and
else ``step: 10``. Nothing in a file is run.
"""

from __future__ import annotations

import ast
import configparser
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # comes with ultralytics, without types

from models.errors import TrainingError

MAX_BYTES = 1 << 20
Values = dict[str, Any]


def read_seed_file(path: Path, known: Callable[[str], bool]) -> Values:
    """→ values by their names in small letters with ``_`` for ``-`` and blanks; ``known``: whether a name is a key.

    Raises TrainingError for a file that cannot be read, a key that comes twice, and sections within sections.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TrainingError(f"{path} has more than {MAX_BYTES} bytes: expected a configuration file")
        values = _READERS.get(path.suffix.lower(), _from_yaml)(path.read_text("utf-8"))
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, SyntaxError, yaml.YAMLError, configparser.Error) as error:
        raise TrainingError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(values, Mapping):
        raise TrainingError(f"{path} must hold keys and values, got {type(values).__name__}")
    return _flat(path, values, known)


def _from_yaml(text: str) -> Any:
    return yaml.safe_load(text)


def _from_ini(text: str) -> Any:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text if text.lstrip().startswith("[") else f"[file]\n{text}")
    return {section: {key: yaml.safe_load(value) for key, value in parser[section].items()} for section in parser}


def _from_python(text: str) -> Any:
    """Assignments of constants; whatever else the program holds is none of the configuration's."""
    found: Values = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:  # EPOCHS: int = 5
            target, value = node.target, node.value
        else:
            continue
        if isinstance(target, ast.Name):
            found[target.id] = ast.literal_eval(value)
    return found


_READERS: Mapping[str, Callable[[str], Any]] = {
    ".json": json.loads,
    ".ini": _from_ini,
    ".cfg": _from_ini,
    ".conf": _from_ini,
    ".py": _from_python,
}


def _flat(path: Path, values: Mapping[str, Any], known: Callable[[str], bool]) -> Values:
    flat: Values = {}
    for key, value in _pairs(path, values, known):
        if key in flat:
            raise TrainingError(f"{path} says {key} twice")
        flat[key] = value
    return flat


def _pairs(path: Path, values: Mapping[str, Any], known: Callable[[str], bool]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if not isinstance(value, Mapping):
            yield plain_name(key), value
            continue
        for inner, below in value.items():
            if isinstance(below, Mapping):
                raise TrainingError(f"{path}: {key}.{inner} is a section within a section; expected one value")
            both = plain_name(f"{key}_{inner}")
            yield (both if known(both) else plain_name(inner)), below


def plain_name(key: object) -> str:
    """``Batch-Size`` → ``batch_size``."""
    return "_".join(str(key).strip().lower().replace("-", " ").replace("_", " ").split())

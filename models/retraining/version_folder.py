"""A version's folders: published whole or not at all, under a number that one process takes at a time.

What is to be published was made elsewhere and is copied beside the versions that there are, under a hidden name, then
renamed: the lighter network first, then the version's own, by which a version exists. A kill leaves at most a lighter
network that belongs to none, or a hidden folder; the next publication takes both away and no number twice. Nor is the
number of a version taken again whose folder somebody deleted: events, audit and cards name it. ``.<alias>.number``
holds the last one that was taken.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import CardError
from models.retraining.gate import GATE_FILE, Gate, read_gate
from models.weights.cards import CARD_FILE, MODEL_FILE, ModelCard, parsed
from models.weights.version_names import version_name, versions_in
from pipeline.files import locked, write_atomically


@dataclass(frozen=True, slots=True)
class Draft:
    """``folder``: a weights folder, complete but for its name. ``light``: its lighter network's, with the alias that
    its versions are called by.
    """

    alias: str
    folder: Path
    light: tuple[str, Path] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)  # fields of both cards


def publish(draft: Draft, gate: Gate, root: Path) -> str:
    """→ the new version's name. ``root``: the directory of weights folders. Raises CardError, OSError."""
    root.mkdir(parents=True, exist_ok=True)
    aliases = [draft.alias, *([draft.light[0]] if draft.light else [])]
    with locked(root / f".{draft.alias}.lock"):
        _sweep(aliases, root)
        if (published := _published(draft, gate, root)) is not None:
            return published
        number = _take_number(aliases, root)
        name, light = version_name(draft.alias, number), ""
        if draft.light:
            light = version_name(draft.light[0], number)
            write_atomically(_marker(root, draft.alias), f"{name}\n{light}\n")
            _put(draft.light[1], root, light, gate, draft.facts)
        _put(draft.folder, root, name, gate, {**draft.facts, "light": light})
        _marker(root, draft.alias).unlink(missing_ok=True)
    return name


def _take_number(aliases: Sequence[str], root: Path) -> int:
    """→ one that no version of these had before. Written down first: whatever dies now, nobody gets it again."""
    taken = [number for alias in aliases for number in (*versions_in(root, alias), _last_number(root, alias))]
    number = 1 + max(taken, default=1)
    for alias in aliases:
        write_atomically(_number_file(root, alias), f"{number}\n")
    return number


def _last_number(root: Path, alias: str) -> int:
    """→ 1 before any was taken. Raises CardError for a file that holds something else."""
    path = _number_file(root, alias)
    if not path.is_file():
        return 1
    text = path.read_text("utf-8").strip()
    if not text.isdecimal():
        raise CardError(f"{path}: expected the last number of a version of {alias}, such as 2, got {text[:20]!r}")
    return int(text)


def _number_file(root: Path, alias: str) -> Path:
    return root / f".{alias}.number"


def _published(draft: Draft, gate: Gate, root: Path) -> str | None:
    """→ the version that was published of this very draft before whoever did it was killed.

    The same network with another gate is a version of its own: there may be more labels to judge it by now.
    """
    own = parsed(draft.folder / CARD_FILE, ModelCard).sha256[MODEL_FILE]
    for number in versions_in(root, draft.alias):
        folder = root / version_name(draft.alias, number)
        if number == 1 or not (folder / CARD_FILE).is_file():
            continue
        if parsed(folder / CARD_FILE, ModelCard).sha256[MODEL_FILE] == own and read_gate(folder) == gate:
            return folder.name
    return None


def _put(source: Path, root: Path, name: str, gate: Gate, facts: Mapping[str, Any]) -> None:
    part = root / f".{name}.part"
    shutil.copytree(source, part)
    card = parsed(part / CARD_FILE, ModelCard).model_copy(update={**facts, "name": name})
    write_atomically(part / CARD_FILE, card.model_dump_json(indent=2) + "\n")
    write_atomically(part / GATE_FILE, gate.model_dump_json(indent=2) + "\n")
    for path in (*part.iterdir(), part):
        _flush(path)
    part.rename(root / name)
    _flush(root)


def _sweep(aliases: Sequence[str], root: Path) -> None:
    """Takes away what a killed publication left; the lock is held, so no other one is under way."""
    for alias in aliases:
        for part in root.glob(f".{alias}@*.part"):
            shutil.rmtree(part)
    marker = _marker(root, aliases[0])
    if marker.is_file():
        name, light = marker.read_text("utf-8").split()
        if not (root / name).is_dir():
            shutil.rmtree(root / light, ignore_errors=True)
        marker.unlink()


def _marker(root: Path, alias: str) -> Path:
    """The file that names a version and its lighter network while both are put into their places."""
    return root / f".{alias}.publishing"


def _flush(path: Path) -> None:
    """On disk when this returns, also the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

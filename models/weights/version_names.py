"""Names of versions: ``surveillance`` is an alias and its first version, ``surveillance@2`` the second."""

from __future__ import annotations

import re
from pathlib import Path

_VERSION = re.compile(r"([^@]+)@([1-9]\d{0,5})")


def version_name(alias: str, number: int) -> str:
    return alias if number == 1 else f"{alias}@{number}"


def split_version(name: str) -> tuple[str, int]:
    """→ the alias and the number; a name without a number is the first version of itself."""
    found = _VERSION.fullmatch(name)
    return (found[1], int(found[2])) if found and int(found[2]) > 1 else (name, 1)


def versions_in(root: Path, alias: str) -> list[int]:
    """→ the numbers of the versions of ``alias`` that lie in ``root``, the first ones first."""
    names = [path.name for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    return sorted(number for found, number in map(split_version, names) if found == alias)

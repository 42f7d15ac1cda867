"""How versions of a model are called: ``surveillance`` is the alias and its first version, ``surveillance@2`` the next.

Streams name an alias and get the version that serves; one that names ``surveillance@2`` gets that, whatever serves, and
one that names ``surveillance@1`` the first.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.weights.version_names import split_version, version_name

_FIRST = "@1"


@dataclass(frozen=True, slots=True)
class VersionName:
    """``str()`` is the name of its folder, and what events carry as ``model``."""

    alias: str
    number: int = 1

    @classmethod
    def parse(cls, name: str) -> VersionName:
        """Any name is one: what does not end in ``@n`` is the first version of itself."""
        alias, number = split_version(name)
        return cls(_first_of(alias) or alias, number)

    def __str__(self) -> str:
        return version_name(self.alias, self.number)


def is_pinned(name: str) -> bool:
    """Whether a name means one version, and not the alias."""
    return split_version(name)[1] > 1 or _first_of(name) is not None


def _first_of(name: str) -> str | None:
    """→ the alias of ``surveillance@1``; None for what is no such name."""
    alias = name.removesuffix(_FIRST)
    return alias if alias not in (name, "") and "@" not in alias else None

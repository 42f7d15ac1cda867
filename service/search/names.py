"""Names that the service knows: of streams, zones, rules and labels, found among words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from service.search.words import FILLERS, stem, words

KINDS = ("stream", "zone", "rule", "action")  # what a name means first
KIND_WORDS = {
    "camera": "stream",
    "stream": "stream",
    "zone": "zone",
    "rule": "rule",
    "action": "action",
    "label": "action",
}
_LONGEST = 6  # words of a name that are compared


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Kind → (name, value in the query): ids of streams and rules; zones and actions by their name."""

    names: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Named:
    """``values`` of a kind that the first ``count`` words name."""

    kind: str
    names: tuple[str, ...]
    values: tuple[str, ...]
    count: int


def find_name(vocabulary: Vocabulary, given: Sequence[str], kind: str | None = None) -> Named | None:
    """→ what the first words of ``given`` (plain) name: the longest name, else all that have them in it."""
    kinds = KINDS if kind is None else (kind,)
    for count in range(min(_LONGEST, len(given)), 0, -1):
        asked = tuple(map(stem, given[:count]))
        for found in _matches(vocabulary, kinds, asked, whole=True):
            return found
    for count in range(min(_LONGEST, len(given)), 0, -1):
        asked = tuple(map(stem, given[:count]))
        if FILLERS.isdisjoint(given[:count]) and any(len(each) > 1 for each in asked):
            for found in _matches(vocabulary, kinds, asked, whole=False):
                return found
    return None


def _matches(vocabulary: Vocabulary, kinds: Sequence[str], asked: tuple[str, ...], whole: bool) -> Iterator[Named]:
    for kind in kinds:
        known = vocabulary.names.get(kind, ())
        found = [each for each in known if _fits(tuple(map(stem, words(each[0]))), asked, whole)]
        if found:
            names, values = zip(*found, strict=True)
            yield Named(kind, names, values, len(asked))


def _fits(name: tuple[str, ...], asked: tuple[str, ...], whole: bool) -> bool:
    if whole:
        return name == asked
    return any(name[start : start + len(asked)] == asked for start in range(len(name) - len(asked) + 1))

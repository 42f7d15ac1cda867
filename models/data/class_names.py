"""Names of classes as people write them: which spellings are one class, and which of them is kept.

Two spellings are one class where they differ only in case, spaces, invisible characters, or in how accents are composed
(Unicode's canonical caseless match, without blanks and format characters).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_JOINERS = "\u200c\u200d\ufe0e\ufe0f"  # parts of emoji and of Persian words: kept in names, without weight between two
_NO_CHARACTERS = ("Cc", "Cf")  # controls and format characters


@dataclass(frozen=True, slots=True)
class Unified:
    """``names``: spelling → name of its class. ``notes``: one sentence for each class with several spellings."""

    names: Mapping[str, str]
    notes: tuple[str, ...]


def tidy(text: str) -> str:
    """``text`` as it is meant: accents composed, one blank between words and none around, nothing invisible."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    composed = unicodedata.normalize("NFC", text)
    shown = "".join(
        letter
        for letter in composed
        if letter.isspace() or letter in _JOINERS or unicodedata.category(letter) not in _NO_CHARACTERS
    )
    words = " ".join(shown.split()).strip(_JOINERS[:2])
    return words if words.strip(f"{_JOINERS} ") else ""


def same_class(name: str) -> str:
    """What is equal for all spellings of one class, and for no others."""
    bare = "".join(letter for letter in tidy(name) if not letter.isspace() and letter not in _JOINERS)
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", bare).casefold())
    return folded or tidy(name)


def unify(spellings: Iterable[str], known: Iterable[str] = ()) -> Unified:
    """The name of the class of every spelling (one for each time that it occurs; empty ones are none).

    A class has its name in ``known``, else its most frequent spelling, of equally frequent ones the first.
    """
    fixed = tuple(known)
    counts = Counter(text for text in spellings if tidy(text))
    groups: dict[str, list[str]] = {}
    for text in counts:
        groups.setdefault(same_class(text), []).append(text)
    given = {same_class(name): name for name in reversed(fixed)}
    names, notes = {}, []
    for key, found in groups.items():
        name = given.get(key) or _most_frequent(found, counts)
        # names that were told apart once stay apart
        names.update({text: text if text in fixed else name for text in found})
        others = [text for text in found if text.strip() != name and text not in fixed]
        if others:
            notes.append(f"{name!r} is also written {', '.join(map(_shown, others))}: taken as one class")
    return Unified(names, tuple(notes))


def _most_frequent(spellings: Iterable[str], counts: Mapping[str, int]) -> str:
    tidied: Counter[str] = Counter()
    for text in spellings:
        tidied[tidy(text)] += counts[text]
    return tidied.most_common(1)[0][0]


def _shown(text: str) -> str:
    """Quoted, with its codes where the eye does not see what it is made of."""
    return repr(text) if text.isprintable() and unicodedata.is_normalized("NFC", text) else ascii(text)

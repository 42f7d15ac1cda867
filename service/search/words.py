"""Words as they are compared: without case, marks and endings."""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_MOST = 40  # words that are looked at
_DOUBLED = re.compile(r"([bdgmnprt])\1$")
_VOWEL = re.compile(r"[aeiouy]")

_FILLERS = (
    "a all and are at by camera cameras did do doing during event events find for from happened has have in is it me",
    "of on or people person persons please search see show some somebody someone that the there to was were what when",
    "where which who with",
)
FILLERS = frozenset(word for line in _FILLERS for word in line.split())


def plain(text: str) -> str:
    """→ small letters, without accents; as long as the text, so that places in it stay."""
    return "".join(_plain(sign) for sign in text)


def _plain(sign: str) -> str:
    base = unicodedata.normalize("NFD", sign)[0].lower()
    return base if len(base) == 1 else sign


def words(text: str) -> tuple[str, ...]:
    """→ the words of a name, plain."""
    return tuple(match[0] for match in _WORD.finditer(plain(text)))[:_MOST]


def word_at(text: str, place: int) -> re.Match[str] | None:
    """→ the first word from ``place`` on."""
    return _WORD.search(text, place)


def stem(word: str) -> str:
    """→ what fighting, fights and fighter share: fight. English endings only; other words stay as they are."""
    for ending in ("ing", "ers", "er", "ed", "es", "s"):
        kept = word.removesuffix(ending)
        if kept != word and len(kept) >= (2 if ending == "s" else 3) and _VOWEL.search(kept) and not kept.endswith("s"):
            return _DOUBLED.sub(r"\1", kept).removesuffix("e")
    return word.removesuffix("e") if len(word) > 3 else word

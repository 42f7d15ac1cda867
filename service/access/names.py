"""Names of users: shown as they were given, compared as most people would, so that nobody can pass for another."""

from __future__ import annotations

import unicodedata

from service.errors_base import invalid

LONGEST = 64


def shown_name(text: str) -> str:
    """→ the name without blanks around it. Raises InvalidRequest."""
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= LONGEST or not name.isprintable() or not any(map(str.isalnum, name)):
        raise invalid("name", f"1 to {LONGEST} characters that can be seen, a letter or digit among them", text)
    return name


def name_key(text: str) -> str:
    """NFKC and case folding (Unicode's toNFKC_Casefold, nearly): ANNA, anna and ａｎｎａ are one."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).strip()

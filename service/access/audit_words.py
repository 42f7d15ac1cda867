"""Texts and details as the audit may keep them: short, nothing secret, nothing that a database cannot hold."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from pipeline.sources.masking import MASK
from pipeline.sources.url import redact

MAX_TEXT = 200  # characters
MAX_ITEMS = 20  # of a list, and fields of an object
MAX_DEPTH = 3

# API tokens and webhook secrets show what they are; the id of a token is no secret.
_CREDENTIALS = re.compile(r"(acto_[0-9a-f]{8}_)[\w-]+|(whsec_)[\w+/=-]+|(?i:(bearer|basic)\s+)[\w.~+/=-]+")
_SECRET_FIELD = re.compile(r"pass|secret|token$|cookie|authorization|signature|^key$|_key$|credential", re.IGNORECASE)


def clean_text(text: str, most: int = MAX_TEXT) -> str:
    """→ at most so many characters, credentials as ``***``, without zero bytes and lone surrogates."""
    shown = _CREDENTIALS.sub(lambda match: f"{match[1] or match[2] or match[3] + ' '}{MASK}", redact(text))
    shown = shown.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def clean_detail(detail: Mapping[str, Any]) -> dict[str, Any]:
    """→ plain JSON values; what is too deep or too much is left out, and said so by ``…``."""
    return _object(detail, 1)


def _object(fields: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    kept = {
        clean_text(str(name), 64): MASK if _SECRET_FIELD.search(str(name)) else _value(value, depth)
        for name, value in list(fields.items())[:MAX_ITEMS]
    }
    return kept if len(fields) <= MAX_ITEMS else {**kept, "…": len(fields) - MAX_ITEMS}


def _value(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return _object(value, depth + 1) if depth < MAX_DEPTH else "…"
    if isinstance(value, list | tuple | set | frozenset):
        return _list(list(value), depth) if depth < MAX_DEPTH else "…"
    return clean_text(str(value))


def _list(values: list[Any], depth: int) -> list[Any]:
    kept = [_value(value, depth + 1) for value in values[:MAX_ITEMS]]
    return kept if len(values) <= MAX_ITEMS else [*kept, f"… {len(values) - MAX_ITEMS} more"]

"""Identifiers that say what they name: ``str_…`` a stream, ``evt_…`` an event, ``rec_…`` a recording."""

from __future__ import annotations

import secrets


def new_id(prefix: str) -> str:
    """→ the prefix and 16 hex digits, not to be guessed."""
    return f"{prefix}_{secrets.token_hex(8)}"

"""Identifiers that say what they name: ``str_…`` a stream, ``evt_…`` an event, ``rec_…`` a recording."""

from __future__ import annotations

import secrets
from importlib.metadata import PackageNotFoundError, version


def new_id(prefix: str) -> str:
    """→ the prefix and 16 hex digits, not to be guessed."""
    return f"{prefix}_{secrets.token_hex(8)}"


def service_version() -> str:
    """→ which Actoscope this is."""
    try:
        return version("actoscope")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0"

"""Whose a bucket's prefix is: two services on one would take each other's recordings for strays, and delete them."""

from __future__ import annotations

from models.errors import NotStoredError, StoreConflictError, StoreError
from models.store.protocol import NEW
from service.bucket.keys import OWNER_KEY
from service.bucket.parts import Parts


class Claimed(StoreError):
    """The prefix belongs to another Actoscope."""


async def claim(parts: Parts) -> None:
    """Writes down that it is ours, where nobody did. Raises Claimed, StoreError."""
    own = await parts.objects.owner_id()
    there = await parts.hands.do(lambda: _read_or_write(parts, own))
    if there != own:
        raise Claimed(
            f"{parts.standing.place} belongs to another Actoscope ({there}; this one is {own}): give each its own "
            f"prefix; where that one is gone for good, delete {OWNER_KEY} there, and this one takes over"
        )


def _read_or_write(parts: Parts, own: str) -> str:
    """→ whose it is now."""
    try:
        return _read(parts)
    except NotStoredError:
        pass
    try:
        parts.store.put_bytes(OWNER_KEY, own.encode(), over=NEW)
    except StoreConflictError:  # somebody else was quicker
        return _read(parts)
    return own


def _read(parts: Parts) -> str:
    return parts.store.read(OWNER_KEY, 1024)[0].decode("utf-8", "replace")

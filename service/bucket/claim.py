"""Whose a bucket's prefix is: two services on one would take each other's recordings for strays, and delete them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from models.errors import NotStoredError, StoreConflictError, StoreError
from models.store.protocol import NEW
from service.bucket.keys import OWNER_KEY
from service.bucket.parts import Parts


class Claimed(StoreError):
    """The prefix belongs to another Actoscope."""


Claim = Callable[[Parts], Awaitable[None]]  # raises Claimed where it is not ours, StoreError where that is not known


async def claim(parts: Parts) -> None:
    """Writes down that it is ours, where nobody did. Raises Claimed, StoreError."""
    own = await parts.objects.owner_id()
    check(parts, await parts.hands.do(lambda: _read_or_write(parts, own)), own)


def check(parts: Parts, there: str, own: str) -> None:
    """Raises Claimed."""
    if there != own:
        raise Claimed(
            f"{parts.standing.place} belongs to another Actoscope ({there}; this one is {own}): give each its own "
            f"prefix; where that one is gone for good, delete {OWNER_KEY} there, and this one takes over"
        )


def _read_or_write(parts: Parts, own: str) -> str:
    """→ whose it is now."""
    try:
        return read_owner(parts)
    except NotStoredError:
        pass
    try:
        parts.store.put_bytes(OWNER_KEY, own.encode(), over=NEW)
    except StoreConflictError:  # somebody else was quicker
        return read_owner(parts)
    return own


def read_owner(parts: Parts) -> str:
    """On a thread. Raises NotStoredError where nobody has claimed it."""
    return parts.store.read(OWNER_KEY, 1024)[0].decode("utf-8", "replace")

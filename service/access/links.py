"""Links to a single picture or clip, for messages: whoever holds one may have this one file until the link expires.

A link is ``<path>?exp=<Unix time>&sig=<signature>``. The signature is HMAC-SHA256 (RFC 2104) over path and expiry, in
base64url (RFC 4648, section 5) without padding. The path is the service's own, without what a proxy puts before it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Callable, Mapping

from pydantic import SecretStr

from service.errors_base import Forbidden
from service.storage.access.signing_keys import MAX_KEYS, add_key, believed_keys
from service.storage.database import Database
from service.storage.secret_box import SecretBox

LONGEST_S = 24 * 3600.0
_DIGITS = 12  # of an expiry; no time that is meant has more
_REFUSED = "this link is not valid: it was changed, has expired or was revoked"


class Links:
    """Signs and checks without a look into the database: the keys are few. ``follow`` is told of those that another
    process has changed.
    """

    def __init__(
        self, database: Database, box: SecretBox, keys: tuple[SecretStr, ...], clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._box = box
        self._keys = keys  # newest first
        self._clock = clock
        self._turn = asyncio.Lock()  # what was read before a change must not be taken for what is there after it

    @classmethod
    async def open(cls, database: Database, box: SecretBox, clock: Callable[[], float] = time.time) -> Links:
        """Reads the keys, makes the first one. Raises StoreError."""
        links = cls(database, box, await believed_keys(database, box), clock)
        if not links._keys:
            await links.rotate(revoke=False)  # another API of a cluster may have made one meanwhile
        return links

    async def rotate(self, revoke: bool = True) -> None:
        """Signs with a new key from now on; ``revoke``: every link before it ends now. Raises StoreError."""
        key = SecretStr(secrets.token_urlsafe(32))
        async with self._turn:
            await add_key(self._database, self._box, key, self._clock(), revoke)
            self._keys = (key,) if revoke else (key, *self._keys)[:MAX_KEYS]

    async def follow(self) -> None:
        """Believes from now on what the database says is believed. Raises StoreError."""
        async with self._turn:
            self._keys = await believed_keys(self._database, self._box)

    def sign(self, path: str, expires_at: float) -> str:
        """→ the query of the link. Raises ValueError for more than a day from now, or a time that is over."""
        left_s = expires_at - self._clock()
        if not 0 < left_s <= LONGEST_S:
            raise ValueError(f"expected a link to expire within {LONGEST_S / 3600:g} h from now, got {left_s:.0f} s")
        expiry = str(math.floor(expires_at))
        return f"exp={expiry}&sig={_signature(self._keys[0], path, expiry)}"

    def check(self, path: str, query: Mapping[str, str]) -> None:
        """Raises Forbidden, with the same words whatever is wrong."""
        expiry, given = query.get("exp", ""), query.get("sig", "").encode()
        if not (expiry.isascii() and expiry.isdecimal() and len(expiry) <= _DIGITS):
            raise Forbidden(_REFUSED)
        signed = [hmac.compare_digest(_signature(key, path, expiry).encode(), given) for key in self._keys]
        if not (any(signed) and 0 < int(expiry) - self._clock() <= LONGEST_S):
            raise Forbidden(_REFUSED)


def _signature(key: SecretStr, path: str, expiry: str) -> str:
    mac = hmac.digest(key.get_secret_value().encode(), f"{path}\n{expiry}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")

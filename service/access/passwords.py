"""Passwords: Argon2id (RFC 9106) in the PHC string format, by OWASP's least parameters; a hash takes some 60 ms."""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from service.errors_base import Unavailable, invalid

SHORTEST, LONGEST = 12, 256  # characters; there is no other rule
AT_ONCE = 2  # hashes, each of 19 MiB
MAX_WAITING = 32  # tries that wait for one of the two; more are turned away

T = TypeVar("T")

_SALT_BYTES, _HASH_BYTES = 16, 32


@dataclass(frozen=True, slots=True)
class Cost:
    """What a hash takes: memory in KiB, passes over it, lanes."""

    memory_kib: int = 19 * 1024
    passes: int = 2
    lanes: int = 1


OWASP = Cost()


def check_password(password: str, field: str = "password") -> None:
    """Raises InvalidRequest, which does not repeat the password."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise invalid(field, f"{SHORTEST} to {LONGEST} characters", f"{len(password)}")


class Passwords:
    """Hashes and compares on threads of its own, two at once."""

    def __init__(self, cost: Cost = OWASP) -> None:
        self._cost = cost
        self._threads = ThreadPoolExecutor(AT_ONCE, "passwords")
        self._waiting = 0
        self._nobody = _hash(cost, os.urandom(16).hex())  # compared with where there is no such user

    def close(self) -> None:
        self._threads.shutdown()

    async def hash(self, password: str) -> str:
        """→ PHC string. Raises Unavailable while too many wait."""
        return await self._run(partial(_hash, self._cost, password))

    async def matches(self, password: str, hashed: str | None) -> bool:
        """``hashed`` None: False, after as long as any other comparison. Raises Unavailable while too many wait."""
        same = await self._run(partial(_matches, password, hashed or self._nobody))
        return same and hashed is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= AT_ONCE + MAX_WAITING:
            raise Unavailable("too many people log in at this moment; try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def _bytes(password: str) -> bytes:
    """The same for every keyboard: an accent may be typed as one sign or as two. Lone surrogates stay distinct."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _hash(cost: Cost, password: str) -> str:
    kdf = Argon2id(
        salt=os.urandom(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=cost.passes,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    )
    return kdf.derive_phc_encoded(_bytes(password))


def _matches(password: str, hashed: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(_bytes(password[: LONGEST + 1]), hashed)
    except (InvalidKey, ValueError):  # ValueError: what is stored is no such hash, so nothing matches it
        return False
    return True

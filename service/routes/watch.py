"""Answers that last: whoever gets one keeps it only as long as it may be had, and sees only what may be seen now."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import NoReturn, TypeVar

from starlette.requests import HTTPConnection

from service.errors_base import Forbidden, ServiceError
from service.rights import Principal
from service.routes.context import Context, read_principal
from service.storage.database import StoreError
from service.subscription import rung

log = logging.getLogger(__name__)

T = TypeVar("T")

READ_AGAIN_S = 30.0
RETRY_S = 1.0  # after a database that did not answer
UNREAD_S = 30.0  # rights that could not be read for so long are none
_LEAST_S = 0.05  # between two readings


class RightsEnded(Forbidden):
    """Whoever gets the answer may not have it any more."""


class Watch:
    """One connection's principal, read anew every 30 s, when its credential expires and when rights change.

    ``who`` is the newest one. One task follows; others await ``settled`` before they send, so that nothing leaves by
    rights that were there before the doorbell rang.
    """

    def __init__(self, connection: HTTPConnection, here: Context, who: Principal, permission: str) -> None:
        self._connection = connection
        self._here = here
        self._permission = permission
        self._read_at = time.monotonic()
        self._bell = asyncio.Event()
        self._fresh = asyncio.Event()  # what the bell rang for last was read
        self._over: str | None = None  # why nobody follows any more
        self.who = who

    async def follow(self, take: Callable[[Principal], None]) -> NoReturn:
        """Hands ``take`` the principal at once, as it may have changed since the gate, and whenever it was read anew.

        Raises RightsEnded when there is none any more, and whatever ``take`` raises.
        """
        try:
            with self._here.changes.subscribed() as self._bell:
                self._bell.set()
                while True:
                    if self._bell.is_set():
                        self._fresh.clear()
                        self._bell.clear()  # before it is read: a change meanwhile is read again
                    due_s = await self._read(take)
                    await rung(self._bell, due_s)
        except RightsEnded as ended:
            self._over = str(ended)
            raise
        finally:
            self._over = self._over or "what may be seen is not known any more"
            self._fresh.set()

    async def settled(self) -> None:
        """Returns when ``who`` is what the last change left. Raises RightsEnded when nobody follows any more."""
        while self._over is None and (self._bell.is_set() or not self._fresh.is_set()):
            await (self._fresh.wait() if not self._fresh.is_set() else asyncio.sleep(0))
        if self._over is not None:
            raise RightsEnded(self._over)

    async def _read(self, take: Callable[[Principal], None]) -> float:
        """→ in how many seconds to read again. A database that fails for a moment ends nobody's rights."""
        try:
            who = await read_principal(self._connection)
        except StoreError:
            if time.monotonic() - self._read_at > UNREAD_S:
                raise RightsEnded("your rights could not be read") from None
            return RETRY_S
        except ServiceError as error:
            raise RightsEnded(str(error)) from None
        if not who.may(self._permission):
            raise RightsEnded(f"the permission {self._permission} has been taken away")
        self.who, self._read_at = who, time.monotonic()
        take(who)
        self._fresh.set()
        return READ_AGAIN_S if who.until is None else min(READ_AGAIN_S, max(_LEAST_S, who.until - time.time()))

    def while_seen(self, stream_id: str, pictures: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The pictures of a stream, until they end or may not be seen any more."""

        def take(who: Principal) -> None:
            if not (who.visible.sees(stream_id) and who.may(self._permission, stream_id)):
                raise RightsEnded(f"stream {stream_id} may not be seen any more")

        return self.during(take, pictures, f"rights to stream {stream_id}")

    async def during(self, take: Callable[[Principal], None], items: AsyncIterator[T], name: str) -> AsyncIterator[T]:
        """The items, until they end or ``take`` raises RightsEnded: it hears of every change before the next one."""
        following = asyncio.create_task(self.follow(take), name=name)
        try:
            async for item in _until(following, items):
                await self.settled()
                yield item
        except RightsEnded:
            return
        finally:
            following.cancel()
            (end,) = await asyncio.gather(following, return_exceptions=True)
            if not isinstance(end, (RightsEnded, asyncio.CancelledError)):
                log.error("%s could not be followed", name, exc_info=end)


async def _until(end: asyncio.Task[NoReturn], items: AsyncIterator[T]) -> AsyncIterator[T]:
    """The items that come before ``end`` is done, however long the next one takes."""
    while True:
        coming = asyncio.ensure_future(anext(items))
        try:
            await asyncio.wait({coming, end}, return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                return
            yield coming.result()
        except StopAsyncIteration:
            return
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

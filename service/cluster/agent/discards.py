"""Recordings that were deleted while this node was busy or away: their copies here go as soon as it knows of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from service.cluster.agent.node_bucket import NodeBucket
from service.cluster.agent.node_files import NodeFiles
from service.storage.cluster.objects import NodeObjects
from service.storage.database import StoreError

log = logging.getLogger(__name__)

LOOK_S = 5.0
AT_ONCE = 200


class Discards:
    """``forget``: called with the path of each recording that is not here any more."""

    def __init__(
        self, objects: NodeObjects, files: NodeFiles, bucket: NodeBucket | None, forget: Callable[[str], None]
    ) -> None:
        self._objects, self._files, self._bucket = objects, files, bucket
        self._forget = forget
        self._last = ""  # the last path that was looked at; empty: anew

    async def follow(self) -> None:
        """For ever. What is loose waits for the bucket, behind a file that is being sent: copies do not."""
        await asyncio.gather(self._again(self._remove_doomed), self._again(self._remove_loose))

    async def _again(self, work: Callable[[], Awaitable[bool]]) -> None:
        while True:
            try:
                while await work():
                    pass
            except (StoreError, OSError) as error:
                log.warning("what is to be deleted here waits: %s", error)
            except Exception:  # the task's outermost frame: a disk must not fill up because of it
                log.exception("what is to be deleted here waits")
            await asyncio.sleep(LOOK_S)

    async def _remove_doomed(self) -> bool:
        """→ whether there may be more. Raises StoreError."""
        doomed = await self._objects.doomed(AT_ONCE, self._last)
        self._last = doomed[-1] if len(doomed) == AT_ONCE else ""
        for path in doomed:
            await self._discard(path)
        return self._last != ""

    async def _remove_loose(self) -> bool:
        """→ whether there may be more. While the bucket does not answer all of them wait. Raises StoreError."""
        loose = await self._objects.loose(AT_ONCE)
        for path in loose:
            if self._bucket is not None and not await self._bucket.remove(path):
                return False
            await self._objects.all_gone(path)
        return len(loose) == AT_ONCE

    async def _discard(self, path: str) -> None:
        """One that the disk does not let go of holds up no other."""
        try:
            await asyncio.to_thread(self._files.discard, path)
        except (OSError, ValueError) as error:
            log.error("%s was deleted and stays here for now: %s", path, error)
            return
        self._forget(path)
        await self._objects.copy_gone(path)

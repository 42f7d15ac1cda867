"""Rings the doorbell for what changed in the database, also by another process: ``actoscope users``, ``… tokens``, the
API that leads a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from service.access.changes import Changes
from service.rights import LOCAL
from service.storage.access.state import KEY, AccessState, read_access_state
from service.storage.database import Database, StoreError

log = logging.getLogger(__name__)

PERIOD_S = 0.5  # a change of the command line counts within twice that


class AccessWatch:
    """Looks each PERIOD_S, and at once when told to. While the database fails, what was last seen holds.

    ``on_keys``: hear that keys of signed links have changed; may raise StoreError, and are called again then.
    """

    def __init__(self, database: Database, changes: Changes, period_s: float = PERIOD_S) -> None:
        self._database = database
        self._changes = changes
        self._period_s = period_s
        self._state: AccessState = {}
        self.on_keys: list[Callable[[], Awaitable[None]]] = []
        self._turn = asyncio.Lock()  # what was read later must not be replaced by what was read before
        self._task: asyncio.Task[None] | None = None

    @property
    def has_users(self) -> bool:
        return _has_users(self._state)

    async def open(self) -> None:
        """Raises StoreError."""
        self._state = await read_access_state(self._database)
        self._task = asyncio.create_task(self._run(), name="access-watch")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Raises StoreError."""
        async with self._turn:
            before, after = self._state, await read_access_state(self._database)
            changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
            if any(kind == KEY for kind, _ in changed):
                for hear in self.on_keys:
                    await hear()
            self._state = after
        for kind, who in changed:
            if kind != KEY:
                self._changes.notify(who)
        if _has_users(before) != _has_users(after):
            self._changes.notify(LOCAL.id)

    async def _run(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(self._period_s)
            try:
                await self.look()
                failing = False
            except StoreError as error:
                if not failing:
                    log.warning("changes of users and tokens cannot be seen now: %s", error)
                failing = True


def _has_users(state: AccessState) -> bool:
    return any(kind == "user" for kind, _ in state)

"""Whose turn it is to start: until its first report a process takes a core for seconds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class StartTurns:
    """At most ``most`` processes (default: one a core) are between their start and their first report.

    64 that start at once take the cores from the API itself, which answers nobody until the last of them runs; and on a
    slower machine the watchdog would take them for hung before their first word.
    """

    def __init__(self, most: int | None = None) -> None:
        self._free = asyncio.Semaphore(most or len(os.sched_getaffinity(0)))

    @asynccontextmanager
    async def turn(self, stopping: asyncio.Event) -> AsyncIterator[Callable[[], None] | None]:
        """First come, first served. → what gives the turn back early, or None where ``stopping`` came first."""
        taken = asyncio.create_task(self._free.acquire())
        stopped = asyncio.create_task(stopping.wait())
        given_back = False

        def give_back() -> None:
            nonlocal given_back
            if not given_back:
                given_back = True
                self._free.release()

        try:
            await asyncio.wait({taken, stopped}, return_when=asyncio.FIRST_COMPLETED)
            yield give_back if taken.done() and not stopping.is_set() else None
        finally:
            stopped.cancel()
            if taken.done():
                give_back()
            else:
                taken.cancel()

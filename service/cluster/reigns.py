"""One process, now leading, now standing by: what it works with is exchanged whole, the new before the old ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Generic, TypeVar

from service.cluster.election import Election
from service.errors_base import ServiceError

log = logging.getLogger(__name__)

AGAIN_S = 2.0

PartsT = TypeVar("PartsT")
Opening = Callable[[int, AsyncExitStack], Awaitable[PartsT]]  # the epoch that it leads with, 0: it stands by


class Reigns(Generic[PartsT]):
    """``put`` is given the parts that requests are answered with from then on."""

    def __init__(self, election: Election, opening: Opening[PartsT], put: Callable[[PartsT], None]) -> None:
        self._election = election
        self._opening = opening
        self._put = put
        self._stack = AsyncExitStack()
        self._epoch = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        return self._epoch > 0

    async def open(self) -> None:
        """Raises what keeps this API from working at all."""
        await self._election.open()
        await self._begin(self._election.epoch)
        self._task = asyncio.create_task(self._run(), name="reigns")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._end(self._stack)
        await self._election.close()

    async def _run(self) -> None:
        while True:
            await (self._election.lost if self._epoch else self._election.won).wait()
            try:
                await self._begin(self._election.epoch)
            except (ServiceError, OSError) as error:
                log.error("it cannot %s: %s", "lead" if self._election.epoch else "stand by", error)
                await self._give_up()
            except Exception:  # the task's outermost frame
                log.exception("it can neither lead nor stand by")
                await self._give_up()

    async def _give_up(self) -> None:
        """Somebody else may lead; this one tries again later."""
        if self._election.epoch:
            await self._election.resign()
            self._election.resume()
        await asyncio.sleep(AGAIN_S)

    async def _begin(self, epoch: int) -> None:
        stack = AsyncExitStack()
        try:
            parts = await self._opening(epoch, stack)
        except BaseException:
            await self._end(stack)
            raise
        self._put(parts)
        before, self._stack, self._epoch = self._stack, stack, epoch
        await self._end(before)
        if not epoch:
            self._election.resume()

    async def _end(self, stack: AsyncExitStack) -> None:
        """A leader that was overtaken may write nothing: its parts say so, and end all the same."""
        try:
            await stack.aclose()
        except (ServiceError, OSError) as error:
            log.warning("what was under way ended with: %s", error)
        except Exception:  # what ends must not keep from beginning
            log.exception("what was under way did not end in good order")

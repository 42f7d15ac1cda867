"""Which API leads. One tries for the lock again and again; who has it says so every second, on its own connection.

A leader whose connection breaks is one still while nobody else has led: its epoch says so. Until it knows, the fence in
each of its transactions keeps it from doing harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from service.cluster.links.addresses import impatient
from service.storage.cluster import leader
from service.storage.cluster.leader import Candidate
from service.storage.database import make_engine

log = logging.getLogger(__name__)

BEAT_S = 1.0


class Election:
    """``epoch``: of this API while it leads, else 0. ``resume`` lets it stand again once it has stepped down."""

    def __init__(self, url: str, who: Candidate, beat_s: float = BEAT_S) -> None:
        self._engine = make_engine(impatient(url))
        self._who = who
        self._beat_s = beat_s
        self._thread = ThreadPoolExecutor(1, "election")
        self._connection: Connection | None = None
        self._locked = False
        self._stands = True
        self._problem = ""
        self._task: asyncio.Task[None] | None = None
        self.epoch = 0
        self.won = asyncio.Event()
        self.lost = asyncio.Event()

    async def open(self) -> None:
        """Tries once, so that the only API leads from the start."""
        await self._turn()
        self._task = asyncio.create_task(self._run(), name="election")

    async def close(self) -> None:
        """Another may lead at once."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go)
        self._thread.shutdown()
        self._engine.dispose()

    def resume(self) -> None:
        """It has stepped down, and may win again."""
        self.lost.clear()
        self._stands = True

    async def resign(self) -> None:
        """It cannot lead after all: somebody else may."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go)
        self._end()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._beat_s)
            try:
                await self._turn()
            except Exception:  # the task's outermost frame: without a beat nobody could tell that it hangs
                log.exception("the election goes on")

    async def _turn(self) -> None:
        before = self.epoch
        if not before and not self._stands:
            return
        epoch = await asyncio.get_running_loop().run_in_executor(self._thread, self._beat, before)
        if epoch == before:
            return
        if before:
            self._end()
            log.warning("another API leads the cluster by now")
        else:
            self.epoch, self._stands = epoch, False
            self.lost.clear()
            self.won.set()
            log.info("this API leads the cluster, epoch %d", epoch)

    def _end(self) -> None:
        self.epoch = 0
        self.won.clear()
        self.lost.set()

    # -- on the thread

    def _beat(self, epoch: int) -> int:
        """→ the epoch that it leads with from now on, 0: none. Unchanged where the database does not answer."""
        problem = ""
        for _ in range(2):  # a connection that broke says so once; the server may be there again
            try:
                found = self._look(epoch)
            except SQLAlchemyError as error:
                problem = str(getattr(error, "orig", None) or error)
                self._let_go()
            else:
                self._say("")
                return found
        self._say(problem)
        return epoch

    def _look(self, epoch: int) -> int:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._connection.detach()  # the pool keeps nothing of it: the lock ends with the connection
            leader.prepare(self._connection)
        if not self._locked:
            self._locked = leader.try_lock(self._connection)
        if not self._locked:
            if leader.end_stale(self._connection):
                log.warning("the API that led hangs: its connection is ended")
            return 0
        if epoch:
            return self._gone_on(self._connection, epoch)
        return leader.take_over(self._connection, self._who)

    def _gone_on(self, connection: Connection, epoch: int) -> int:
        if leader.go_on(connection, epoch):
            return epoch
        self._let_go()  # somebody has led in between
        return 0

    def _let_go(self) -> None:
        connection, self._connection, self._locked = self._connection, None, False
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                connection.close()

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            if problem:
                log.error("it cannot be told who leads, the database does not answer: %s", problem)

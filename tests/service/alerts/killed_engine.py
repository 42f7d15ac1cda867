"""A process with a real store, hub and engine over a stored log, to be killed.

It says when the engine begins, goes by the log's own time, so that what it decides depends on the log alone, and ends
once all is read and told.
"""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path

from service.alerts.engine import TICK_SLACK_S
from service.alerts.runner import AlertRunner
from service.hub import Hub
from service.storage.database import Database
from service.storage.secret_box import SecretBox
from service.storage.store import Store

READ_AT_ONCE = 3


class LogClock:
    """Shows the time of the newest message that is stored."""

    def __init__(self, newest: float) -> None:
        self.newest = newest

    def __call__(self) -> float:
        return self.newest + TICK_SLACK_S


def run(url: str, folder: str, newest: float, begun: Connection) -> None:
    asyncio.run(_run(url, Path(folder), newest, begun))


async def _run(url: str, folder: Path, newest: float, begun: Connection) -> None:
    database = Database(url)  # its tables are there
    store = Store(database, SecretBox.open(folder), folder / "recordings")
    hub = Hub(store)
    await hub.open()
    runner = AlertRunner(database, hub, LogClock(newest), read_at_once=READ_AT_ONCE)
    begun.send(True)
    await runner.open()
    while not await _all_told(runner, hub):
        await asyncio.sleep(0.005)
    await runner.close()
    await hub.close()
    await store.close()


async def _all_told(runner: AlertRunner, hub: Hub) -> bool:
    """Between two turns of the loop: in one, something may be decided that is not published yet."""
    async with runner._lock:
        await hub.flush()
        return runner.seq == hub.seq and not runner._state.unpublished

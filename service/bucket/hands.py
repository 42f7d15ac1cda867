"""Threads for calls that may hang: whoever ends the service does not wait for a bucket that does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from service.errors_base import Unavailable

T = TypeVar("T")


class Hands:
    """At most ``most`` calls at once, and ``waiting`` that wait; each on a thread that no exit waits for."""

    def __init__(self, name: str, most: int, niceness: int = 0, waiting: int = 64) -> None:
        self._name, self._niceness = name, niceness
        self._slots = asyncio.Semaphore(most)
        self._room = waiting

    async def do(self, work: Callable[[], T]) -> T:
        """→ what ``work`` gives. Cancelled, it goes on by itself and keeps its slot until it is done.

        Raises Unavailable where too many wait, and what ``work`` raises.
        """
        if self._room <= 0:
            raise Unavailable("too many wait for the bucket that recordings are in")
        self._room -= 1
        try:
            await self._slots.acquire()
        finally:
            self._room += 1
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        threading.Thread(target=self._run, args=(work, loop, answer), name=self._name, daemon=True).start()
        return await answer

    def _run(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop, answer: asyncio.Future[T]) -> None:
        if self._niceness:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
        try:
            result, error = work(), None
        except BaseException as caught:  # noqa: BLE001 - it is for whoever waits for the answer
            result, error = None, caught
        with contextlib.suppress(RuntimeError):  # the loop is closed: the service has ended
            loop.call_soon_threadsafe(self._tell, answer, result, error)

    def _tell(self, answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._slots.release()
        if answer.cancelled():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

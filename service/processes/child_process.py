"""Starting, talking to and ending child processes on the API's event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from service.processes.ipc import ChannelClosed
from service.processes.messages import ChildSetup, Stop, read_message, write_message
from service.processes.transport import socket_pair

log = logging.getLogger(__name__)

# A child is no place for our settings: everything it needs comes by the socket (so nothing shows in its environment
# or arguments), and its thread pools must not each take the whole machine.
_DROPPED_PREFIX = "ACTOSCOPE_"

Handler = Callable[[Any], Awaitable[None]]


class ChildProcess:
    """One running child. ``messages`` ends when the child is gone; ``stop`` always returns with the child reaped."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.started_s = time.monotonic()
        self.heard_s = time.monotonic()

    @classmethod
    async def start(cls, module: str, setup: ChildSetup) -> ChildProcess:
        """Runs ``python -m module FD`` and sends it its setup."""
        ours, theirs = socket_pair()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(_DROPPED_PREFIX)}
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 22)
        child = cls(process, reader, writer)
        child.command(setup)
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    def command(self, content: object) -> None:
        """Queues a command; a child that is gone is noticed by whoever reads ``messages``."""
        if not self._writer.is_closing():
            write_message(self._writer, content)

    async def messages(self, handler: Handler) -> None:
        """Hands every report to ``handler`` until the child closes its side.

        Raises UnexpectedMessage for a report that is none, and what ``handler`` raises.
        """
        try:
            while True:
                message = await read_message(self._reader)
                self.heard_s = time.monotonic()
                await handler(message)
                self.heard_s = time.monotonic()  # the child was not silent while its report was dealt with
        except ChannelClosed:
            return

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        try:
            self._process.send_signal(number)
        except ProcessLookupError:
            log.debug("process %d was gone already", self.pid)

    async def stop(self, grace_s: float) -> int:
        """Asks, waits ``grace_s``, kills. → the exit status, negative for a signal."""
        self.command(Stop())
        try:
            return await asyncio.wait_for(self._process.wait(), grace_s)
        except asyncio.TimeoutError:
            log.warning("process %d did not stop within %.1f s and is killed", self.pid, grace_s)
            self.kill()
            return await self._process.wait()
        finally:
            self._writer.close()

    async def reap(self, timeout_s: float = 2.0) -> int:
        """After ``messages`` ended: → the exit status; a child that only closed its socket is killed."""
        try:
            return await asyncio.wait_for(self._process.wait(), timeout_s)
        except asyncio.TimeoutError:
            self.kill()
            return await self._process.wait()
        finally:
            self._writer.close()


class RestartPolicy:
    """Back-off between restarts, and a breaker: more than ``burst`` crashes in ``window_s`` wait ``slow_s``."""

    def __init__(self, first_s: float = 0.25, most_s: float = 10.0, burst: int = 5, window_s: float = 60.0) -> None:
        self._first_s, self._most_s, self._burst, self._window_s = first_s, most_s, burst, window_s
        self._crashes: list[float] = []
        self.slow_s = 60.0

    def crashed(self, now_s: float) -> tuple[float, bool]:
        """→ (seconds to wait, True when the breaker is open)."""
        self._crashes = [t for t in self._crashes if now_s - t < self._window_s] + [now_s]
        if len(self._crashes) > self._burst:
            return self.slow_s, True
        return min(self._most_s, self._first_s * 2 ** (len(self._crashes) - 1)), False

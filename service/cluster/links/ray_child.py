"""Keeps the process alive that speaks Ray (``ray_side``): started, told where to, started again when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from collections.abc import Mapping

from service.processes.child_process import RestartPolicy

log = logging.getLogger(__name__)

STOP_S = 12.0


class RayChild:
    """``go`` gives it another setup; the one before ends first."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._setup: dict[str, object] | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0

    def open(self) -> None:
        self._task = asyncio.create_task(self._run(), name="ray")

    def go(self, setup: Mapping[str, object] | None) -> None:
        """None: no Ray until further notice."""
        if setup != self._setup:
            self._setup = None if setup is None else dict(setup)
            self._changed.set()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._stop()

    async def _run(self) -> None:
        policy = RestartPolicy(first_s=0.5, most_s=5.0, burst=20)
        while True:
            if self._setup is None:
                await self._changed.wait()
            self._changed.clear()
            if self._setup is None:
                continue
            try:
                await self._start(self._setup)
                await self._until_over()
            except OSError as error:
                log.error("Ray's process does not start: %s", error)
            finally:
                await self._stop()
            if not self._changed.is_set():
                delay_s, _ = policy.crashed(time.monotonic())
                log.warning("Ray ended on this machine; it is begun again in %.2g s", delay_s)
                await asyncio.sleep(delay_s)

    async def _start(self, setup: Mapping[str, object]) -> None:
        self.starts += 1
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "service.cluster.links.ray_side",
            stdin=asyncio.subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps(setup).encode() + b"\n")

    async def _until_over(self) -> None:
        process = self._process
        if process is None:
            return
        ended, changed = asyncio.ensure_future(process.wait()), asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({ended, changed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            changed.cancel()

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        done, _ = await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=STOP_S)
        if not done:
            log.warning("Ray's process did not end within %g s and is killed", STOP_S)
            process.kill()
            await process.wait()

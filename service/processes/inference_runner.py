"""Keeps the one inference process alive and knows what it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

from service.processes.child_process import ChildProcess, RestartPolicy
from service.processes.ipc import Message

log = logging.getLogger(__name__)

SILENCE_S = 8.0
STOP_GRACE_S = 3.0


class InferenceRunner:
    """``ready`` once the models are loaded; a crash is answered with a new process, streams reconnect to it."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._policy = RestartPolicy()
        self._child: ChildProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()
        self.reason = "loading models"
        self.restarts = 0
        self.stats: dict[str, Any] = {}
        self.parts: dict[str, str] = {}
        self.pid: int | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        self._stopping.set()
        if self._child is not None:
            self._child.command("stop")
        if self._task is None:
            return
        done, _ = await asyncio.wait({self._task}, timeout=STOP_GRACE_S)
        if not done and self._child is not None:
            self._child.kill()
        await asyncio.wait({self._task}, timeout=1.0)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            status = await self._run_once()
            if self._stopping.is_set():
                return
            self.reason = self.reason if self.reason != "ready" else f"ended with status {status}, loading again"
            delay_s, broken = self._policy.crashed(time.monotonic())
            self.restarts += 1
            log.error("inference process ended with status %d; again in %.2g s", status, delay_s)
            if broken:
                self.reason = f"crashes again and again; next try in {delay_s:.0f} s. {self.reason}"
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)

    async def _run_once(self) -> int:
        try:
            child = self._child = await ChildProcess.start("service.processes.inference_process", self._config)
        except OSError as error:
            self.reason = f"cannot start: {error}"
            return -1
        self.pid = child.pid
        watchdog = asyncio.create_task(self._watch_silence(child))
        try:
            await child.messages(self._handle)
            return await child.reap()
        finally:
            watchdog.cancel()
            self.ready.clear()
            self._child, self.pid = None, None

    async def _watch_silence(self, child: ChildProcess) -> None:
        """Only once it is ready: loading and exporting models may take minutes the first time."""
        await self.ready.wait()
        while time.monotonic() - child.heard_s < SILENCE_S:
            await asyncio.sleep(1.0)
        self.reason = "hung and was killed"
        log.error("inference process %d is silent: killed", child.pid)
        child.kill()

    async def _handle(self, message: Message) -> None:
        if message.kind == "ready":
            self.parts, self.reason = dict(message.fields["parts"]), "ready"
            self.ready.set()
            log.info("inference is ready: %s", self.parts)
        elif message.kind == "stats":
            self.stats, self.parts = message.fields["measures"], dict(message.fields["parts"])
        elif message.kind == "failed":
            self.reason = str(message.fields["reason"])

    def status(self) -> dict[str, Any]:
        """For ``/readyz`` and ``GET /v1/models``."""
        gauges = self.stats.get("gauges", {})
        return {
            "ready": self.ready.is_set(),
            "reason": self.reason,
            "parts": self.parts,
            "restarts": self.restarts,
            "pid": self.pid,
            "queue": gauges.get("clip_queue_depth", 0),
        }

"""Keeps one stream's process alive: starts it, listens to it, watches its age, starts it again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from service.processes.child_process import ChildProcess, RestartPolicy
from service.processes.ipc import Message

log = logging.getLogger(__name__)

SILENCE_S = 10.0  # no report for so long: the process hangs
FRAME_AGE_S = 10.0  # running, but no frame for so long: its decoder hangs
STOP_GRACE_S = 4.2

Report = Callable[[str, dict[str, Any]], Awaitable[None]]


@dataclass
class StreamView:
    """What is known of a stream now; the source of ``StreamStatus`` and of the metrics."""

    state: str = "connecting"
    code: str | None = None
    reason: str = "starting"
    since: float = field(default_factory=time.time)
    stats: dict[str, Any] = field(default_factory=dict)
    restarts: int = 0
    next_track_id: int = 1
    pid: int | None = None


class StreamRunner:
    """One task a stream. ``report`` receives every message of the stream: (kind, fields)."""

    def __init__(self, config: Callable[[], dict[str, Any]], report: Report, first_track_id: int) -> None:
        self._config = config
        self._report = report
        self.view = StreamView(next_track_id=first_track_id)
        self._policy = RestartPolicy()
        self._child: ChildProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.picture: bytes | None = None
        self.picture_s = 0.0
        self.picture_came = asyncio.Condition()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Returns within STOP_GRACE_S and a moment, whatever the process does."""
        self._stopping.set()
        if self._child is not None:
            self._child.command("stop")
        if self._task is not None:
            await self._end_task(self._task)
        await self._set_state("stopped", None, "stopped on request")

    async def _end_task(self, task: asyncio.Task[None]) -> None:
        done, _ = await asyncio.wait({task}, timeout=STOP_GRACE_S)
        if not done:
            if self._child is not None:
                self._child.kill()
            done, _ = await asyncio.wait({task}, timeout=0.6)
        if not done:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def watch(self, seconds: float) -> None:
        if self._child is not None:
            self._child.command("watch", {"seconds": seconds})

    async def _run(self) -> None:
        while not self._stopping.is_set():
            status = await self._run_once()
            if self._stopping.is_set():
                return
            if status == 0 and (self.view.state == "failed" or self.view.code == "ended"):
                return  # a source that said why it cannot be read, or a file that came to its end
            await self._wait_to_restart(status)

    async def _run_once(self) -> int:
        config = {**self._config(), "first_track_id": self.view.next_track_id}
        try:
            child = self._child = await ChildProcess.start("service.processes.stream_process", config)
        except OSError as error:
            log.error("stream process cannot be started: %s", error)
            return -1
        self.view.pid = child.pid
        self.view.stats = {}  # what the process before it said would make this one look hung
        if self._stopping.is_set():
            child.command("stop")
        watchdog = asyncio.create_task(self._watch_age(child))
        try:
            await child.messages(self._handle)
            return await child.reap()
        except Exception:  # a report that cannot be dealt with: never leave a process that nobody listens to or stops
            log.exception("a report of stream process %d failed; the process is ended", child.pid)
            child.kill()
            return await child.reap()
        finally:
            watchdog.cancel()
            self._child, self.view.pid = None, None

    async def _wait_to_restart(self, status: int) -> None:
        delay_s, broken = self._policy.crashed(time.monotonic())
        self.view.restarts += 1
        how = f"was ended by signal {-status}" if status < 0 else f"exited with status {status}"
        reason = f"the stream's process {how}; it is started again in {delay_s:.2g} s"
        if broken:
            await self._set_state("failed", "crash_loop", "crashes again and again: " + reason)
        else:
            await self._set_state("reconnecting", "crashed", reason)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay_s)

    async def _watch_age(self, child: ChildProcess) -> None:
        while True:
            await asyncio.sleep(1.0)
            silence_s = time.monotonic() - child.heard_s
            age_s = self.view.stats.get("frame_age_s")
            # The report may be a second older than the state: an age from an outage that just ended does not count.
            running = self.view.state == "running" == self.view.stats.get("state")
            hangs = running and age_s is not None and age_s + silence_s > FRAME_AGE_S
            starting = time.monotonic() - child.started_s < 3 * SILENCE_S and not self.view.stats
            if hangs or (silence_s > SILENCE_S and not starting):
                log.error(
                    "stream process %d hangs (silent %.1f s, frame age %s s): killed", child.pid, silence_s, age_s
                )
                child.kill()
                return

    async def _handle(self, message: Message) -> None:
        fields = message.fields
        if message.kind == "stats":
            if self.view.stats.get("recording") == "paused" and fields["recording"] == "on":
                await self._report("recording_resumed", {})
            self.view.stats = fields
            self.view.next_track_id = max(self.view.next_track_id, int(fields["next_track_id"]))
        elif message.kind == "state":
            await self._set_state(fields["state"], fields["code"], fields["reason"])
        elif message.kind == "picture":
            async with self.picture_came:
                self.picture, self.picture_s = message.arrays["jpeg"].tobytes(), time.monotonic()
                self.picture_came.notify_all()
        else:
            await self._report(message.kind, fields)

    async def _set_state(self, state: str, code: str | None, reason: str) -> None:
        view = self.view
        if (state, code, reason) == (view.state, view.code, view.reason):
            return
        if state != view.state:
            view.since = time.time()
        view.state, view.code, view.reason = state, code, reason
        await self._report("state", {"state": state, "code": code, "reason": reason})

    async def next_picture(self, newer_than_s: float, timeout_s: float) -> bytes:
        """Waits for an overlay picture made after ``newer_than_s`` (monotonic). Raises asyncio.TimeoutError."""

        async def fresh() -> bytes:
            async with self.picture_came:
                await self.picture_came.wait_for(lambda: self.picture is not None and self.picture_s > newer_than_s)
                return self.picture or b""

        return await asyncio.wait_for(fresh(), timeout_s)

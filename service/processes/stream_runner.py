"""Keeps one stream's process alive, and knows how the stream goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.entities import Zone
from pipeline.sources.timestamps import BELIEVED, Clock
from service.processes.child_process import ChildProcess
from service.processes.managed_child import Ended, ManagedChild
from service.processes.messages import (
    LiveReport,
    Picture,
    SetZones,
    StateReport,
    StatsReport,
    Still,
    StreamSetup,
    WantStill,
    Watch,
    WatchLive,
)
from service.processes.start_turns import StartTurns
from service.processes.version_messages import UseModel
from service.stream_state import StreamState, check_move
from service.supervisor_protocol import LivePicture

SILENCE_S = 10.0  # no report for so long: the process hangs
FRAME_AGE_S = 10.0  # running, but no frame for so long: its decoder hangs; longer where pictures are rare

Report = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RecordingResumed:
    """What the runner itself reports: the recorder writes again after a pause."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What changed about a stream that runs: ``code`` names it, ``reason`` is for people."""

    code: str
    reason: str


@dataclass
class StreamView:
    """What is known of a stream now; the source of ``StreamStatus`` and of the metrics. ``stats`` None: none yet."""

    state: StreamState = StreamState.CONNECTING
    code: str | None = None
    reason: str = "starting"
    since: float = field(default_factory=time.time)
    stats: StatsReport | None = None
    next_track_id: int = 1


class StreamRunner(ManagedChild):
    """``report`` receives every message of the stream but pictures and statistics, and each change of its state."""

    module = "service.processes.stream_process"
    stop_grace_s = 4.2

    def __init__(
        self,
        setup: Callable[[], StreamSetup],
        report: Report,
        first_track_id: int,
        turns: StartTurns | None = None,
        zones: tuple[Zone, ...] = (),
    ) -> None:
        super().__init__("a stream's process", turns)
        self._zones = self._told_zones = zones
        self._model: UseModel | None = None
        self._told_model: UseModel | None = None
        self._setup = setup
        self._report = report
        self.view = StreamView(next_track_id=first_track_id)
        self.picture: bytes | None = None
        self.picture_s = 0.0
        self._still: bytes | None = None
        self._still_s = 0.0
        self._live: LivePicture | None = None
        self._live_s = 0.0
        self.picture_came = asyncio.Condition()

    def setup(self) -> StreamSetup:
        setup, self._told_zones, self._told_model = self._setup(), self._zones, self._model
        return replace(setup, zones=self._zones, stages=replace(setup.stages, first_track_id=self.view.next_track_id))

    async def stop(self) -> None:
        await super().stop()
        await self._set_state(StreamState.STOPPED, None, "stopped on request")

    def watch(self, seconds: float) -> None:
        self.command(Watch(seconds))

    def watch_live(self, seconds: float, full: bool) -> None:
        self.command(WatchLive(seconds, full))

    def set_zones(self, zones: tuple[Zone, ...]) -> None:
        """Told to the process that runs, and to every one after it. The stream goes on."""
        self._zones = zones
        self.command(SetZones(zones))

    def use_model(self, change: UseModel) -> None:
        """Told to the process that runs; one that is started later learns it by its setup. The stream goes on."""
        self._model = change
        self.command(change)

    def started(self) -> None:
        self.view.stats = None  # what the process before it said would make this one look hung
        if self._zones is not self._told_zones:  # changed between its setup and now, when there was none to tell
            self.command(SetZones(self._zones))
        if self._model is not None and self._model is not self._told_model:
            self.command(self._model)

    def is_over(self, end: Ended) -> bool:
        """A source that said why it cannot be read, or a file that came to its end."""
        return end.status == 0 and (self.view.state is StreamState.FAILED or self.view.code == "ended")

    async def crashed(self, end: Ended, delay_s: float, broken: bool) -> None:
        reason = f"the stream's process {end}; it is started again in {delay_s:.2g} s"
        if broken:
            await self._set_state(StreamState.FAILED, "crash_loop", "crashes again and again: " + reason)
        else:
            await self._set_state(StreamState.RECONNECTING, "crashed", reason)

    def hang(self, child: ChildProcess) -> str | None:
        silence_s = time.monotonic() - child.heard_s
        stats = self.view.stats
        age_s = None if stats is None else stats.frame_age_s
        # The report may be a second older than the state: an age from an outage that just ended does not count.
        running = stats is not None and self.view.state is StreamState.RUNNING is stats.state
        limit_s = FRAME_AGE_S + (0.0 if stats is None else stats.quiet_s)
        hangs = running and age_s is not None and age_s + silence_s > limit_s
        starting = time.monotonic() - child.started_s < 3 * SILENCE_S and stats is None
        if hangs or (silence_s > SILENCE_S and not starting):
            return f"hangs (silent {silence_s:.1f} s, frame age {age_s} s)"
        return None

    async def handle(self, report: Any) -> None:
        match report:
            case StatsReport():
                await self._on_stats(report)
            case StateReport():
                await self._set_state(report.state, report.code, report.reason)
            case Picture():
                async with self.picture_came:
                    self.picture, self.picture_s = report.jpeg.tobytes(), time.monotonic()
                    self.picture_came.notify_all()
            case LiveReport():
                async with self.picture_came:
                    self._live, self._live_s = LivePicture(report.jpeg.tobytes(), report.wire), time.monotonic()
                    self.picture_came.notify_all()
            case Still():
                async with self.picture_came:
                    self._still, self._still_s = report.jpeg.tobytes(), time.monotonic()
                    self.picture_came.notify_all()
            case _:
                await self._report(report)

    async def _on_stats(self, stats: StatsReport) -> None:
        before, view = self.view.stats, self.view
        view.stats = stats
        view.next_track_id = max(view.next_track_id, stats.next_track_id)
        if before is not None and (before.recording, stats.recording) == ("paused", "on"):
            await self._report(RecordingResumed())
        for notice in notices(before, stats):
            await self._report(notice)

    async def _set_state(self, state: StreamState, code: str | None, reason: str) -> None:
        """Raises IllegalMove."""
        view = self.view
        if (state, code, reason) == (view.state, view.code, view.reason):
            return
        check_move(view.state, state)
        if state is not view.state:
            view.since = time.time()
        view.state, view.code, view.reason = state, code, reason
        await self._report(StateReport(state, code, reason))

    async def next_picture(self, newer_than_s: float, timeout_s: float) -> bytes:
        """Waits for an overlay picture made after ``newer_than_s`` (monotonic). Raises asyncio.TimeoutError."""

        async def fresh() -> bytes:
            async with self.picture_came:
                await self.picture_came.wait_for(lambda: self.picture is not None and self.picture_s > newer_than_s)
                return self.picture or b""

        return await asyncio.wait_for(fresh(), timeout_s)

    async def next_still(self, timeout_s: float) -> bytes:
        """Waits for a picture without overlay, made from now on. Raises asyncio.TimeoutError."""
        asked_s = time.monotonic()
        self.command(WantStill(timeout_s))

        async def fresh() -> bytes:
            async with self.picture_came:
                await self.picture_came.wait_for(lambda: self._still is not None and self._still_s > asked_s)
                return self._still or b""

        return await asyncio.wait_for(fresh(), timeout_s)

    async def next_live(self, newer_than_s: float, timeout_s: float) -> tuple[float, LivePicture]:
        """→ (monotonic time, picture) of one that came after ``newer_than_s``. Raises asyncio.TimeoutError."""

        async def fresh() -> tuple[float, LivePicture]:
            async with self.picture_came:
                while self._live is None or self._live_s <= newer_than_s:
                    await self.picture_came.wait()
                return self._live_s, self._live

        return await asyncio.wait_for(fresh(), timeout_s)


def notices(before: StatsReport | None, now: StatsReport) -> list[Notice]:
    """→ what to tell of the change from one report to the next: what media time follows, whether there can be labels.

    ``before`` None: the process has just begun, and all is well until it says otherwise.
    """
    clock, labels = (BELIEVED, None) if before is None else (before.clock, before.labels)
    told = []
    if now.clock.doubted and not clock.doubted:
        told.append(Notice("clock", f"media time follows the arrival of pictures: {now.clock.reason}"))
    elif clock.doubted and now.clock.clock is Clock.SOURCE:
        told.append(Notice("clock", "media time follows the source's time stamps again"))
    if (now.labels is None) is not (labels is None):
        told.append(Notice("labels", now.labels or "people can have labels"))
    return told

"""Runs the processes behind the API: one for inference, one a stream. Implements ``supervisor_protocol.Supervisor``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.entities import Zone
from service.budget.plan import BudgetView
from service.configuration import StagesConfig
from service.processes.inference_runner import InferenceRunner
from service.processes.lending.node_runner import NodeInferenceRunner
from service.processes.messages import (
    ActionReport,
    InferenceSetup,
    PresenceReport,
    RepetitionReport,
    SegmentReport,
    StateReport,
    StatsReport,
    StreamSetup,
    TracksReport,
    Trouble,
    unexpected,
)
from service.processes.model_switch import ModelSwitch
from service.processes.nodes import Lender, LendingSetup, NodeInferenceSetup
from service.processes.setups import inference_setup, stream_setup, stream_stages
from service.processes.start_turns import StartTurns
from service.processes.stream_runner import Notice, RecordingResumed, StreamRunner
from service.processes.transport import unix_address
from service.processes.version_messages import ShadowReport
from service.prometheus import CounterKeeper, Measured, exposition
from service.settings import Settings
from service.storage.database import StoreError
from service.storage.records import StreamRecord
from service.storage.segment import Segment
from service.stream_state import StreamState
from service.supervisor_protocol import LivePicture, Memory, Outlet, SnapshotUnavailable, StreamStatus
from service.versions.names import VersionName
from service.wire_messages import to_stream_message

log = logging.getLogger(__name__)

WATCH_S = 3.0
WATCH_RENEW_S = 1.0
MJPEG_TIMEOUT_S = 15.0
NO_STATS = StatsReport(StreamState.CONNECTING, next_track_id=1)  # until a process has told something
MAX_UNINDEXED = 1000  # recordings that wait for a database that fails; those beyond are indexed at the next start


class ProcessSupervisor:
    """All methods run on the API's event loop."""

    def __init__(self, settings: Settings, hub: Outlet, store: Memory, lending: LendingSetup | None = None) -> None:
        """``lending``: what there is to know of a cluster's other nodes, None on a machine by itself."""
        self._settings = settings
        self._hub = hub
        self._store = store
        self._records: dict[str, StreamRecord] = {}
        self._runners: dict[str, StreamRunner] = {}
        self._keepers: dict[str, CounterKeeper] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._turns = StartTurns()
        self._unindexed: deque[Segment] = deque(maxlen=MAX_UNINDEXED)
        # A path of a local socket has at most 107 bytes, which a data folder may exceed.
        self._run_dir = Path(tempfile.mkdtemp(prefix="actoscope-"))
        self._address = unix_address(self._run_dir / "inference.sock")
        self._inference = self._worker(lending)
        self.models = ModelSwitch(settings, self._inference, self._running, self._stages)

    def _worker(self, lending: LendingSetup | None) -> InferenceRunner:
        def setup() -> InferenceSetup:
            return inference_setup(self._settings, self._address, self.models.pairs())

        if lending is None:
            return InferenceRunner(setup)
        return NodeInferenceRunner(lambda: NodeInferenceSetup.of(setup(), lending))

    async def open(self) -> None:
        """Starts loading the models; streams may be started at once and wait for them."""
        self._inference.start()

    async def close(self) -> None:
        """Ends every process, recordings first, within about 8 s."""
        await asyncio.gather(*(runner.stop() for runner in self._runners.values()), self._inference.stop())
        shutil.rmtree(self._run_dir, ignore_errors=True)

    # -- streams

    async def start(self, stream: StreamRecord) -> None:
        async with self._lock(stream.id):
            before = self._runners.get(stream.id)
            await self._stop_runner(stream.id)
            self._records[stream.id] = stream
            first = 1 + await self._store.last_track_id(stream.id)
            if before is not None:  # it knows of tracks that had no event
                first = max(first, before.view.next_track_id)
            runner = StreamRunner(
                lambda: self._setup_of(self._records[stream.id]),
                lambda report: self._on_report(stream.id, report),
                first,
                self._turns,
                await self._store.zones.of(stream.id),
            )
            self._runners[stream.id] = runner
            runner.start()
        await self._publish_state(stream.id, StateReport(StreamState.CONNECTING, None, "starting"))

    def _setup_of(self, stream: StreamRecord) -> StreamSetup:
        use = self.models.of_stream(stream)
        return replace(stream_setup(self._settings, stream, self._address, use.stages), shadow=use.shadow)

    def _running(self) -> list[tuple[StreamRecord, StreamRunner]]:
        return [(self._records[stream_id], runner) for stream_id, runner in self._runners.items()]

    def _stages(self, stream: StreamRecord, version: str) -> StagesConfig:
        return stream_stages(self._settings, stream, version)

    async def stop(self, stream_id: str) -> None:
        async with self._lock(stream_id):
            await self._stop_runner(stream_id)
            self._records.pop(stream_id, None)
            self._keepers.pop(stream_id, None)
        self._locks.pop(stream_id, None)

    async def restart(self, stream_id: str) -> None:
        await self.start(self._records[stream_id])

    async def update(self, stream: StreamRecord) -> None:
        """New options need a new process: buffers and tracks start again."""
        await self.start(stream)

    async def set_zones(self, stream_id: str, zones: tuple[Zone, ...]) -> None:
        if stream_id not in self._records:  # a start that comes reads what is stored
            return
        async with self._lock(stream_id):  # a start that has read the former ones is over then
            runner = self._runners.get(stream_id)
            if runner is not None:
                runner.set_zones(zones)

    async def _stop_runner(self, stream_id: str) -> None:
        runner = self._runners.pop(stream_id, None)
        if runner is not None:
            await runner.stop()
            await self._hub.end_open_events(stream_id)

    def _lock(self, stream_id: str) -> asyncio.Lock:
        return self._locks.setdefault(stream_id, asyncio.Lock())

    # -- reports from the stream processes

    async def _on_report(self, stream_id: str, report: object) -> None:
        match report:
            case TracksReport():
                await self._hub.publish_tracks(report.wire)
            case ActionReport():
                await self._hub.publish_action(report.wire)
            case RepetitionReport():
                await self._hub.publish_repetition(report.wire)
            case PresenceReport():
                await self._hub.publish_presence(report.wire)
            case StateReport():
                await self._publish_state(stream_id, report)
            case SegmentReport():
                self._unindexed.append(replace(report.segment, stream_id=stream_id))
                await self._index()
            case Trouble():
                await self._note(stream_id, "recording", report.reason)
            case RecordingResumed():
                await self._note(stream_id, None, "recording goes on")
            case Notice():
                await self._note(stream_id, report.code, report.reason)
            case ShadowReport():
                await self.models.on_tally(stream_id, report.tally)
            case _:
                raise unexpected(report, "the supervisor")

    async def _note(self, stream_id: str, code: str | None, reason: str) -> None:
        """Something about a stream that stays in the state it is in."""
        runner = self._runners.get(stream_id)
        if runner is not None:
            await self._publish_state(stream_id, StateReport(runner.view.state, code, reason))

    async def _index(self) -> None:
        """A database that fails ends no stream: a segment is tried again with the next, or found at the next start."""
        while self._unindexed:
            segment = self._unindexed.popleft()
            try:
                await self._store.add_recording(segment)
            except StoreError as error:
                self._unindexed.appendleft(segment)
                log.error("%d recordings are not indexed yet: %s", len(self._unindexed), error)
                return

    async def _publish_state(self, stream_id: str, report: StateReport) -> None:
        if report.code in ("crashed", "crash_loop"):
            await self._hub.end_open_events(stream_id)
        await self._hub.publish_stream(to_stream_message(stream_id, report.state.value, report.code, report.reason))

    # -- views

    def status(self, stream_id: str) -> StreamStatus:
        runner = self._runners.get(stream_id)
        if runner is None:
            return StreamStatus(StreamState.STOPPED, code=None, reason="not running", since=time.time())
        return to_status(runner)

    async def snapshot(self, stream_id: str, timeout_s: float, overlay: bool = True) -> bytes:
        """A fresh picture as JPEG. Raises SnapshotUnavailable when none comes in time."""
        runner = self._runners.get(stream_id)
        if runner is None:
            raise SnapshotUnavailable("the stream is stopped")
        try:
            if not overlay:
                return await runner.next_still(timeout_s)
            runner.watch(WATCH_S)
            return await runner.next_picture(time.monotonic(), timeout_s)
        except asyncio.TimeoutError:
            view = runner.view
            raise SnapshotUnavailable(f"no picture within {timeout_s:g} s: {view.state.value}, {view.reason}") from None

    async def watch(self, stream_id: str) -> AsyncIterator[bytes]:
        """JPEGs as they come, at most 10 a second; ends when the stream is stopped or shows nothing for long."""
        newest_s, renewed_s = time.monotonic(), 0.0
        while (runner := self._runners.get(stream_id)) is not None:
            now = time.monotonic()
            if now - renewed_s > WATCH_RENEW_S:
                runner.watch(WATCH_S)
                renewed_s = now
            with contextlib.suppress(asyncio.TimeoutError):
                picture = await runner.next_picture(newest_s, WATCH_RENEW_S)
                newest_s = runner.picture_s
                yield picture
            if time.monotonic() - newest_s > MJPEG_TIMEOUT_S:
                return

    async def live(self, stream_id: str, full: bool) -> AsyncIterator[LivePicture]:
        newest_s, renewed_s = time.monotonic(), 0.0
        while True:
            runner = self._runners.get(stream_id)
            if runner is None:
                await asyncio.sleep(WATCH_RENEW_S)
                continue
            if time.monotonic() - renewed_s > WATCH_RENEW_S:
                runner.watch_live(WATCH_S, full)
                renewed_s = time.monotonic()
            with contextlib.suppress(asyncio.TimeoutError):
                newest_s, picture = await runner.next_live(newest_s, WATCH_RENEW_S)
                yield picture

    @property
    def ready(self) -> bool:
        return self._inference.ready.is_set()

    def inference_status(self) -> dict[str, Any]:
        return self._inference.status()

    def inference_measures(self) -> Mapping[str, Any]:
        return self._inference.stats

    @property
    def lends_at(self) -> str:
        """Where clips of a cluster's other nodes are taken; empty: nowhere."""
        return self._inference.lends_at

    def use_lenders(self, lenders: tuple[Lender, ...]) -> None:
        """A cluster's other nodes that classify clips of this one's streams; all of them."""
        self._inference.use_lenders(lenders)

    def budget(self) -> BudgetView | None:
        return self._inference.budget

    def metrics_text(self) -> bytes:
        return exposition([*self.measured(), self._hub_measures()])

    def measured(self) -> list[Measured]:
        """→ what streams and worker measured."""
        return [*self._stream_measures(), self._inference_measures()]

    def _stream_measures(self) -> list[Measured]:
        items: list[Measured] = []
        for stream_id, runner in self._runners.items():
            keeper = self._keepers.setdefault(stream_id, CounterKeeper())
            items.append(("", {"stream": stream_id}, stream_snapshot(runner), keeper))
        return items

    def _inference_measures(self) -> Measured:
        snapshot = {**self._inference.stats}
        gauges = {**snapshot.get("gauges", {}), "up": float(self.ready), "restarts": float(self._inference.restarts)}
        counters = {**snapshot.get("counters", {}), "loads_ended_total": self._inference.loads_ended}
        keeper = self._keepers.setdefault("inference", CounterKeeper())
        return "inference_", {}, {**snapshot, "gauges": gauges, "counters": counters}, keeper

    def _hub_measures(self) -> Measured:
        keeper = self._keepers.setdefault("hub", CounterKeeper())
        return "", {}, self._hub.measures(), keeper


def stream_snapshot(runner: StreamRunner) -> dict[str, Any]:
    """The stream's own measures plus what the supervisor knows of it."""
    stats, view = runner.view.stats or NO_STATS, runner.view
    gauges = {
        **stats.measures.get("gauges", {}),
        "restarts": float(runner.restarts),
        "fps_in": stats.fps_in,
        "fps_out": stats.fps_out,
        "tracks": float(stats.tracks),
    }
    if view.state is not StreamState.STOPPED:  # a file that came to its end is not down
        gauges["up"] = float(view.state is StreamState.RUNNING)
    if stats.model:
        gauges["model_version"] = float(VersionName.parse(stats.model).number)
    if stats.label_age_s is not None:
        gauges["label_age_seconds"] = stats.label_age_s
    return {**stats.measures, "gauges": gauges}


def to_status(runner: StreamRunner) -> StreamStatus:
    view, stats = runner.view, runner.view.stats or NO_STATS
    counters = stats.measures.get("counters", {})
    interval = stats.measures.get("histograms", {}).get("label_interval")
    count = sum(interval["counts"]) if interval else 0
    running = view.state is StreamState.RUNNING
    return StreamStatus(
        state=view.state,
        code=view.code,
        reason=stats.problem if running and stats.problem else view.reason,
        since=view.since,
        fps_in=stats.fps_in if running else 0.0,
        fps_out=stats.fps_out if running else 0.0,
        drops={name.partition(":")[2]: int(v) for name, v in counters.items() if name.startswith("drops_total:")},
        detection_stride=stats.stride,
        label_age_ms=None if stats.label_age_s is None else round(1000 * stats.label_age_s),
        hop_effective=round(25.0 * interval["sum"] / count, 1) if interval and count else None,
        tracks=stats.tracks if running else 0,
        restarts=runner.restarts,
        size_hw=stats.size_hw,
        recording=stats.recording,
        tier_running=stats.plan.tier.value,
        tier_reason=stats.plan.reason,
        clip_hop_s=stats.plan.hop_s,
        detector_image_size=stats.plan.image_size,
        clock=stats.clock.clock.value,
        clock_reason=stats.clock.reason,
        labels=stats.labels if running else None,
        poses_hz=stats.plan.poses_hz if running else 0.0,
        no_poses=stats.plan.no_poses or None if running else None,
        version=stats.model,
    )

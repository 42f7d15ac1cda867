"""Runs the processes behind the API: one for inference, one a stream. Implements ``supervisor_protocol.Supervisor``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.errors import CardError
from models.weights.cards import read_card
from pipeline.clips import ClipConfig
from service.hub import Hub
from service.processes.inference_runner import InferenceRunner
from service.processes.stream_runner import StreamRunner
from service.prometheus import CounterKeeper, Measured, exposition
from service.recording.segment_files import Segment
from service.settings import Settings
from service.storage.store import Store, StoreError
from service.supervisor_protocol import SnapshotUnavailable, StreamRecord, StreamStatus

log = logging.getLogger(__name__)

WATCH_S = 3.0
WATCH_RENEW_S = 1.0
MJPEG_TIMEOUT_S = 15.0
MAX_UNINDEXED = 1000  # recordings that wait for a database that fails; those beyond are indexed at the next start


class ProcessSupervisor:
    """All methods run on the API's event loop."""

    def __init__(self, settings: Settings, hub: Hub, store: Store) -> None:
        self._settings = settings
        self._hub = hub
        self._store = store
        self._records: dict[str, StreamRecord] = {}
        self._runners: dict[str, StreamRunner] = {}
        self._keepers: dict[str, CounterKeeper] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._unindexed: deque[Segment] = deque(maxlen=MAX_UNINDEXED)
        # A path of a local socket has at most 107 bytes, which a data folder may exceed.
        self._run_dir = Path(tempfile.mkdtemp(prefix="actoscope-"))
        self._inference = InferenceRunner(inference_config(settings, self._socket))

    @property
    def _socket(self) -> Path:
        return self._run_dir / "inference.sock"

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
                lambda: stream_config(self._settings, self._records[stream.id], self._socket),
                lambda kind, fields: self._on_report(stream.id, kind, fields),
                first,
            )
            self._runners[stream.id] = runner
            runner.start()
        await self._publish_state(stream.id, "connecting", None, "starting")

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

    async def _stop_runner(self, stream_id: str) -> None:
        runner = self._runners.pop(stream_id, None)
        if runner is not None:
            await runner.stop()
            await self._hub.end_open_events(stream_id)

    def _lock(self, stream_id: str) -> asyncio.Lock:
        return self._locks.setdefault(stream_id, asyncio.Lock())

    # -- reports from the stream processes

    async def _on_report(self, stream_id: str, kind: str, fields: dict[str, Any]) -> None:
        if kind == "tracks":
            await self._hub.publish_tracks(fields["message"])
        elif kind == "action":
            await self._hub.publish_action(fields["message"])
        elif kind == "state":
            await self._publish_state(stream_id, fields["state"], fields["code"], fields["reason"])
        elif kind == "segment":
            self._unindexed.append(Segment.from_fields(stream_id, fields))
            await self._index()
        elif kind in ("problem", "recording_resumed") and stream_id in self._runners:
            code, reason = ("recording", fields["reason"]) if kind == "problem" else (None, "recording goes on")
            await self._publish_state(stream_id, self._runners[stream_id].view.state, code, reason)

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

    async def _publish_state(self, stream_id: str, state: str, code: str | None, reason: str) -> None:
        if code in ("crashed", "crash_loop"):
            await self._hub.end_open_events(stream_id)
        message = {"type": "stream", "stream_id": stream_id, "state": state, "code": code, "reason": reason}
        await self._hub.publish_stream(message)

    # -- views

    def status(self, stream_id: str) -> StreamStatus:
        runner = self._runners.get(stream_id)
        if runner is None:
            return StreamStatus(state="stopped", code=None, reason="not running", since=time.time())
        return to_status(runner)

    async def snapshot(self, stream_id: str, timeout_s: float) -> bytes:
        """A fresh overlay picture as JPEG. Raises SnapshotUnavailable when none comes in time."""
        runner = self._runners.get(stream_id)
        if runner is None:
            raise SnapshotUnavailable("the stream is stopped")
        runner.watch(WATCH_S)
        try:
            return await runner.next_picture(time.monotonic(), timeout_s)
        except asyncio.TimeoutError:
            view = runner.view
            raise SnapshotUnavailable(f"no picture within {timeout_s:g} s: {view.state}, {view.reason}") from None

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

    @property
    def ready(self) -> bool:
        return self._inference.ready.is_set()

    def inference_status(self) -> dict[str, Any]:
        return self._inference.status()

    def metrics_text(self) -> bytes:
        return exposition([*self._stream_measures(), self._inference_measures(), self._hub_measures()])

    def _stream_measures(self) -> list[Measured]:
        items: list[Measured] = []
        for stream_id, runner in self._runners.items():
            keeper = self._keepers.setdefault(stream_id, CounterKeeper())
            items.append(("", {"stream": stream_id}, stream_snapshot(runner), keeper))
        return items

    def _inference_measures(self) -> Measured:
        snapshot = {**self._inference.stats}
        gauges = {**snapshot.get("gauges", {}), "up": float(self.ready), "restarts": float(self._inference.restarts)}
        keeper = self._keepers.setdefault("inference", CounterKeeper())
        return "inference_", {}, {**snapshot, "gauges": gauges}, keeper

    def _hub_measures(self) -> Measured:
        keeper = self._keepers.setdefault("hub", CounterKeeper())
        return "", {}, self._hub.measures(), keeper


def stream_snapshot(runner: StreamRunner) -> dict[str, Any]:
    """The stream's own measures plus what the supervisor knows of it."""
    stats, view = runner.view.stats, runner.view
    measures = stats.get("measures", {})
    gauges = {
        **measures.get("gauges", {}),
        "up": float(view.state == "running"),
        "restarts": float(view.restarts),
        "fps_in": float(stats.get("fps_in", 0.0)),
        "fps_out": float(stats.get("fps_out", 0.0)),
        "tracks": float(stats.get("tracks", 0)),
    }
    if stats.get("label_age_s") is not None:
        gauges["label_age_seconds"] = float(stats["label_age_s"])
    return {**measures, "gauges": gauges}


def to_status(runner: StreamRunner) -> StreamStatus:
    view, stats = runner.view, runner.view.stats
    counters = stats.get("measures", {}).get("counters", {})
    age_s, interval = stats.get("label_age_s"), stats.get("measures", {}).get("histograms", {}).get("label_interval")
    count = sum(interval["counts"]) if interval else 0
    running = view.state == "running"
    return StreamStatus(
        state=view.state,
        code=view.code,
        reason=view.reason if not (running and stats.get("problem")) else str(stats["problem"]),
        since=view.since,
        fps_in=float(stats.get("fps_in", 0.0)) if running else 0.0,
        fps_out=float(stats.get("fps_out", 0.0)) if running else 0.0,
        drops={name.partition(":")[2]: int(v) for name, v in counters.items() if name.startswith("drops_total:")},
        detection_stride=int(stats.get("stride", 1)),
        label_age_ms=None if age_s is None else round(1000 * age_s),
        hop_effective=round(25.0 * interval["sum"] / count, 1) if interval and count else None,
        tracks=int(stats.get("tracks", 0)) if running else 0,
        restarts=view.restarts,
        size_hw=tuple(stats["size_hw"]) if stats.get("size_hw") else None,
        recording=str(stats.get("recording", "off")),
    )


def inference_config(settings: Settings, socket_path: Path) -> dict[str, Any]:
    """What the inference process needs, as JSON."""
    return {
        **_common_config(settings),
        "socket": str(socket_path),
        "weights_dir": str(settings.weights_dir.resolve()),
        "cache_dir": str((settings.data_dir / "cache").resolve()),
        "model": settings.model,
        "runtime": settings.runtime,
        "detector": str(settings.detector) if settings.detector else None,
        "detector_image_size": settings.detector_image_size,
        "detector_confidence": settings.detector_confidence,
        "appearance": str(settings.appearance) if settings.appearance else None,
        "max_batch": settings.batch,
        "threads": settings.threads,
        "stem_memory_mb": settings.stem_memory_mb,
    }


def stream_config(settings: Settings, stream: StreamRecord, socket_path: Path) -> dict[str, Any]:
    """What one stream process needs, as JSON; goes over a private socket since it holds the camera's password."""
    return {
        **_common_config(settings),
        "stream_id": stream.id,
        "url": stream.url.get_secret_value(),
        "model": stream.model,
        "actions": stream.actions,
        "transport": stream.transport,
        "pace": stream.pace,
        "loop": stream.loop,
        "record": stream.record,
        "media_roots": [str(root) for root in settings.media_roots],
        "hls_hosts": list(settings.hls_hosts),
        "max_pixels": settings.max_pixels,
        "inference_socket": str(socket_path),
        "track_confidence": settings.track_confidence,
        "clip": asdict(clip_config(settings, stream.model)),
        "tracks_hz": settings.tracks_hz,
        "recordings_dir": str((settings.data_dir / "recordings" / stream.id).resolve()),
        "segment_s": settings.segment_s,
        "recordings_min_free_bytes": settings.recordings_min_free_mb << 20,
        "memory_limit_bytes": settings.stream_memory_mb << 20,
    }


def clip_config(settings: Settings, model: str) -> ClipConfig:
    """The clips that ``weights/<model>`` was trained on; the usual ones while that folder cannot be read.

    The inference process reports an unreadable folder as the stream's problem; it must not keep the stream from
    starting, since the folder may come back.
    """
    try:
        return read_card(settings.weights_dir / model).input.clip_config(settings.clip_hop, settings.first_clip)
    except CardError as error:
        log.warning("model %s: %s", model, error)
        return ClipConfig(hop=settings.clip_hop, provisional_from=settings.first_clip)


def _common_config(settings: Settings) -> dict[str, Any]:
    return {"log_level": settings.log_level, "log_format": settings.log_format}

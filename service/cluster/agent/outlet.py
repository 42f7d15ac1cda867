"""Where a node's streams say what they have to say: into the spool, under the epoch that they run under.

Implements ``supervisor_protocol.Outlet`` and ``Memory``, so that the supervisor of one machine works here as it is.
What a stream says without a lease that counts goes nowhere, and is counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pipeline.entities import Zone
from service.cluster.agent.deadlines import Deadlines
from service.cluster.agent.spool import Spool
from service.cluster.links.messages import Assignment, Seen
from service.storage.segment import Segment
from service.versions.tally import ShadowTally

Message = Mapping[str, Any]


@dataclass
class Running:
    """What is known of a stream that runs here. ``newest``: its last ``tracks`` message that nobody has fetched."""

    epoch: int
    zones: tuple[Zone, ...]
    next_track: int
    newest: Message | None = None


class NodeOutlet:
    """``on_new``: called when there is something to fetch; must not wait. ``on_gone``: with the id of a stream whose
    process is gone, which may have left recordings."""

    def __init__(self, spool: Spool, deadlines: Deadlines, recordings_dir: Path) -> None:
        self._spool = spool
        self._deadlines = deadlines
        self._folder = recordings_dir.resolve()
        self._streams: dict[str, Running] = {}
        self._counters = dict.fromkeys(COUNTERS, 0)
        self.on_new: Callable[[], None] = lambda: None
        self.on_gone: Callable[[str], None] = lambda stream_id: None

    # -- streams come and go

    def begin(self, assignment: Assignment) -> None:
        """A stream runs from now on. What an earlier life of it left open is ended first."""
        stream_id, before = assignment.record.id, self._streams.get(assignment.record.id)
        first = max(assignment.first_track_id, 1 if before is None else before.next_track)
        self._streams[stream_id] = Running(assignment.epoch, assignment.zones, first)
        self._put(stream_id, "end_open", {})

    def set_zones(self, stream_id: str, zones: tuple[Zone, ...]) -> None:
        if stream_id in self._streams:
            self._streams[stream_id].zones = zones

    def release(self, stream_id: str) -> int:
        """The last that is said of a stream which was let go of → the number of that row."""
        return self._put(stream_id, "released", {})

    def cut(self, stream_id: str, epoch: int) -> None:
        """The lease is over: nothing of this epoch leaves any more, also not what waits."""
        self._counters["reports_dropped_total:lease"] += self._spool.drop(stream_id, epoch)
        running = self._streams.get(stream_id)
        if running is not None:
            running.newest = None

    def end(self, stream_id: str) -> None:
        self._streams.pop(stream_id, None)

    def next_track(self, stream_id: str, least: int) -> int:
        running = self._streams.get(stream_id)
        return least if running is None else max(least, running.next_track)

    # -- Outlet

    async def publish_tracks(self, message: Message) -> None:
        running = self._living(message["stream_id"])
        if running is None:
            self._counters["reports_dropped_total:lease"] += 1
            return
        self._counters["tracks_replaced_total"] += running.newest is not None
        running.newest = message
        self._saw(running, [track["track_id"] for track in message["tracks"]])
        self.on_new()

    async def publish_action(self, message: Message) -> None:
        running = self._streams.get(message["stream_id"])
        if running is not None:
            self._saw(running, [message["track_id"]])
        self._put(message["stream_id"], "action", message)

    async def publish_repetition(self, message: Message) -> None:
        self._put(message["stream_id"], "repetition", message)

    async def publish_presence(self, message: Message) -> None:
        self._put(message["stream_id"], "presence", message)

    async def publish_stream(self, message: Message) -> None:
        self._put(message["stream_id"], "stream", message)
        if message["code"] in ("crashed", "crash_loop") or message["state"] == "stopped":
            self.on_gone(message["stream_id"])

    async def end_open_events(self, stream_id: str) -> None:
        self._put(stream_id, "end_open", {})

    def measures(self) -> dict[str, Any]:
        counters = {
            **self._counters,
            "reports_dropped_total:room": self._spool.dropped,
            "reports_dropped_total:disk": self._spool.failed,
        }
        return {"counters": counters, "gauges": {"spool_pending": self._spool.rows}, "histograms": {}}

    # -- Memory

    @property
    def zones(self) -> NodeOutlet:
        return self

    async def of(self, stream_id: str) -> tuple[Zone, ...]:
        running = self._streams.get(stream_id)
        return () if running is None else running.zones

    async def last_track_id(self, stream_id: str) -> int:
        return self.next_track(stream_id, 1) - 1

    async def add_recording(self, segment: Segment) -> None:
        """Told whoever has the stream by now: the file is here."""
        told = {
            "path": self._relative(segment.path),
            "events_path": None if segment.events_path is None else self._relative(segment.events_path),
            **{name: getattr(segment, name) for name in SEGMENT_FIELDS},
        }
        if self._spool.put(segment.stream_id, 0, "recording", told):
            self._spool.remember_told(told["path"])
        self.on_new()

    def _relative(self, path: Path) -> str:
        return (self._folder / path).resolve().relative_to(self._folder).as_posix()

    # -- what models have to say

    async def tally(self, stream_id: str, tally: ShadowTally) -> None:
        self._put(stream_id, "tally", msgspec.to_builtins(dataclasses.asdict(tally)))

    def model_trouble(self, kind: str, name: str, reason: str) -> None:
        """``kind``: shadow_failed with an alias, broken with a version."""
        self._spool.put("", 0, kind, {"name": name, "reason": reason})
        self.on_new()

    # -- what is fetched

    @property
    def waits(self) -> bool:
        return any(running.newest is not None for running in self._streams.values())

    def take_seen(self) -> tuple[Seen, ...]:
        """→ the newest ``tracks`` message of each stream, as far as its lease counts at this moment."""
        found = []
        for stream_id, running in self._streams.items():
            if running.newest is not None and self._deadlines.live(stream_id, running.epoch):
                found.append(Seen(running.epoch, running.newest))
            running.newest = None
        return tuple(found)

    def _living(self, stream_id: str) -> Running | None:
        running = self._streams.get(stream_id)
        return running if running is not None and self._deadlines.live(stream_id, running.epoch) else None

    @staticmethod
    def _saw(running: Running, track_ids: list[int]) -> None:
        running.next_track = max([running.next_track, *(track_id + 1 for track_id in track_ids)])

    def _put(self, stream_id: str, kind: str, body: Message) -> int:
        running = self._living(stream_id)
        if running is None:
            self._counters["reports_dropped_total:lease"] += 1
            return 0
        self._counters["reports_total"] += 1
        n = self._spool.put(stream_id, running.epoch, kind, body)
        self.on_new()
        return n


SEGMENT_FIELDS = ("started_at", "start_s", "duration_s", "frames", "bytes", "size_hw", "overlay", "stream_id")
COUNTERS = ("reports_total", "reports_dropped_total:lease", "tracks_replaced_total")

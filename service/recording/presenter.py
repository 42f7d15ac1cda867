"""What people look at: overlay, recording and live picture, made on a thread of its own beside the straight line.

A bounded queue of results; when drawing or encoding cannot keep up, the newest result is dropped and counted, and
tracking never waits (only an unpaced file does). Overlays are only drawn while somebody watches or a recording runs.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.entities import FrameResult, Image
from pipeline.overlay import draw, utc_clock
from service.counters import Measures
from service.recording.recorder import RecorderConfig, SegmentRecorder
from service.storage.segment import Segment

log = logging.getLogger(__name__)

QUEUE_FRAMES = 16
RECORDER_ROOM = 16  # frames at the encoder beyond which a file waits
PATIENCE_S = 0.5
BREAK_WAIT_S = 1.0
PICTURE_PERIOD_S = 0.1
JPEG_QUALITY = 80

Item = tuple[FrameResult | None, Sequence[dict[str, Any]]]  # None: the stream broke off here


class Audience(Protocol):
    """Who hears of what the presenter makes. Called on its threads; must not block."""

    def picture(self, jpeg: NDArray[np.uint8]) -> None:
        """A live picture: the bytes of a JPEG file, uint8 (N,)."""

    def segment(self, segment: Segment) -> None:
        """A recorded file is finished."""

    def trouble(self, reason: str) -> None:
        """Recording pauses, and why."""

    def fail(self, reason: str) -> None:
        """The presenter cannot go on."""


@dataclass(frozen=True)
class RecordingPlan:
    """Where one stream is recorded, and how."""

    folder: Path
    config: RecorderConfig


class Presenter:
    """``show`` never blocks. ``close`` finishes the recording within a few seconds. ``plan`` None: nothing is recorded.

    ``buffer_size``: crops of a full buffer, for the bar beside each person. ``patient``: waits instead of dropping.
    """

    def __init__(
        self,
        audience: Audience,
        measures: Measures,
        buffer_size: int,
        plan: RecordingPlan | None = None,
        patient: bool = False,
    ) -> None:
        self._audience = audience
        self._measures = measures
        self._patient = patient
        self._buffer_size = buffer_size
        self._queue: queue.Queue[Item | None] = queue.Queue(QUEUE_FRAMES)
        self._recorder = self._open_recorder(plan) if plan is not None else None
        self._watched_until = 0.0
        self._next_picture_s = 0.0
        self._pending_notes: list[dict[str, Any]] = []
        self.dropped = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="presenter", daemon=True)
        self._thread.start()

    def _open_recorder(self, plan: RecordingPlan) -> SegmentRecorder:
        return SegmentRecorder(plan.folder, plan.config, self._on_segment, self._on_problem)

    def show(self, result: FrameResult, messages: Sequence[dict[str, Any]]) -> None:
        if self._recorder is None and time.monotonic() > self._watched_until:
            return
        notes = [*self._take_notes(), *messages]
        while not self._put((result, notes)):
            if self._closed or not self._patient:
                self.dropped += 1
                self.note([m for m in notes if m["type"] == "action"])  # the sidecar must not miss one
                return

    def _put(self, item: Item) -> bool:
        try:
            self._queue.put(item, timeout=PATIENCE_S if self._patient else 0)
            return True
        except queue.Full:
            return False

    def note(self, messages: Sequence[dict[str, Any]]) -> None:
        """Messages without a frame of their own: they go into the sidecar with the next frame, or at the end."""
        if self._recorder is not None:
            self._pending_notes += messages

    def _take_notes(self) -> list[dict[str, Any]]:
        notes, self._pending_notes = self._pending_notes, []
        return notes

    def watch(self, seconds: float) -> None:
        """Somebody looks: pictures are sent until the time is over, or as long as this is called again."""
        self._watched_until = time.monotonic() + seconds

    def break_off(self) -> None:
        """The source is away: what is recorded so far becomes a finished segment, after the frames that wait."""
        if self._recorder is None:
            return
        try:
            self._queue.put((None, self._take_notes()), timeout=BREAK_WAIT_S)
        except queue.Full:
            log.warning("the overlay thread is behind; the segment goes on")

    def report(self, measures: Measures) -> None:
        """Tells what is lost and what waits."""
        measures.set_counter("drops_total:presenter", self.dropped)
        measures.gauge("presenter_queue_depth", self._queue.qsize())
        if self._recorder is None:
            return
        stats = self._recorder.stats()
        measures.set_counter("drops_total:recorder", stats.frames_dropped)
        measures.set_counter("drops_total:recording_paused", stats.frames_paused)
        measures.gauge("recorder_queue_depth", stats.queue_depth)
        measures.gauge("recording_paused", float(stats.paused))

    @property
    def recording(self) -> str:
        """``off``, ``on`` or ``paused`` (disk full)."""
        if self._recorder is None:
            return "off"
        return "paused" if self._recorder.stats().paused else "on"

    def close(self) -> None:
        """At most about 3 s, even where the disk hangs."""
        self._closed = True
        try:
            self._queue.put((None, self._take_notes()), timeout=0.3)
            self._queue.put(None, timeout=0.2)
        except queue.Full:
            log.warning("overlay queue is stuck, %d frames are left out", self._queue.qsize())
        self._thread.join(1.0)
        if self._recorder is not None:
            self._recorder.close(1.5)

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                result, messages = item
                if result is not None:
                    self._present(result, messages)
                elif self._recorder is not None:
                    self._recorder.rotate(messages)
        except Exception:
            log.exception("the presenter failed")
            self._audience.fail("presenter")

    def _present(self, result: FrameResult, messages: Sequence[dict[str, Any]]) -> None:
        now = time.monotonic()
        picture_due = now <= self._watched_until and now >= self._next_picture_s
        if self._recorder is None and not picture_due:
            return
        with self._measures.timed("draw"):
            image = draw(result, self._buffer_size, utc_clock(result.frame.captured_at))
        if self._recorder is not None:
            self._await_room(self._recorder)
            self._recorder.write(result, image, messages)
        if picture_due:
            self._next_picture_s = now + PICTURE_PERIOD_S
            self._send_picture(image)

    def _await_room(self, recorder: SegmentRecorder) -> None:
        """A file waits for the encoder, a camera does not."""
        while self._patient and not self._closed and recorder.stats().queue_depth > RECORDER_ROOM:
            time.sleep(0.01)

    def _send_picture(self, image: Image) -> None:
        with self._measures.timed("jpeg"):
            bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if done:
            self._audience.picture(jpeg)

    def _on_segment(self, segment: Segment) -> None:
        self._measures.count("segments_total")
        self._audience.segment(segment)

    def _on_problem(self, reason: str) -> None:
        log.warning("recording: %s", reason)
        self._measures.count("recording_problems_total")
        self._audience.trouble(reason)

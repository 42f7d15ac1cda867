"""What people look at: overlay, recording and live picture, made on a thread of its own beside the straight line.

A bounded queue of results; when drawing or encoding cannot keep up, the newest result is dropped and counted, and
tracking never waits (only an unpaced file does). Overlays are only drawn while somebody watches or a recording runs.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.entities import Frame, FrameResult, Image
from pipeline.overlay import draw, utc_clock
from pipeline.sources.tape import CodedTape
from service.counters import Measures
from service.recording.live_pictures import LivePictures
from service.recording.recorder import MOST_SPARSE, RecorderConfig, SegmentRecorder, waits_s
from service.storage.segment import Segment

log = logging.getLogger(__name__)

QUEUE_FRAMES = 16
QUEUE_S = 0.5  # of media time: what waits here is lost by a kill, though it has been told of
PATIENCE_S = 0.5
BREAK_WAIT_S = 1.0
PICTURE_PERIOD_S = 0.1
JPEG_QUALITY = 80

Item = tuple[FrameResult | None, Sequence[dict[str, Any]]]  # None: the stream broke off here


class Audience(Protocol):
    """Who hears of what the presenter makes. Called on its threads; must not block."""

    def picture(self, jpeg: NDArray[np.uint8]) -> None:
        """A live picture: the bytes of a JPEG file, uint8 (N,)."""

    def still(self, jpeg: NDArray[np.uint8]) -> None:
        """One picture without overlay, likewise."""

    def live(self, jpeg: NDArray[np.uint8], result: FrameResult) -> None:
        """One without overlay too, with all that is known of its frame."""

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
    overlay: bool = False  # whether boxes and labels are drawn into what is recorded
    tape: CodedTape | None = None  # the camera's own pictures, kept where nothing is drawn


class Presenter:
    """``show`` never blocks. ``close`` finishes the recording within a few seconds. ``plan`` None: nothing is recorded.

    ``buffer_size`` → crops of a full buffer, for the bar beside each person. ``patient``: waits instead of dropping, as
    a file may.
    """

    def __init__(
        self,
        audience: Audience,
        measures: Measures,
        buffer_size: Callable[[], int],
        plan: RecordingPlan | None = None,
        patient: bool = False,
    ) -> None:
        self._audience = audience
        self._measures = measures
        self._patient = patient
        self._buffer_size = buffer_size
        self._queue: queue.Queue[Item | None] = queue.Queue(QUEUE_FRAMES)
        self._draws = False  # into what is recorded
        self._recorder = self._open_recorder(plan) if plan is not None else None
        self._watched_until = 0.0
        self._still_until = 0.0
        self._next_picture_s = 0.0
        self.live = LivePictures()
        self._pending_notes: list[dict[str, Any]] = []
        self.dropped = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="presenter", daemon=True)
        self._thread.start()

    def _open_recorder(self, plan: RecordingPlan) -> SegmentRecorder:
        self._draws = plan.overlay
        events = self._on_segment, self._on_problem
        return SegmentRecorder(plan.folder, plan.config, *events, tape=plan.tape, overlay=plan.overlay)

    def show(self, result: FrameResult, messages: Sequence[dict[str, Any]]) -> None:
        if self._recorder is None and time.monotonic() > max(self._watched_until, self._still_until, self.live.until):
            return
        notes = [*self._take_notes(), *messages]
        while not self._put((result, notes)):
            if self._closed or not self._patient:
                self.dropped += 1
                self.note([m for m in notes if m["type"] in ("action", "repetition")])  # the sidecar must not miss one
                return

    def _put(self, item: Item) -> bool:
        if not self._has_room(item):
            return False
        try:
            self._queue.put(item, timeout=PATIENCE_S if self._patient else 0)
            return True
        except queue.Full:
            return False

    def _has_room(self, item: Item) -> bool:
        """Waits for it where it may. Few pictures are always taken, however far apart they are."""
        deadline_s = time.monotonic() + (PATIENCE_S if self._patient else 0.0)
        while (frame := _frame_of(item)) is not None and self._queue.qsize() >= MOST_SPARSE:
            if waits_s(self._queue, _frame_of, frame) <= QUEUE_S:
                return True
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(0.01)
        return True

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

    def want_still(self, seconds: float) -> None:
        """The next picture within the time is sent as it is."""
        self._still_until = time.monotonic() + seconds

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
        if now <= self._still_until:
            self._still_until = 0.0
            self._send(result.frame.image, self._audience.still)
        if self.live.due():
            self._send(self.live.fitted(result.frame.image), lambda jpeg: self._audience.live(jpeg, result))
        picture_due = now <= self._watched_until and now >= self._next_picture_s
        drawn = self._drawn(result) if picture_due or self._draws else result.frame.image
        if self._recorder is not None:
            self._await_room(self._recorder, result.frame)
            self._recorder.write(result, drawn if self._draws else result.frame.image, messages)
        if picture_due:
            self._next_picture_s = now + PICTURE_PERIOD_S
            self._send(drawn, self._audience.picture)

    def _drawn(self, result: FrameResult) -> Image:
        with self._measures.timed("draw"):
            return draw(result, self._buffer_size(), utc_clock(result.frame.captured_at))

    def _await_room(self, recorder: SegmentRecorder, frame: Frame) -> None:
        """A file waits for the encoder, a camera does not."""
        while self._patient and not self._closed and not recorder.has_room(frame):
            time.sleep(0.01)

    def _send(self, image: Image, hand_over: Callable[[NDArray[np.uint8]], None]) -> None:
        with self._measures.timed("jpeg"):
            bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if done:
            hand_over(jpeg)

    def _on_segment(self, segment: Segment) -> None:
        self._measures.count("segments_total")
        self._audience.segment(segment)

    def _on_problem(self, reason: str) -> None:
        log.warning("recording: %s", reason)
        self._measures.count("recording_problems_total")
        self._audience.trouble(reason)


def _frame_of(item: Item | None) -> Frame | None:
    return None if item is None or item[0] is None else item[0].frame

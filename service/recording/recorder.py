"""Keeps the overlay video of one stream as short files, and their messages beside them; never holds the stream up.

A thread of its own takes pictures from a bounded queue, encodes them and commits segments. When the disk is full or
fails, recording pauses, says so once, and tries again every few seconds; labels go on meanwhile. ``segment_files.py``
has the names and the commit order.
"""

from __future__ import annotations

import errno
import logging
import queue
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pipeline.entities import FrameResult, Image
from service.recording.locks import FolderLock
from service.recording.open_segment import OpenSegment
from service.recording.segment_files import commit, discard, new_segment_path, salvage
from service.storage.segment import Segment

_LOG = logging.getLogger(__name__)
_IDLE_CHECK_S = 0.5
_ORDERS = 8  # places in the queue for orders to finish a segment, which pictures may not take
_MAX_CARRIED = 1000  # messages kept from frames that were dropped
_REPAIR_S = 3.0  # so long a first segment waits for the repair of what an earlier process left


class RecorderState(str, Enum):
    IDLE = "idle"
    RECORDING = "recording"
    PAUSED = "paused"
    CLOSED = "closed"


@dataclass(frozen=True)
class RecorderConfig:
    """``segment_s`` is media time. ``idle_s``: a segment without new frames for this long is finished.

    ``min_free_bytes`` stay free on the disk. ``queue_frames`` bounds memory: a 1080p picture takes 6 MB.
    """

    segment_s: float = 60.0
    preset: str = "veryfast"
    crf: int = 26
    queue_frames: int = 25
    min_free_bytes: int = 200_000_000
    retry_s: float = 5.0
    idle_s: float = 10.0

    def __post_init__(self) -> None:
        if self.segment_s <= 0 or self.queue_frames < 1 or self.retry_s <= 0 or self.idle_s <= 0:
            raise ValueError("segment_s, queue_frames, retry_s and idle_s must be above 0")
        if self.min_free_bytes < 0 or not 0 <= self.crf <= 51:
            raise ValueError(f"expected min_free_bytes >= 0 and crf 0..51, got {self.min_free_bytes} and {self.crf}")


@dataclass(frozen=True)
class RecorderStats:
    """Counters since the start. ``frames_dropped``: the queue was full; ``frames_paused``: came during a pause."""

    state: RecorderState
    problem: str | None
    frames_written: int
    frames_dropped: int
    frames_paused: int
    segments: int
    problems: int
    queue_depth: int

    @property
    def paused(self) -> bool:
        return self.state is RecorderState.PAUSED


@dataclass
class _Counts:
    written: int = 0
    dropped: int = 0
    paused: int = 0
    segments: int = 0
    problems: int = 0


@dataclass(frozen=True)
class _Item:
    """One entry of the queue: a picture with its frame, or without both the order to finish the open segment."""

    result: FrameResult | None
    image: Image | None  # uint8 (H, W, 3) RGB
    messages: tuple[dict[str, Any], ...]


class SegmentRecorder:
    """Records one stream into ``folder``, which is made when it is missing.

    ``on_segment`` is called with every finished segment, ``on_problem`` with a sentence once at the start of every
    pause; both on the recorder's thread.
    """

    def __init__(
        self,
        folder: Path,
        config: RecorderConfig,
        on_segment: Callable[[Segment], None],
        on_problem: Callable[[str], None],
    ) -> None:
        self._folder, self._config = folder, config
        self._on_segment, self._on_problem = on_segment, on_problem
        self._queue: queue.Queue[_Item] = queue.Queue(config.queue_frames + _ORDERS)
        self._counts = _Counts()
        self._carried: list[dict[str, Any]] = []  # messages of dropped frames
        self._carried_lock = threading.Lock()
        self._writer: OpenSegment | None = None
        self._lock = FolderLock(folder)
        self._problem: str | None = None
        self._retry_at = 0.0  # monotonic clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def write(self, result: FrameResult, image: Image, messages: Sequence[dict[str, Any]]) -> None:
        """Queues one picture (uint8 (H, W, 3) RGB, not to be changed afterwards) and its messages; never blocks.

        When the queue is full the picture is dropped and counted; its messages, except ``tracks``, go with the next.
        """
        self._offer(result, image, messages)

    def rotate(self, messages: Sequence[dict[str, Any]] = ()) -> None:
        """Adds ``messages`` to the open segment and finishes it once all queued pictures are in it; never blocks.

        For breaks of the stream: what was recorded until then can be looked at while the camera is away.
        """
        self._offer(None, None, messages)

    def close(self, timeout_s: float = 5.0) -> None:
        """Records what is queued and finishes the segment; returns after ``timeout_s`` at the latest.

        A disk that hangs for longer leaves a ``.part`` file, which ``recover`` finishes at the next start.
        """
        self._stop.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _LOG.error("the recorder did not finish within %.1f s", timeout_s)

    def stats(self) -> RecorderStats:
        counts = self._counts
        return RecorderStats(
            self._state(),
            self._problem,
            counts.written,
            counts.dropped,
            counts.paused,
            counts.segments,
            counts.problems,
            self._queue.qsize(),
        )

    def _state(self) -> RecorderState:
        if self._stop.is_set():
            return RecorderState.CLOSED
        if self._problem is not None:
            return RecorderState.PAUSED
        return RecorderState.RECORDING if self._writer is not None else RecorderState.IDLE

    def _offer(self, result: FrameResult | None, image: Image | None, messages: Sequence[dict[str, Any]]) -> None:
        with self._carried_lock:
            carried = [*self._carried, *messages]
            try:
                full = image is not None and self._queue.qsize() >= self._config.queue_frames
                if full or self._stop.is_set():
                    raise queue.Full
                self._queue.put_nowait(_Item(result, image, tuple(carried)))
                self._carried = []
            except queue.Full:
                self._counts.dropped += image is not None
                self._carried = [item for item in carried if item.get("type") != "tracks"][-_MAX_CARRIED:]

    def _last_words(self) -> None:
        """At the end: messages of dropped frames that no later frame took along."""
        with self._carried_lock:
            carried, self._carried = self._carried, []
        if self._writer is not None:
            self._writer.write_messages(carried)

    def _run(self) -> None:
        """The thread. A disk that fails pauses recording, and so does any other error: the stream goes on."""
        idle_since = time.monotonic()
        while True:
            try:
                item = self._queue.get(timeout=_IDLE_CHECK_S)
            except queue.Empty:
                if self._stop.is_set():
                    break
                if time.monotonic() - idle_since > self._config.idle_s:
                    self._guarded(self._finish)
                continue
            idle_since = time.monotonic()
            self._guarded(lambda item=item: self._take(item))  # type: ignore[misc]  # bound now: item changes
        self._guarded(self._last_words)
        self._guarded(self._finish)
        self._lock.release()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            self._pause(f"recording paused: {error.strerror or type(error).__name__}")
        except Exception as error:  # noqa: BLE001 - the thread's outermost frame: recording must not end silently
            _LOG.exception("recording failed")
            self._pause(f"recording paused: {type(error).__name__}")

    def _take(self, item: _Item) -> None:
        """One entry of the queue, in the right segment."""
        if item.result is None or item.image is None:
            if self._writer is not None:
                self._writer.write_messages(item.messages)
            self._finish()
            return
        if self._writer is not None and not self._writer.takes(item.result.frame, item.image, self._config.segment_s):
            self._finish()
        if self._writer is None:
            self._begin(item.result, item.image)
        if self._writer is None:
            self._counts.paused += 1
            return
        begins_fragment = self._writer.write(item.result.frame, item.image, item.messages)
        self._counts.written += 1
        if begins_fragment:
            self._after_fragment(self._writer)

    def _begin(self, result: FrameResult, image: Image) -> None:
        """Opens a segment, unless recording is paused and it is not yet time to try again."""
        if time.monotonic() < self._retry_at:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._has_room():
            return
        if not self._lock.acquire(_REPAIR_S):
            raise BlockingIOError(errno.EAGAIN, "another process still writes this stream's recordings")
        path = new_segment_path(self._folder, result.frame.captured_at)
        try:
            self._writer = OpenSegment(path, result.frame, image, self._config.preset, self._config.crf)
        except OSError:
            discard(path)
            raise

    def _after_fragment(self, writer: OpenSegment) -> None:
        """About once a second: proof that the disk takes data again, and a look at the room that is left."""
        if self._problem is not None and writer.fragments > 2:
            _LOG.info("recording goes on")
            self._problem = None
        if not self._has_room():
            self._finish()

    def _has_room(self) -> bool:
        free = shutil.disk_usage(self._folder).free
        if free >= self._config.min_free_bytes:
            return True
        least = self._config.min_free_bytes // 1_000_000
        self._say(f"recording paused: the disk is full ({free // 1_000_000} MB free, at least {least} MB must stay)")
        return False

    def _finish(self) -> None:
        """Closes and commits the open segment, if there is one."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
            segment = commit(writer.path)
        except (OSError, ValueError):
            self._rescue(writer)
            raise
        self._announce(segment)

    def _pause(self, problem: str) -> None:
        """After an error: gives the open segment up, keeps what of it plays, and waits before the next try."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abandon()
            self._rescue(writer)
        self._say(problem)

    def _rescue(self, writer: OpenSegment) -> None:
        try:
            segment = salvage(writer.path)
        except (OSError, ValueError) as error:
            _LOG.error("%s is left for the next start: %s", writer.path.name, error)
            return
        if segment is not None:
            self._announce(segment)

    def _say(self, problem: str) -> None:
        """Starts or prolongs a pause; reported once, until recording has worked again."""
        self._retry_at = time.monotonic() + self._config.retry_s
        if self._problem is not None:
            return
        self._problem = problem
        self._counts.problems += 1
        _LOG.error("%s", problem)
        self._call(lambda: self._on_problem(problem))

    def _announce(self, segment: Segment) -> None:
        self._counts.segments += 1
        self._call(lambda: self._on_segment(segment))

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:  # noqa: BLE001 - the callback's fault must not cost the recording
            _LOG.exception("a callback of the recorder failed")

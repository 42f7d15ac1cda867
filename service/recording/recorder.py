"""Keeps the video of one stream as short files, and their messages beside them; never holds the stream up.

A thread of its own takes pictures from a bounded queue, encodes them and commits segments. When the disk is full or
fails, recording pauses, says so once, and tries again every few seconds; labels go on meanwhile. ``segment_files.py``
has the names and the commit order.
"""

from __future__ import annotations

import errno
import logging
import math
import queue
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pipeline.entities import Frame, FrameResult, Image
from pipeline.sources.tape import CodedTape, Taped
from service.recording.finisher import Finisher
from service.recording.locks import FolderLock
from service.recording.open_segment import CopiedSegment, CopyFailed, EncodedSegment, OpenSegment, copying
from service.recording.recorder_stats import Counts, RecorderState, RecorderStats
from service.recording.segment_files import discard, new_segment_path
from service.storage.segment import Segment

_LOG = logging.getLogger(__name__)
_IDLE_CHECK_S = 0.5
_ORDERS = 8  # places in the queue for orders to finish a segment, which pictures may not take
MOST_SPARSE = 2  # pictures that may wait however far apart they are
_MAX_CARRIED = 1000  # messages kept from frames that were dropped
_Kind = TypeVar("_Kind", EncodedSegment, CopiedSegment)
_REST_S = 1.0  # without a frame for so long: what the camera sent meanwhile is copied all the same
_RARE = 3.0  # a camera whose pictures come rarely is idle after so many times their distance
_MOST_IDLE_S = 60.0
_REPAIR_S = 3.0  # so long a first segment waits for the repair of what an earlier process left


@dataclass(frozen=True)
class RecorderConfig:
    """``segment_s`` is media time. ``idle_s``: a segment without new frames for this long is finished.

    ``min_free_bytes`` stay free on the disk. ``queue_frames`` bounds memory: a 1080p picture takes 6 MB. ``queue_s``
    (media time) bounds what a kill costs: beyond it no picture waits behind MOST_SPARSE others.
    """

    segment_s: float = 60.0
    preset: str = "veryfast"
    crf: int = 26
    queue_frames: int = 25
    queue_s: float = 0.8
    min_free_bytes: int = 200_000_000
    retry_s: float = 5.0
    idle_s: float = 10.0

    def __post_init__(self) -> None:
        if min(self.segment_s, self.queue_s, self.retry_s, self.idle_s) <= 0 or self.queue_frames < 1:
            raise ValueError("segment_s, queue_frames, queue_s, retry_s and idle_s must be above 0")
        if self.min_free_bytes < 0 or not 0 <= self.crf <= 51:
            raise ValueError(f"expected min_free_bytes >= 0 and crf 0..51, got {self.min_free_bytes} and {self.crf}")


@dataclass(frozen=True)
class _Item:
    """One entry of the queue: a picture with its frame, or without both the order to finish the open segment."""

    result: FrameResult | None
    image: Image | None  # uint8 (H, W, 3) RGB
    messages: tuple[dict[str, Any], ...]


class SegmentRecorder:
    """Records one stream into ``folder``, which is made when it is missing.

    ``on_segment`` is called with every finished segment, ``on_problem`` with a sentence once at the start of every
    pause; both on threads of the recorder.
    """

    def __init__(
        self,
        folder: Path,
        config: RecorderConfig,
        on_segment: Callable[[Segment], None],
        on_problem: Callable[[str], None],
        tape: CodedTape | None = None,
        overlay: bool = True,
    ) -> None:
        """``tape``: the same pictures as the camera coded them, which are kept in place of those given where they can
        be. ``overlay``: whether those given were drawn upon."""
        self._folder, self._config = folder, config
        self._tape, self._overlay = tape, overlay
        self._clock_s = 0.0  # Unix time of media time 0, as the newest frame has it
        self._on_segment, self._on_problem = on_segment, on_problem
        self._queue: queue.Queue[_Item] = queue.Queue(config.queue_frames + _ORDERS)
        self._counts = Counts()
        self._carried: list[dict[str, Any]] = []  # messages of dropped frames
        self._carried_lock = threading.Lock()
        self._writer: EncodedSegment | CopiedSegment | None = None
        self._finisher = Finisher(self._announce, self._fail)
        self._lock = FolderLock(folder)
        self._problem: str | None = None
        self._retry_at = 0.0  # monotonic clock
        self._busy_at, self._apart_s = time.monotonic(), 0.0  # of the last that came, and how long after the one before
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def write(self, result: FrameResult, image: Image, messages: Sequence[dict[str, Any]]) -> None:
        """Queues one picture (uint8 (H, W, 3) RGB, not to be changed afterwards) and its messages; never blocks.

        When the queue is full the picture is dropped and counted; its messages, except ``tracks``, go with the next.
        """
        self._offer(result, image, messages)

    def has_room(self, frame: Frame) -> bool:
        """Whether this frame's picture would be taken now."""
        waiting = self._queue.qsize()
        if waiting < MOST_SPARSE:
            return True
        return waiting < self._config.queue_frames and waits_s(self._queue, _frame_of, frame) <= self._config.queue_s

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
            counts.dropped + (0 if self._tape is None else self._tape.lost),
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
                if (result is not None and not self.has_room(result.frame)) or self._stop.is_set():
                    raise queue.Full
                self._queue.put_nowait(_Item(result, image, tuple(carried)))
                self._carried = []
            except queue.Full:
                copied = isinstance(self._writer, CopiedSegment)  # then the picture itself comes by the tape
                self._counts.dropped += image is not None and not copied
                self._carried = [item for item in carried if item.get("type") != "tracks"][-_MAX_CARRIED:]

    def _last_words(self) -> None:
        """At the end: messages of dropped frames that no later frame took along."""
        with self._carried_lock:
            carried, self._carried = self._carried, []
        if self._writer is not None:
            self._writer.write_messages(carried)

    def _run(self) -> None:
        """The thread. A disk that fails pauses recording, and so does any other error: the stream goes on."""
        while True:
            try:
                item = self._queue.get(timeout=_IDLE_CHECK_S)
            except queue.Empty:
                if self._stop.is_set():
                    break
                self._guarded(self._wait)
                continue
            now = time.monotonic()
            self._apart_s, self._busy_at = now - self._busy_at, now
            self._guarded(lambda item=item: self._take(item))  # type: ignore[misc]  # bound now: item changes
        self._guarded(self._copy_rest)
        self._guarded(self._last_words)
        self._guarded(self._finish)
        self._finisher.close()
        self._lock.release()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except CopyFailed as error:
            _LOG.exception("recording failed; from now on pictures are encoded")
            self._counts.dropped += 0 if self._tape is None else self._tape.lost
            self._tape = None  # what cannot be copied now will not be copied in five seconds
            self._pause(_in_words(error))
        except Exception as error:  # noqa: BLE001 - the thread's outermost frame: recording must not end silently
            if not isinstance(error, OSError):
                _LOG.exception("recording failed")
            self._pause(_in_words(error))

    def _wait(self) -> None:
        """No frame has come: the camera may send pictures all the same, which nobody has time to look at."""
        quiet_s = time.monotonic() - self._busy_at
        written = self._counts.written
        if (
            quiet_s > min(_REST_S, self._config.idle_s)
            and self._tape is not None
            and isinstance(self._writer, CopiedSegment)
        ):
            self._copy_each(self._tape.take(math.inf, math.inf))
        if self._counts.written > written:
            self._busy_at = time.monotonic()
        elif quiet_s > max(self._config.idle_s, min(_RARE * self._apart_s, _MOST_IDLE_S)):
            self._finish()

    def _take(self, item: _Item) -> None:
        """One entry of the queue, in the right segment."""
        if item.result is None or item.image is None:
            self._copy_rest()
            if self._writer is not None:
                self._writer.write_messages(item.messages)
            self._finish()
            return
        if not self._has(item.result.frame):
            self._put(item.result.frame, item.image)
        if self._writer is not None:
            self._writer.write_messages(item.messages)

    def _has(self, frame: Frame) -> bool:
        """Whether its picture was copied already, while it was still on its way."""
        return isinstance(self._writer, CopiedSegment) and self._writer.has(frame)

    def _put(self, frame: Frame, image: Image) -> None:
        """What the camera coded up to this frame, where it can be kept; else the frame's picture is encoded."""
        taped = () if self._tape is None else self._tape.take(frame.time_s, frame.epoch)
        self._clock_s = frame.captured_at - frame.time_s
        covered = bool(taped) and (taped[-1].epoch, taped[-1].time_s) == (frame.epoch, frame.time_s)
        before = taped[:-1] if covered else taped
        self._copy_each(before)
        if not (covered and self._copy(taped[-1])):
            self._encode(frame, image)

    def _copy_each(self, taped: Sequence[Taped]) -> None:
        self._counts.dropped += sum(not self._copy(one) for one in taped)

    def _encode(self, frame: Frame, image: Image) -> None:
        writer = self._writer
        if not isinstance(writer, EncodedSegment) or not writer.takes(frame, image, self._config.segment_s):
            self._finish()
            preset, crf, overlay = self._config.preset, self._config.crf, self._overlay
            writer = self._begin(
                frame.captured_at, lambda path: EncodedSegment(path, frame, image, preset, crf, overlay)
            )
        if writer is None:
            self._counts.paused += 1
            return
        begins_fragment = writer.write(frame, image)
        self._counts.written += 1
        if begins_fragment:
            self._after_fragment(writer)

    def _copy(self, taped: Taped) -> bool:
        """→ False where there is nothing that the picture could build upon; the segment ends there."""
        writer = self._writer
        if not isinstance(writer, CopiedSegment) or not writer.takes(taped, self._config.segment_s):
            if isinstance(writer, CopiedSegment) or taped.coded.keyframe:
                self._finish()
            if not taped.coded.keyframe:
                return False
            with copying():
                writer = self._begin(self._clock_s + taped.time_s, lambda path: CopiedSegment(path, taped))
        if writer is None:
            self._counts.paused += 1
            return True
        with copying():
            begins_fragment = writer.write(taped.coded, taped.time_s)
        self._counts.written += 1
        if begins_fragment:
            self._after_fragment(writer)
        return True

    def _copy_rest(self) -> None:
        """Pictures that came behind the last frame: the open segment takes them along."""
        writer = self._writer
        for taped in () if self._tape is None else self._tape.take(math.inf, math.inf):
            if isinstance(writer, CopiedSegment) and writer.takes(taped, math.inf):
                with copying():
                    writer.write(taped.coded, taped.time_s)
                self._counts.written += 1

    def _begin(self, began_at: float, make: Callable[[Path], _Kind]) -> _Kind | None:
        """→ a segment, open; None while recording is paused and it is not yet time to try again."""
        if time.monotonic() < self._retry_at:
            return None
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._has_room():
            return None
        if not self._lock.acquire(_REPAIR_S):
            raise BlockingIOError(errno.EAGAIN, "another process still writes this stream's recordings")
        path = new_segment_path(self._folder, began_at)
        try:
            self._writer = writer = make(path)
        except OSError:
            discard(path)
            raise
        return writer

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
        """Closes the open segment, if there is one, and hands it on to be committed."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except (OSError, ValueError):
            self._finisher.rescue(writer.path)
            raise
        self._finisher.take(writer.path)

    def _pause(self, problem: str) -> None:
        """After an error: gives the open segment up, keeps what of it plays, and waits before the next try."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abandon()
            self._finisher.rescue(writer.path)
        self._say(problem)

    def _fail(self, error: Exception) -> None:
        """A closed segment could not be committed as it should."""
        self._say(_in_words(error))

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


def waits_s(waiting: queue.Queue[Any], frame_of: Callable[[Any], Frame | None], newest: Frame) -> float:
    """→ media time from the first frame of a queue to ``newest``; 0 where none waits or the source began anew."""
    with waiting.mutex:
        first = next((frame for item in waiting.queue if (frame := frame_of(item)) is not None), None)
    return 0.0 if first is None or first.epoch != newest.epoch else newest.time_s - first.time_s


def _frame_of(item: _Item) -> Frame | None:
    return None if item.result is None else item.result.frame


def _in_words(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) else str(error) if isinstance(error, CopyFailed) else None
    return f"recording paused: {said or type(error).__name__}"

"""Frames from anywhere: cameras over RTSP, HTTP and USB, and files. The first stage of every stream.

A live source never ends by itself: whatever goes wrong is a state with a reason, and it is tried again. A file ends at
its end, or raises. Decoding happens in a thread of its own, so that nothing FFmpeg does can hold the consumer for long.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.entities import Frame
from pipeline.errors import SourceError
from pipeline.sources import words
from pipeline.sources.connection import Connection, Stamped
from pipeline.sources.options import Backoff, SourceOptions
from pipeline.sources.picture import to_rgb
from pipeline.sources.state import OnState, SourceLife, SourceState
from pipeline.sources.tape import CodedTape
from pipeline.sources.timestamps import BELIEVED, ClockChoice, ClockPoint, Pacer
from pipeline.sources.url import SourceUrl

__all__ = ["Backoff", "SourceOptions", "SourceState", "SourceStats", "VideoSource"]

_LOOK_S = 0.25  # how often a silent connection is looked at
_STOP_JOIN_S = 1.5  # a decoding thread that needs longer to stop is left behind
_MAX_STUCK = 3  # with so many left behind, no further connection is opened until one is gone
_RATE_FRAMES = 50
_MISSED = 2.5  # intervals between pictures: one may be lost, and the next come late
_MOST_PATIENCE = 8.0
_PACE_PICTURES = 5  # so many tell how rare a source's pictures are
# A server that is coming back may say these for a while; a wrong password stays wrong (and accounts get locked).
_DOUBTFUL = frozenset({"not_found", "unreadable", "no_video", "rejected"})


@dataclass(frozen=True, slots=True)
class SourceStats:
    """Counts since the source began. ``fps`` is the source's own rate, in frames a second of media time.

    ``clock``: what media time follows, as the present connection says. ``quiet_s``: by how much longer than others
    this source may be silent, since its pictures are that rare.
    """

    frames_decoded: int
    frames_dropped: int  # newer ones came before they were taken (live only)
    corrupt: int  # packets and pictures thrown away as damaged
    reconnects: int  # connections after the first (live) or repetitions (loop)
    stuck: int  # decoding threads left behind that FFmpeg has not given back yet
    fps: float
    duration_s: float | None  # of a file
    frame_count: int | None  # of a file, as declared or estimated
    clock: ClockChoice = BELIEVED
    quiet_s: float = 0.0


class VideoSource:
    """``for frame in VideoSource(url, options, on_state)``: once, in one thread; ``stop`` and ``stats`` from any.

    ``on_state(state, code, reason)`` is called in the iterating thread at each change.
    """

    def __init__(
        self, url: SourceUrl, options: SourceOptions, on_state: OnState, tape: CodedTape | None = None
    ) -> None:
        """``tape`` takes all that is decoded as it was coded; ``options.keep_coded`` is for it."""
        self._url = url
        self._tape = tape
        self._options = options
        self._life = SourceLife(on_state)
        self._loop = options.loop if url.options.loop is None else url.options.loop
        self._pacer = Pacer() if (url.options.pace or options.pace) == "realtime" else None
        self._wake = threading.Condition()  # its lock is re-entrant: stop() may come from a signal handler
        self._stopped = False
        self._started = False
        self._connection: Connection | None = None
        self._left_behind: list[Connection] = []
        self._connections = 0
        self._point: ClockPoint | None = None  # where media time stands between connections
        self._clock = BELIEVED  # of the last connection that gave pictures
        self._length: tuple[float | None, int | None] = (None, None)  # duration_s, frame_count of a file
        self._decoded = self._dropped = self._corrupt = 0  # of closed connections, and of conversion
        self._recent: deque[tuple[float, int]] = deque(maxlen=_RATE_FRAMES)  # (time_s, index) handed over
        self._began_at = 0.0  # Unix time of a file's media time 0
        self._patience = 1.0  # how many times longer than usual a connection may be silent
        self._attempt = 0
        self._outage_since_s: float | None = None
        self._running_since_s: float | None = None
        self._has_run = False
        self._file_failed = False  # a file's failure is final, and stays its state

    @property
    def state(self) -> SourceState:
        return self._life.state

    def __iter__(self) -> Iterator[Frame]:
        """Blocks for each frame. Ends at a file's end and after ``stop``; raises SourceError for a file only."""
        if self._started:
            raise RuntimeError("a VideoSource can be iterated once")
        self._started = True
        return self._frames()

    def stop(self) -> None:
        """Ends the iteration within 2 s, whatever the source does. Returns at once; may be called again."""
        with self._wake:
            self._stopped = True
            if self._connection is not None:
                self._connection.close()
            self._wake.notify_all()

    def stats(self) -> SourceStats:
        with self._wake:
            connection, recent = self._connection, tuple(self._recent)
            video = connection.video if connection else None
            duration_s, frame_count = (video.duration_s, video.frame_count) if video else self._length
            return SourceStats(
                frames_decoded=self._decoded + (connection.decoded if connection else 0),
                frames_dropped=self._dropped + (connection.slot.dropped if connection else 0),
                corrupt=self._corrupt + (video.corrupt if video else 0),
                reconnects=max(0, self._connections - 1),
                stuck=self._stuck(),
                fps=_pace_hz(recent),
                duration_s=duration_s,
                frame_count=frame_count,
                clock=connection.clock if connection and connection.decoded else self._clock,
                quiet_s=(self._patience - 1.0) * self._options.stale_after_s + (video.quiet_s if video else 0.0),
            )

    def _frames(self) -> Iterator[Frame]:
        self._life.announce()
        try:
            while (connection := self._connect()) is not None:
                problem = yield from self._frames_of(connection)
                if self._stopped:
                    return
                if connection.live:
                    self._learn_patience(connection, problem)
                    self._await_retry(problem or words.ended(self._url))
                elif problem is not None:
                    self._file_failed = True
                    self._life.move(SourceState.FAILED, problem.code, problem.message)
                    raise problem
                elif not self._loop:
                    self._life.move(SourceState.STOPPED, "ended", "the file was read to its end")
                    return
        finally:
            self._finish()

    def _frames_of(self, connection: Connection) -> Generator[Frame, None, SourceError | None]:
        """Yields one connection's frames. → why there are no more (None: a file's end, or stopped)."""
        while not self._stopped:
            item = connection.slot.take(_LOOK_S)
            if item is not None:
                frame = self._hand_over(item, connection)
                if frame is not None:
                    yield frame
            elif connection.slot.drained:
                return connection.slot.error
            elif (complaint := connection.complaint(time.monotonic())) is not None:
                return complaint
        return None

    def _hand_over(self, item: Stamped, connection: Connection) -> Frame | None:
        """Convert, wait until it is due, note that all is well. None: cannot be converted, or stopped meanwhile."""
        try:
            image = to_rgb(item.picture)
        except (ValueError, OSError, MemoryError):  # PyAV's errors are these too; a picture with broken planes
            self._corrupt += 1
            return None
        arrived_at, received_s = item.arrived_at, item.arrival_s
        if not connection.live:
            # A file's frames wait decoded; their age begins when they are handed over.
            if self._pacer is not None and self._sleep(self._pacer.hold_s(item.time_s, time.monotonic())):
                return None
            arrived_at, received_s = self._file_clock(item.time_s), time.monotonic()
        self._note_running()
        with self._wake:
            self._recent.append((item.time_s, item.index))
        self._follow_pace(connection)
        return Frame(image, item.index, item.time_s, arrived_at, received_s, item.epoch)

    def _file_clock(self, time_s: float) -> float:
        """Wall-clock time of a file's frame: as if the recording began when reading began."""
        if self._pacer is not None:
            return time.time()
        if not self._recent:
            self._began_at = time.time() - time_s
        return self._began_at + time_s

    def _note_running(self) -> None:
        now_s = time.monotonic()
        self._has_run = True
        if self._running_since_s is None:
            self._running_since_s = now_s
            self._life.move(SourceState.RUNNING, None, "frames arrive")
        elif now_s - self._running_since_s >= self._options.healthy_after_s:
            self._attempt, self._outage_since_s = 0, None

    def _learn_patience(self, connection: Connection, problem: SourceError | None) -> None:
        """A camera whose pictures are rarer than the limits of silence would look dead after each."""
        pictures_hz = _pace_hz(self._recent)
        if pictures_hz > 0:
            self._suit(pictures_hz)
        elif connection.decoded and problem is not None and problem.code == "timed_out":
            self._patience = min(_MOST_PATIENCE, 2.0 * self._patience)

    def _follow_pace(self, connection: Connection) -> None:
        """What was learnt in a bad minute must not stay for as long as a good connection lasts."""
        if connection.live and len(self._recent) >= _PACE_PICTURES and (pictures_hz := _pace_hz(self._recent)) > 0:
            self._suit(pictures_hz)
            connection.stale_after_s = self._patience * self._options.stale_after_s

    def _suit(self, pictures_hz: float) -> None:
        """Patience for a camera that sends so many pictures a second."""
        wanted = _MISSED / (pictures_hz * self._options.read_timeout_s)
        self._patience = min(_MOST_PATIENCE, max(1.0, wanted))

    def _patient_options(self) -> SourceOptions:
        options, patience = self._options, self._patience
        read_s, stale_s = patience * options.read_timeout_s, patience * options.stale_after_s
        return replace(options, read_timeout_s=read_s, stale_after_s=stale_s)

    def _await_retry(self, problem: SourceError) -> None:
        """Show what is wrong with a live source, and wait as long as that deserves."""
        now_s, options = time.monotonic(), self._options
        if self._outage_since_s is None:
            self._outage_since_s = now_s
        outage_s = now_s - self._outage_since_s
        self._running_since_s = None
        doubtful = self._has_run and problem.code in _DOUBTFUL and outage_s < options.believe_after_s
        if problem.permanent and not doubtful:
            self._life.move(SourceState.FAILED, problem.code, problem.message)
            self._sleep(options.failed_retry_s)
            return
        self._life.move(SourceState.RECONNECTING, problem.code, problem.message)
        self._sleep(options.backoff.delay_s(self._attempt, outage_s))
        self._attempt += 1

    def _connect(self) -> Connection | None:
        """→ the next connection, started; None when stopped."""
        self._retire(join_s=0.0)
        while self._stuck() >= _MAX_STUCK and not self._sleep(1.0):
            pass
        with self._wake:
            if self._stopped:
                return None
            self._connection = Connection(
                self._url, self._patient_options(), self._point, self._clock, self._decoded, self._tape
            )
            self._connections += 1
            self._connection.start()
            return self._connection

    def _retire(self, join_s: float) -> None:
        """Close the present connection, if any, and keep its counts and its place in media time."""
        connection = self._connection
        if connection is None:
            return
        connection.close()
        connection.join(join_s)
        with self._wake:
            self._left_behind = [left for left in (*self._left_behind, connection) if left.alive]
            self._connection = None
            self._point = connection.point
            self._clock = connection.clock if connection.decoded else self._clock
            if connection.point is not None and connection.live:
                self._recent.clear()  # the rate must not count the outage
            self._decoded += connection.decoded
            self._dropped += connection.slot.dropped
            if connection.video is not None:
                self._corrupt += connection.video.corrupt
                self._length = (connection.video.duration_s, connection.video.frame_count)

    def _finish(self) -> None:
        self._retire(join_s=_STOP_JOIN_S)
        for left in self._left_behind:
            left.join(0.0)
        if self._life.state is not SourceState.STOPPED and not self._file_failed:
            self._life.move(SourceState.STOPPED, "stopped", "stopped on request")

    def _stuck(self) -> int:
        return sum(left.alive for left in self._left_behind)

    def _sleep(self, seconds: float) -> bool:
        """→ True when stopped meanwhile."""
        with self._wake:
            return self._wake.wait_for(lambda: self._stopped, seconds)


def _pace_hz(recent: Sequence[tuple[float, int]]) -> float:
    """(time_s, index) of pictures → pictures a second of media time; 0 where that cannot be told."""
    media_s = recent[-1][0] - recent[0][0] if recent else 0.0
    return (recent[-1][1] - recent[0][1]) / media_s if media_s > 0 else 0.0

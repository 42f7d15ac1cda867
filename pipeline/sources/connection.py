"""One connection to a source: a thread that opens, decodes and stamps, until the data end or somebody closes it."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from pipeline.errors import SourceError
from pipeline.frame_slot import FrameSlot
from pipeline.sources import words
from pipeline.sources.options import SourceOptions
from pipeline.sources.picture import Picture
from pipeline.sources.reader import Reader, open_reader
from pipeline.sources.tape import CodedTape
from pipeline.sources.timestamps import BELIEVED, ClockChoice, ClockPoint, MediaClock
from pipeline.sources.url import SourceUrl

logger = logging.getLogger(__name__)

_FILE_PATIENCE = 5.0  # a disk may be this many times slower than a camera before it counts as stuck


@dataclass(frozen=True, slots=True)
class Stamped:
    """A decoded picture, not yet converted: a dropped one costs no conversion."""

    picture: Picture
    index: int
    time_s: float
    epoch: int
    arrival_s: float  # monotonic
    arrived_at: float  # Unix time


class Connection:
    """Made, started and watched by the source's consumer; ``close`` never waits for the thread.

    A thread that sits in FFmpeg when closed is left behind as a daemon: it throws away what it still gets and ends
    when FFmpeg returns. ``alive`` tells.
    """

    def __init__(
        self,
        url: SourceUrl,
        options: SourceOptions,
        after: ClockPoint | None = None,
        known: ClockChoice = BELIEVED,
        first_index: int = 0,
        tape: CodedTape | None = None,
    ) -> None:
        """``after``, ``known``: where media time stands and what it followed in the connection before.

        ``tape`` takes what was decoded, as it was coded.
        """
        self.slot: FrameSlot[Stamped] = FrameSlot()
        self.video: Reader | None = None  # set once open
        self.decoded = 0
        self.point = after  # where media time stands
        self.clock = known  # what media time follows
        self.stale_after_s = options.stale_after_s  # without a picture; may be changed while it runs
        self._url = url
        self._options = options
        self._first_index = first_index
        self._tape = tape
        self._began_s = time.monotonic()
        self._opened_s: float | None = None
        self._picture_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"source {url.place}", daemon=True)

    def start(self) -> None:
        self._began_s = time.monotonic()
        self._thread.start()

    def close(self) -> None:
        self.slot.close()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def live(self) -> bool:
        return self.video.live if self.video is not None else self._url.is_live

    def complaint(self, now_s: float) -> SourceError | None:
        """Why this connection should be given up although it reports no error: FFmpeg's own timeouts do not see it."""
        options, video = self._options, self.video
        patience = 1.0 if self.live else _FILE_PATIENCE
        if video is None or self._opened_s is None:
            # PyAV applies the limit twice: to the connection and to finding the streams. HTTP may be opened twice.
            times = 4 if self._url.over_http else 2
            limit_s = patience * (times * options.open_timeout_s + 1.0)
            return words.timed_out(self._url, limit_s) if now_s - self._began_s > limit_s else None
        stale_s = patience * self.stale_after_s + video.quiet_s
        if now_s - max(video.packet_s, self._picture_s or self._opened_s) > stale_s:
            return words.timed_out(self._url, stale_s)
        waiting_since_s, limit_s = self._opened_s, patience * options.first_frame_s + video.quiet_s
        if self._picture_s is not None:
            waiting_since_s, limit_s = self._picture_s, stale_s
        return words.undecodable(self._url) if now_s - waiting_since_s > limit_s else None

    def _run(self) -> None:
        try:
            self.slot.finish(self._read())
        except Exception as error:  # noqa: BLE001  (outermost frame of the thread)
            # The type alone: the text and the traceback of a PyAV error hold the URL.
            logger.error("reading %s failed unexpectedly: %s", self._url.place, type(error).__name__)
            self.slot.finish(words.explain_read(error, self._url))

    def _read(self) -> SourceError | None:
        """Open and decode to the end. → why it ended, None for a file's proper end."""
        video, slot = None, self.slot
        try:
            video = open_reader(self._url, self._options, lambda: slot.closed)  # not self: a circle would outlive it
            self.video, self._opened_s = video, time.monotonic()
            self._decode(video)
        except SourceError as error:
            return error
        finally:
            if video is not None:
                video.close()
        if video.live:
            return words.ended(self._url)
        return None if self.decoded else words.no_pictures(self._url)

    def _decode(self, video: Reader) -> None:
        clock = MediaClock(video.live, video.period_s, self.point, known=self.clock, judged=video.pushed)
        for picture in video.pictures():
            arrival_s = time.monotonic()
            time_s, epoch = clock.stamp(picture.pts_s, picture.size_hw, arrival_s, picture.waited_s)
            item = Stamped(picture, self._first_index + self.decoded, time_s, epoch, arrival_s, time.time())
            if self.slot.closed:
                return
            self.point, self.clock = clock.point, clock.choice
            self._picture_s = arrival_s
            self.decoded += 1
            if self._tape is not None:
                self._tape.add(picture, time_s, epoch)
            if not self.slot.put(item, newest_wins=video.live):
                return

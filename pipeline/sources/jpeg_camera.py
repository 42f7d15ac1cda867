"""Cameras that send JPEG pictures over HTTP: multipart streams, and single pictures that are asked for again and again.

FFmpeg's own reader of multipart JPEG ends at the first part that it does not like. Here a bad part costs one picture.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import av
import av.error

from pipeline.errors import SourceError
from pipeline.sources import words
from pipeline.sources.exif import jpeg_turn
from pipeline.sources.http_answer import HttpAnswer, kind_of
from pipeline.sources.jpeg_scanner import JpegScanner, picture_size
from pipeline.sources.options import SourceOptions
from pipeline.sources.picture import Picture, Turn, square_size
from pipeline.sources.timestamps import frame_period_s
from pipeline.sources.url import SourceUrl

_BELIEVED_FAILURES = 8
_OUTAGE = 3  # so many requests for a snapshot in a row without a picture: the camera is gone
_STOP_LOOK_S = 0.1  # how soon the wait between two pictures notices that nobody wants the next
_FINAL = frozenset({"unauthorized", "forbidden", "not_allowed"})  # asking again could lock the account


class JpegCamera:
    """An HTTP camera, open; to its reader the same as ``OpenVideo``.

    An answer that ends after one picture is a snapshot: it is asked for again each ``options.snapshot_s``, and a
    request that fails costs its picture and no more, unless ``_OUTAGE`` of them do so in a row.
    """

    live = True
    pushed = True
    duration_s: float | None = None
    frame_count: int | None = None

    def __init__(
        self, url: SourceUrl, options: SourceOptions, answer: HttpAnswer, unwanted: Callable[[], bool]
    ) -> None:
        """``answer``: the first one, which sends JPEG; closed with this. ``unwanted``: whether to stop."""
        self._url = url
        self._options = options
        self._answer = answer
        self._unwanted = unwanted
        self._decoder = JpegDecoder(url, options.max_pixels)
        self._asked_s = self.packet_s = time.monotonic()
        self._spoilt = 0  # snapshots that did not come
        self._spoilt_in_a_row = 0
        self._snapshots = False
        self.period_s = frame_period_s(None)

    @property
    def quiet_s(self) -> float:
        """How long it may be silent by its nature."""
        return _OUTAGE * self._options.snapshot_s if self._snapshots else 0.0

    @property
    def corrupt(self) -> int:
        return self._decoder.corrupt + self._spoilt

    def pictures(self) -> Iterator[Picture]:
        """Until the camera ends the stream. Raises SourceError, also when pictures get too large."""
        count = yield from self._pictures_of(self._answer)
        self._snapshots = count == 1
        while self._snapshots and self._await_turn():
            try:
                self._answer = HttpAnswer(self._url, self._options)
                count = yield from self._pictures_of(self._answer)
                problem = None if count else words.not_video(self._url, kind_of(self._answer.head))
            except SourceError as error:
                problem = error
            self._judge(problem)

    def _pictures_of(self, answer: HttpAnswer) -> Generator[Picture, None, int]:
        """→ how many pictures began in it, whether or not they could be decoded."""
        count, scanner = 0, JpegScanner()
        for chunk in itertools.chain(answer.chunks(), (None,)):
            if self._unwanted():
                break
            for jpeg in scanner.finish() if chunk is None else scanner.feed(chunk):
                self.packet_s = time.monotonic()
                count += 1
                yield from self._decoder.decode(jpeg)
        answer.close()
        return count + scanner.oversized

    def _await_turn(self) -> bool:
        """Until the next snapshot is due. → False when nobody wants it any more."""
        due_s = self._asked_s + self._options.snapshot_s
        while (left_s := due_s - time.monotonic()) > 0 and not self._unwanted():
            time.sleep(min(left_s, _STOP_LOOK_S))
        self._answer.close()
        self._asked_s = max(due_s, time.monotonic() - self._options.snapshot_s)
        return not self._unwanted()

    def _judge(self, problem: SourceError | None) -> None:
        """Raises ``problem`` where it is no single miss."""
        if problem is None:
            self._spoilt_in_a_row = 0
            return
        self._spoilt += 1
        self._spoilt_in_a_row += 1
        if problem.code in _FINAL or self._spoilt_in_a_row >= _OUTAGE:
            raise problem

    def close(self) -> None:
        self._answer.close()


class JpegDecoder:
    """JPEG bytes → pictures, damaged ones counted in ``corrupt`` and passed over.

    FFmpeg paints what is missing of a cut-off picture grey and says nothing, unless it is told to explode. A camera of
    which not one picture is without fault is read all the same.
    """

    def __init__(self, url: SourceUrl, max_pixels: int) -> None:
        self._url = url
        self._max_pixels = max_pixels
        self._codec = self._make_codec(strict=True)
        self._faultless = 0
        self._failures_in_a_row = 0
        self.corrupt = 0

    def _make_codec(self, strict: bool) -> Any:
        codec = av.CodecContext.create("mjpeg", "r")
        codec.thread_count = 1  # with more, each picture would wait for the next one
        codec.options = {"max_pixels": str(self._max_pixels)} | ({"err_detect": "explode"} if strict else {})
        return codec

    def decode(self, jpeg: bytes) -> list[Picture]:
        """→ one picture, or none. Raises SourceError where pictures stay larger than allowed."""
        try:
            frames = self._codec.decode(av.Packet(jpeg))
        except av.error.FFmpegError:
            frames = []
        whole = [frame for frame in frames if not frame.is_corrupt and frame.width * frame.height <= self._max_pixels]
        if whole:
            self._faultless += 1
            self._failures_in_a_row = 0
        else:
            self._note_failure(jpeg)
        return [self._picture(frame, jpeg_turn(jpeg)) for frame in whole]

    def _note_failure(self, jpeg: bytes) -> None:
        self.corrupt += 1
        self._failures_in_a_row += 1
        if self._failures_in_a_row < _BELIEVED_FAILURES:
            return
        width, height = picture_size(jpeg) or (0, 0)
        if width * height > self._max_pixels:
            raise words.too_large(self._url, (width, height), self._max_pixels)
        if not self._faultless:
            self._codec = self._make_codec(strict=False)

    def _picture(self, frame: Any, turn: Turn) -> Picture:
        size_wh = (frame.width, frame.height)
        return Picture(frame, None, square_size(size_wh, self._codec.sample_aspect_ratio, self._max_pixels), turn)

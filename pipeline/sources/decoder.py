"""Decodes the video of one connection or file with PyAV: limits, corrupt data, codecs that change, errors in words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import av.error
from av.codec.context import Flags, ThreadType

from pipeline.sources import words
from pipeline.sources.coded import CodedTrail
from pipeline.sources.container import open_container
from pipeline.sources.length import Length
from pipeline.sources.options import HLS_QUIET_S, SourceOptions
from pipeline.sources.picture import HeldTurn, Picture, square_size
from pipeline.sources.timestamps import frame_period_s
from pipeline.sources.track import VideoTrack, pick_track
from pipeline.sources.url import SourceUrl

_LIVE_THREADS = 2  # one camera must not take the whole machine
_BELIEVED_FAILURES = 8
_LOST_PACKETS = 25  # so many at a file's end that none could be decoded: it is not whole


class OpenVideo:
    """One open source. ``pictures`` and ``close`` belong to the thread that opened it; the rest may be read anywhere.

    ``live``: the end of the data is a failure. ``pushed``: it is sent as it happens, not fetched in pieces.
    ``quiet_s``: how long it may be silent by its nature. ``packet_s``: monotonic time of the newest packet.
    ``corrupt`` counts packets and pictures that were thrown away.
    """

    def __init__(self, url: SourceUrl, options: SourceOptions, unwanted: Callable[[], bool]) -> None:
        """``unwanted``: whether nobody wants any more of it. Raises SourceError."""
        self._url = url
        self._unwanted = unwanted
        self._max_pixels = options.max_pixels
        self._container = open_container(url, options)
        try:
            stream = pick_track(self._container, url)
            self._check_size(stream.codec_context.width, stream.codec_context.height)
            self._describe(stream)
            # no bound method: it would hold this object, and so the codec's memory and threads, in a circle
            prepare = partial(_prepare_codec, max_pixels=self._max_pixels, live=self.live)
            self._track = VideoTrack(self._container, stream, prepare)
        except BaseException:
            self._container.close()
            raise
        self._held = HeldTurn()
        self._trail = CodedTrail(stream) if options.keep_coded else None
        self.packet_s = time.monotonic()
        self.corrupt = 0
        self._waited_s = 0.0  # for data, since the last picture
        self._failures_since_picture = 0

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise words.too_large(self._url, (width, height), self._max_pixels)

    def _describe(self, stream: Any) -> None:
        """Set ``live``, ``pushed``, ``quiet_s``, ``duration_s``, ``frame_count`` and ``period_s``."""
        container = self._container
        rate = stream.average_rate or stream.guessed_rate
        self.period_s = frame_period_s(float(rate) if rate else None)
        network_file = self._url.over_http and bool(container.duration)
        self.live = self._url.scheme != "file" and not network_file
        playlist = "hls" in container.format.name
        self.pushed = self.live and not playlist
        self.quiet_s = HLS_QUIET_S if self.live and playlist else 0.0
        self._length = None if self.live else Length(container, stream, self.period_s)
        self.duration_s = self._length.duration_s if self._length else None
        self.frame_count = self._length.frame_count if self._length else None

    def pictures(self) -> Iterator[Picture]:
        """Decoded pictures until the data end.

        Undecodable data are counted and passed over. Raises SourceError when reading fails, when pictures get too
        large, when a file ends before its time, and when nothing can be decoded to its end.
        """
        for packet in self._packets():
            for frame in self._decode(packet):
                self._check_size(frame.width, frame.height)
                yield self._picture(frame)
        self._check_whole()

    def _picture(self, frame: Any) -> Picture:
        square_wh = square_size((frame.width, frame.height), self._track.pixel_aspect, self._max_pixels)
        waited_s, self._waited_s = self._waited_s, 0.0
        coded = None if self._trail is None else self._trail.of(frame)
        return Picture(frame, _pts_s(frame), square_wh, self._held.of(frame), waited_s, coded)

    def _packets(self) -> Iterator[Any]:
        """The video's packets; those of other tracks only say how far the file has been read."""
        demuxer = self._container.demux()
        while not self._unwanted() and (packet := self._next_packet(demuxer)) is not None:
            if self._length is not None:
                self._length.note(packet)
            for ours in self._track.take(packet):
                self.packet_s = time.monotonic()
                self.corrupt += int(ours.is_corrupt)
                yield ours

    def _next_packet(self, demuxer: Iterator[Any]) -> Any | None:
        """→ None at the end of the data. Raises SourceError without FFmpeg's own error as context."""
        began_s = time.monotonic()
        try:
            return next(demuxer, None)
        except av.error.FFmpegError as error:
            problem = words.explain_read(error, self._url)
        finally:
            self._waited_s += time.monotonic() - began_s
        raise problem

    def _decode(self, packet: Any) -> list[Any]:
        """→ the av.VideoFrames that this packet completes; damaged ones (no keyframe yet, lost packets) are dropped."""
        failures = 0
        if self._trail is not None:
            self._trail.note(packet, self._track.codec)
        try:
            pictures = self._track.decode(packet)
        except av.error.FFmpegError:
            pictures, failures = [], 1
        whole = [picture for picture in pictures if not picture.is_corrupt]
        if whole:
            self._failures_since_picture = 0
        self._note_failures(failures + len(pictures) - len(whole))  # not in the handler: it may raise
        return whole

    def _note_failures(self, count: int) -> None:
        self.corrupt += count
        self._failures_since_picture += count
        if self._failures_since_picture >= _BELIEVED_FAILURES:
            # A decoder that refuses a size keeps saying so; one damaged header must not end the stream.
            self._check_size(*self._track.size_wh)

    def _check_whole(self) -> None:
        """Raises SourceError when a file stops well before the end that its header promises, or decodes no further."""
        missing = self._length.missing if self._length is not None else None
        if missing is not None:
            raise words.ended_early(self._url, *missing)
        if self._length is not None and self._failures_since_picture >= _LOST_PACKETS:
            raise words.undecodable_tail(self._url, self._failures_since_picture)

    def close(self) -> None:
        self._container.close()


def _pts_s(frame: Any) -> float | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return float(Fraction(frame.pts) * frame.time_base)


def _prepare_codec(codec: Any, max_pixels: int, live: bool) -> None:
    """``codec``: an av.VideoCodecContext that has decoded nothing yet."""
    codec.options = {"max_pixels": str(max_pixels)}  # a change to a huge size in mid-stream is refused too
    codec.thread_type = ThreadType.AUTO
    if live:
        codec.thread_count = _LIVE_THREADS
        codec.flags |= Flags.low_delay.value

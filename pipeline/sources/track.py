"""The video among a container's tracks, and its decoder: also when the camera changes codec or track in mid-stream.

An MPEG transport stream may announce another codec for the same track, or another track in its place, at any time
(ISO 13818-1, 2.4.4.8: a new version of the program map). FFmpeg's demuxer follows, its decoder does not.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import av.error
from av.bitstream import BitStreamFilterContext

from pipeline.sources import words
from pipeline.sources.url import SourceUrl

_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: the cover of an audio file is no video
_CHANGING_FORMATS = frozenset({"mpegts"})
_SUCCESSION = 12  # so many packets of another track, and none of ours: it has taken our track's place …
_OVERLAP = 3  # … if it began no more than so many of our packets ago: tracks that run beside ours are other cameras
_SILENCE_S, _SILENCE_STEPS, _MOST_SILENCE_S = 2.0, 3, 20.0  # … and they span more than this, and than steps of ours
# PyAV does not tell a demuxer's present codec; a filter that takes one codec only does.
_ASKING = (
    ("h264_metadata", "h264"),
    ("hevc_metadata", "hevc"),
    ("mpeg2_metadata", "mpeg2video"),
    ("av1_metadata", "av1"),
    ("mpeg4_unpack_bframes", "mpeg4"),
)


def pick_track(container: Any, url: SourceUrl) -> Any:
    """→ av.VideoStream. Raises SourceError: no video, unknown codec."""
    video = [stream for stream in container.streams.video if not stream.disposition.value & _ATTACHED_PICTURE]
    if not video:
        raise words.no_video(url)
    best = container.streams.best("video")
    stream = best if best in video else video[0]
    if stream.codec_context is None:
        raise words.unsupported_codec(url)
    return stream


class VideoTrack:
    """The track that is decoded. ``prepare(codec)`` sets the limits of every decoder before its first packet."""

    def __init__(self, container: Any, stream: Any, prepare: Callable[[Any], None]) -> None:
        """``container``: av.container.InputContainer, ``stream``: its av.VideoStream."""
        self._stream = stream
        self._codec = stream.codec_context
        self._prepare = prepare
        prepare(self._codec)
        self._may_change = container.format.name in _CHANGING_FORMATS
        self._taken = 0  # packets of our track
        self._began: dict[int, int] = {}  # other video tracks by index: how many packets ours had when they began
        self._waiting: list[Any] = []  # packets of one of them since our last one
        self._last_s: float | None = None  # time stamp of our last packet
        self._step_s = 0.0  # from the one before to it
        self._left: list[Any] = []  # av.VideoFrames that the decoder before still held
        declared, coded = stream.sample_aspect_ratio, self._codec.sample_aspect_ratio
        self._container_aspect = declared if declared != coded else None

    @property
    def pixel_aspect(self) -> Fraction | None:
        """A pixel's width by its height, now. What a container declares counts more than what the codec does."""
        aspect: Fraction | None = self._container_aspect or self._codec.sample_aspect_ratio
        return aspect

    @property
    def codec(self) -> Any:
        """The av.VideoCodecContext that decodes now."""
        return self._codec

    @property
    def size_wh(self) -> tuple[int, int]:
        return self._codec.width, self._codec.height

    def take(self, packet: Any) -> list[Any]:
        """``packet``: of any track. → the packets that are to be decoded now."""
        if packet.stream.index == self._stream.index:
            if packet.size == 0:
                return [*self._succeed_at_end(), packet]
            self._note(packet)
            if self._may_change:
                self._follow_codec()
            return [packet]
        return self._take_other(packet) if self._may_change and packet.stream.type == "video" else []

    def _take_other(self, packet: Any) -> list[Any]:
        index = packet.stream.index
        began = self._began.setdefault(index, self._taken)
        beside = self._taken == 0 or self._taken - began > _OVERLAP
        if beside or packet.size == 0 or packet.stream.codec_context is None:
            return []
        self._waiting = [waiting for waiting in self._waiting if waiting.stream.index == index] + [packet]
        silence_s = min(max(_SILENCE_S, _SILENCE_STEPS * self._step_s), _MOST_SILENCE_S)
        return self._succeed() if self._are_others(silence_s) else []

    def _note(self, packet: Any) -> None:
        self._taken += 1
        now_s = _stamp_s(packet)
        # A packet of a transport stream comes when the next one of its track begins: later ones of others came before.
        self._waiting = [other for other in self._waiting if now_s is not None and (_stamp_s(other) or 0.0) > now_s]
        if now_s is not None and self._last_s is not None:
            self._step_s = abs(now_s - self._last_s)
        self._last_s = now_s

    def _are_others(self, silence_s: float) -> bool:
        """Whether so many packets wait, over so long, that ours cannot just be between two pictures."""
        times_s = [time_s for packet in self._waiting if (time_s := _stamp_s(packet)) is not None]
        return len(self._waiting) >= _SUCCESSION and bool(times_s) and max(times_s) - min(times_s) > silence_s

    def _succeed_at_end(self) -> list[Any]:
        """Where the data end, nothing of ours comes any more: the others need be no longer than a gap of ours."""
        return self._succeed() if self._are_others(min(_SILENCE_STEPS * self._step_s, _MOST_SILENCE_S)) else []

    def decode(self, packet: Any) -> list[Any]:
        """→ av.VideoFrames. Raises av.error.FFmpegError."""
        left, self._left = self._left, []
        return [*left, *self._codec.decode(packet)]

    def _succeed(self) -> list[Any]:
        """A new track takes the place of the one that has fallen silent."""
        packets, self._waiting = self._waiting, []
        self._stream = packets[0].stream
        self._exchange(self._stream.codec_context)
        return packets

    def _follow_codec(self) -> None:
        name = self._codec.name
        asked = [filter_name for filter_name, codec in _ASKING if codec == name]
        if not asked or _takes(asked[0], self._stream):
            return
        now = next((codec for filter_name, codec in _ASKING if _takes(filter_name, self._stream)), None)
        if now is not None:
            self._exchange(av.CodecContext.create(now, "r"))

    def _exchange(self, codec: Any) -> None:
        try:
            self._left += self._codec.decode(None)
        except av.error.FFmpegError:
            self._left = []
        self._codec = codec
        self._prepare(codec)


def _stamp_s(packet: Any) -> float | None:
    ticks = packet.dts if packet.pts is None else packet.pts  # of the picture: decoding may begin before it is due
    return None if ticks is None or packet.time_base is None else float(ticks * packet.time_base)


def _takes(filter_name: str, stream: Any) -> bool:
    try:
        BitStreamFilterContext(filter_name, stream)
    except (av.error.FFmpegError, ValueError):
        return False
    return True

"""Opens one connection or file with PyAV and decodes its video: limits, allow-lists, corrupt data, errors in words.

Allow-lists, never block-lists: FFmpeg would else read ``concat:``, ``subfile:``, playlists that name any host and
redirects to anywhere. What stays: an RTSP server may redirect to another RTSP server (FFmpeg cannot be told not to).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import av
import av.error
import numpy as np
from av.codec.context import Flags, ThreadType

from pipeline.entities import Image
from pipeline.errors import SourceError
from pipeline.sources import words
from pipeline.sources.options import SourceOptions
from pipeline.sources.timestamps import frame_period_s
from pipeline.sources.url import SourceUrl

_PROTOCOLS = {
    "file": "file",
    "rtsp": "tcp,rtp,rtsp,udp,tls",
    "rtsps": "tcp,rtp,rtsp,udp,tls",
    "http": "http,https,tcp,tls",
    "https": "http,https,tcp,tls",
}
_RECORDINGS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,h264,hevc,mjpeg,m4v,gif"
_FORMATS = {
    "file": _RECORDINGS,
    "rtsp": "rtsp,mpegts",
    "rtsps": "rtsp,mpegts",
    "http": "mpegts,mov,matroska,avi,flv,mpjpeg",
    "https": "mpegts,mov,matroska,avi,flv,mpjpeg",
}
_REDIRECTS_CAN_BE_REFUSED = (62, 12, 0)  # libavformat of FFmpeg 8.1
_LIVE_THREADS = 2  # one camera must not take the whole machine
_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: the cover of an audio file is no video
_BELIEVED_FAILURES = 8
_TAIL_S = 1.0  # a file whose last packets miss by more than this (and 5 %) is cut off


class OpenVideo:
    """One open source. ``pictures`` and ``close`` belong to the thread that opened it; the rest may be read anywhere.

    ``live``: the end of the data is a failure. ``packet_s``: monotonic time of the newest packet. ``corrupt`` counts
    packets and pictures that were thrown away.
    """

    def __init__(self, url: SourceUrl, options: SourceOptions) -> None:
        """Raises SourceError."""
        self._url = url
        self._max_pixels = options.max_pixels
        self._container = _open_container(url, options)
        try:
            self._stream = self._pick_stream()
            self._describe()
            self._prepare_codec()
        except BaseException:
            self._container.close()
            raise
        self.packet_s = time.monotonic()
        self.corrupt = 0
        self._failures_in_a_row = 0
        self._end_s = 0.0  # where the newest packet ends, from the start of the stream

    def _pick_stream(self) -> Any:
        """→ av.VideoStream. Raises SourceError: no video, unknown codec, too large."""
        video = [stream for stream in self._container.streams.video if not stream.disposition.value & _ATTACHED_PICTURE]
        if not video:
            raise words.no_video(self._url)
        best = self._container.streams.best("video")
        stream = best if best in video else video[0]
        if stream.codec_context is None:
            raise words.unsupported_codec(self._url)
        self._check_size(stream.codec_context.width, stream.codec_context.height)
        return stream

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise words.too_large(self._url, (width, height), self._max_pixels)

    def _describe(self) -> None:
        """Set ``live``, ``duration_s``, ``frame_count``, ``period_s`` and ``has_clock``."""
        container, stream = self._container, self._stream
        # Multipart JPEG carries no timestamps; FFmpeg would invent 25 a second.
        self.has_clock = container.format.name != "mpjpeg"
        rate = stream.average_rate or stream.guessed_rate
        self.period_s = frame_period_s(float(rate) if rate else None)
        known_s = container.duration / av.time_base if container.duration else None
        network_file = self._url.scheme in ("http", "https") and known_s is not None and self.has_clock
        self.live = self._url.scheme != "file" and not network_file
        if stream.duration and stream.time_base:
            known_s = float(stream.duration * stream.time_base)
        self.duration_s = None if self.live else known_s
        self.frame_count: int | None = None
        if not self.live:
            estimate = round(known_s / self.period_s) if known_s else 0
            self.frame_count = int(stream.frames) or estimate or None

    def _prepare_codec(self) -> None:
        codec = self._stream.codec_context
        codec.options = {"max_pixels": str(self._max_pixels)}  # a change to a huge size in mid-stream is refused too
        codec.thread_type = ThreadType.AUTO
        if self.live:
            codec.thread_count = _LIVE_THREADS
            codec.flags |= Flags.low_delay.value

    def pictures(self) -> Iterator[tuple[Any, float | None]]:
        """Decoded pictures as (av.VideoFrame, presentation time in seconds or None), until the data end.

        Undecodable data are counted and passed over. Raises SourceError when reading fails, when pictures get too
        large, and when a file ends before its time.
        """
        packets = self._packets()
        for packet in packets:
            for picture in self._decode(packet):
                self._check_size(picture.width, picture.height)
                yield picture, _pts_s(picture) if self.has_clock else None
        self._check_whole()

    def _packets(self) -> Iterator[Any]:
        demuxer = self._container.demux(self._stream)
        while True:
            problem: SourceError | None = None
            packet = None
            try:
                packet = next(demuxer, None)
            except av.error.FFmpegError as error:
                problem = words.explain_read(error, self._url)
            if problem is not None:
                raise problem
            if packet is None:
                return
            self.packet_s = time.monotonic()
            self.corrupt += int(packet.is_corrupt)
            self._note_end(packet)
            yield packet

    def _decode(self, packet: Any) -> list[Any]:
        """→ the av.VideoFrames that this packet completes; damaged ones (no keyframe yet, lost packets) are dropped."""
        try:
            pictures = packet.decode()
            self._failures_in_a_row = 0
        except av.error.FFmpegError:
            pictures = []
            self.corrupt += 1
            self._failures_in_a_row += 1
        if self._failures_in_a_row >= _BELIEVED_FAILURES:
            # A decoder that refuses a size keeps saying so; one damaged header must not end the stream.
            self._check_size(self._stream.codec_context.width, self._stream.codec_context.height)
        whole = [picture for picture in pictures if not picture.is_corrupt]
        self.corrupt += len(pictures) - len(whole)
        return whole

    def _note_end(self, packet: Any) -> None:
        if packet.pts is not None and packet.time_base is not None:
            start = self._stream.start_time or 0
            end = packet.pts - start + (packet.duration or 0)
            self._end_s = max(self._end_s, float(end * packet.time_base))

    def _check_whole(self) -> None:
        """Raises SourceError when a file stops well before the end that its header promises."""
        if self.duration_s is not None and self._end_s + max(_TAIL_S, 0.05 * self.duration_s) < self.duration_s:
            raise words.ended_early(self._url, self._end_s, self.duration_s)

    def close(self) -> None:
        self._container.close()


def to_rgb(picture: Any) -> Image:
    """av.VideoFrame → uint8 (H, W, 3) RGB, turned upright where the recording says how it was held."""
    image: Image = picture.to_ndarray(format="rgb24")
    quarter_turns = round(getattr(picture, "rotation", 0) / 90) % 4  # counter-clockwise
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


def _pts_s(picture: Any) -> float | None:
    if picture.pts is None or picture.time_base is None:
        return None
    return float(picture.pts * picture.time_base)


def _open_container(url: SourceUrl, options: SourceOptions) -> Any:
    """→ av.container.InputContainer. Raises SourceError, without FFmpeg's own error as context: it holds the URL."""
    address, ffmpeg_options = _address(url), _ffmpeg_options(url, options)
    began_s = time.monotonic()
    try:
        return av.open(
            address,
            format="video4linux2" if url.scheme == "v4l2" else None,
            options=ffmpeg_options,
            timeout=(options.open_timeout_s, options.read_timeout_s),
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        out_of_time = url.scheme != "file" and time.monotonic() - began_s >= 0.95 * options.open_timeout_s
        problem = words.explain_open(error, url, out_of_time)
    raise problem


def _address(url: SourceUrl) -> str:
    """What FFmpeg opens. A file is opened by its protocol, so that no name can be taken for another one."""
    if url.path is None:
        return url.reveal()
    if url.scheme == "file":
        # The path was resolved when it was checked: a symlink put there since then must not lead elsewhere.
        if url.path.resolve() != url.path:
            raise words.moved(url)
        return f"file:{url.path}"
    return str(url.path)


def _ffmpeg_options(url: SourceUrl, options: SourceOptions) -> dict[str, str]:
    if url.scheme == "v4l2":
        return {}
    formats = _FORMATS[url.scheme] + (",hls" if url.hls else "")
    chosen = {
        "protocol_whitelist": _PROTOCOLS[url.scheme],
        "format_whitelist": formats,
        "max_pixels": str(options.max_pixels),
    }
    if url.scheme in ("rtsp", "rtsps"):
        chosen["rtsp_transport"] = options.transport
        chosen["allowed_media_types"] = "video"
        # FFmpeg's defaults look at several seconds of video to guess its rate. Not "nobuffer": it throws away what was
        # looked at, the first keyframe with it, and the first picture then comes a whole group of pictures later.
        chosen |= {"analyzeduration": "200000", "fpsprobesize": "0"}
    if url.scheme in ("http", "https"):
        if av.library_versions["libavformat"] < _REDIRECTS_CAN_BE_REFUSED:
            raise words.old_ffmpeg(url)  # it would pass over the option without a word
        chosen["max_redirects"] = "0"
    return chosen

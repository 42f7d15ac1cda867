"""A camera's own coded pictures beside the decoded ones, so that a recording can keep them without encoding anew.

Only what every browser plays and a file can take picture by picture: H.264 of 8 bits, 4:2:0, without pictures that are
decoded in another order than they are shown. Everything else has to be encoded.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import av
import av.error
from av.bitstream import BitStreamFilterContext
from av.video.frame import PictureType

_PIXELS = frozenset({"yuv420p", "yuvj420p"})
_MOST_WAITING = 64  # packets that no picture has come of: a decoder holds back fewer


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """H.264 in Annex B (ITU-T H.264), a keyframe with its parameter sets in front.

    ``lead_s``: how long it is shown before the decoded picture that it came with. ``whole``: nothing before it is lost.
    """

    data: bytes
    keyframe: bool
    lead_s: float = 0.0
    whole: bool = True


class CodedTrail:
    """Finds the coded pictures that belong to each decoded one. ``note`` every packet, then ask ``of`` its pictures."""

    def __init__(self, stream: Any) -> None:
        """``stream``: the av.VideoStream that is decoded."""
        self._stream = stream
        self._filter: BitStreamFilterContext | None = None
        self._sets = b""  # SPS and PPS that are not sent with the pictures
        self._codec: Any = None
        self._waiting: deque[tuple[int | None, CodedPicture]] = deque()
        self._last_pts: int | None = None
        self._copyable = True
        self._whole = True

    def note(self, packet: Any, codec: Any) -> None:
        """``packet``: an av.Packet that is decoded next, by ``codec``, an av.VideoCodecContext."""
        if not packet.size or not self._copyable:
            return
        if codec is not self._codec:
            self._begin(codec)
        backwards = packet.pts is not None and self._last_pts is not None and packet.pts < self._last_pts
        self._last_pts = self._last_pts if packet.pts is None else packet.pts
        data = self._annex_b(packet)
        if backwards or data is None:
            return self._give_up()
        self._waiting.append((packet.pts, CodedPicture(data, bool(packet.is_keyframe), 0.0, self._whole)))
        self._whole = True
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.clear()
            self._whole = False
        return None

    def of(self, frame: Any) -> tuple[CodedPicture, ...] | None:
        """→ what was coded since the picture before ``frame`` (an av.VideoFrame), its own last; None: to be encoded."""
        if not self._copyable or frame.format.name not in _PIXELS:
            return None
        places = [place for place, (pts, _) in enumerate(self._waiting) if pts == frame.pts]
        if not places or frame.pict_type == PictureType.B:  # some sources stamp pictures in the order of decoding
            self._give_up()
            return None
        found = [self._waiting.popleft() for _ in range(places[0] + 1)]
        return tuple(_led(coded, pts, frame) for pts, coded in found)

    def _begin(self, codec: Any) -> None:
        self._codec, self._filter = codec, None
        self._waiting.clear()
        extradata = bytes(codec.extradata or b"")
        if codec.name != "h264":
            return self._give_up()
        if extradata[:1] == b"\x01":  # avcC: lengths in place of start codes (ISO 14496-15)
            self._filter = BitStreamFilterContext("h264_mp4toannexb", self._stream)
        self._sets = extradata if self._filter is None else b""
        return None

    def _give_up(self) -> None:
        """Until the source is opened again."""
        self._copyable = False
        self._waiting.clear()

    def _annex_b(self, packet: Any) -> bytes | None:
        """→ None for what cannot be read. The packet stays as it is."""
        if self._filter is None:
            data = bytes(packet)
            return self._sets + data if packet.is_keyframe and not _has_sets(data) else data
        copy = av.Packet(bytes(packet))
        copy.is_keyframe = packet.is_keyframe
        try:
            return b"".join(bytes(part) for part in self._filter.filter(copy)) or None
        except (av.error.FFmpegError, ValueError):
            return None


def _has_sets(data: bytes) -> bool:
    """Whether an SPS (NAL unit type 7) comes with the picture, as it does where a camera changes it."""
    start = data.find(b"\x00\x00\x01")
    while 0 <= start < len(data) - 3:
        kind = data[start + 3] & 0x1F
        if kind in (1, 5):  # the picture itself
            return False
        if kind == 7:
            return True
        start = data.find(b"\x00\x00\x01", start + 3)
    return False


def _led(coded: CodedPicture, pts: int | None, frame: Any) -> CodedPicture:
    if pts is None or frame.pts is None or pts == frame.pts:
        return coded
    return CodedPicture(coded.data, coded.keyframe, float((frame.pts - pts) * frame.time_base), coded.whole)

"""How long a file says it is, and whether all of it came."""

from __future__ import annotations

from typing import Any

import av

_SHARED = frozenset({"asf"})  # FFmpeg gives each track the duration of the file there
_TAIL_S = 1.0  # a file whose last packets miss by more than this (and 5 %) is cut off


class Length:
    """The promises in a file's head, and what of it was read.

    A container's duration is that of its longest track: sound or subtitles may go on where the video has ended. So what
    holds the container's promise is a packet of any track, counted from the file's first time stamp or from 0 (a
    Matroska file that begins at 8 s may promise the time of its end). The video's own duration is held by its own
    packets, or by as many of them as the index lists.
    """

    def __init__(self, container: Any, stream: Any, period_s: float) -> None:
        """``container``: av.container.InputContainer, ``stream``: its av.VideoStream."""
        self._stream = stream
        self._own = bool(stream.duration and stream.time_base) and container.format.name not in _SHARED
        whole_s = container.duration / av.time_base if container.duration else None
        self._promised_s = float(stream.duration * stream.time_base) if self._own else whole_s
        self._start_s = container.start_time / av.time_base if container.start_time else 0.0
        self._read = 0
        self._end_s = 0.0  # where the newest packet ends, from the start of its track or file
        self._end_at_s = 0.0  # the same in the file's time stamps
        self.duration_s = self._promised_s if self._own else _tagged_s(stream, whole_s)
        estimate = round(self.duration_s / period_s) if self.duration_s else 0
        self.frame_count: int | None = int(stream.frames) or estimate or None

    def note(self, packet: Any) -> None:
        """``packet``: av.Packet of any track."""
        ours = packet.stream is self._stream
        self._read += int(ours and packet.size > 0)
        if packet.pts is None or packet.time_base is None or (self._own and not ours):
            return
        end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
        start_s = self._start_s
        if self._own:
            start_s = float((self._stream.start_time or 0) * self._stream.time_base)
        self._end_at_s = max(self._end_at_s, end_s)
        self._end_s = max(self._end_s, end_s - start_s)

    @property
    def missing(self) -> tuple[float, float] | None:
        """(seconds read, seconds promised) of a file that stops well before its end; None where it is whole."""
        if self._promised_s is None or (self._stream.frames and self._read >= self._stream.frames):
            return None
        reached_s = self._end_s if self._own else max(self._end_s, self._end_at_s)
        cut_off = reached_s + max(_TAIL_S, 0.05 * self._promised_s) < self._promised_s
        return (self._end_s, self._promised_s) if cut_off else None


def _tagged_s(stream: Any, whole_s: float | None) -> float | None:
    """A Matroska track's own duration, where its writer noted it (00:00:03.007000000), else the file's."""
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        tagged_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return whole_s
    # Tags survive cutting and joining: what cannot be is not believed.
    return tagged_s if tagged_s > 0 and (whole_s is None or tagged_s <= whole_s) else whole_s

"""Rolling buffers of person crops, one a track, sampled by media time: what the action classifier reads.

Every track has its own time grid of ``rate_hz`` samples a second, which begins at the first frame that shows it
confirmed. A sample takes the first frame that lies within half a grid step of it (cameras jitter by some
milliseconds); where no frame does, because the camera is slower than the grid or frames were lost, it repeats the
newest crop. So a 10 fps camera repeats each crop two or three times, a 60 fps camera is thinned, and both give the
network the motion it was trained on. Repeated samples share one array, and a frame without a due sample cuts nothing.

Where it costs nothing, the complete clips of a track end an even number of samples apart: the classifier can then reuse
what they share (``models.runtimes.overlap``). Where a frame of a slow camera brings one sample too many or too few for
that, the clip leaves out a repetition of its newest crop, or has the one that the next sample will bring anyway.

Only confirmed tracks have buffers: a tentative one is often no person at all.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.crops import crop_person
from pipeline.entities import Clip, Frame, Image, Track, TrackState
from pipeline.pace import LATE, Pace, TooSlow

_GRID_SLACK = 1e-6  # grid steps; keeps a frame that lies exactly half way between two samples on one side
_JITTER = 0.1  # grid steps by which the next frame may come early
LEAST_PICTURES = 5  # different ones in the time of a clip: below, labels are guesses (benchmarks/slow_cameras.py)
ENOUGH_HZ = 5.0  # pictures a second: no camera that gives so many is refused, however short the clips


@dataclass(frozen=True)
class ClipConfig:
    """How clips are sampled. ``length`` crops of ``size`` pixels make a clip; a new one is due every ``hop`` samples.

    An even ``hop`` keeps complete clips of a track an even number of samples apart where that costs nothing.

    ``provisional_from`` crops suffice for a provisional clip. ``max_gap_s`` is the longest loss that a buffer
    survives; longer where pictures are rarer. ``max_tracks`` bounds memory: at 64 crops of 224 pixels a full track
    holds 9.8 MB on a camera of 25 fps or more. ``scene_hw`` asks for whole scenes of that size instead of crops
    (``pipeline.scene_clips``), and leaves ``size`` and ``margin`` without use.
    """

    length: int = 64
    hop: int = 16
    rate_hz: float = 25.0
    provisional_from: int = 12
    max_gap_s: float = 1.0
    size: int = 224
    margin: float = 0.2
    max_tracks: int = 64
    scene_hw: tuple[int, int] | None = None  # (height, width)

    @property
    def least_hz(self) -> float:
        """Pictures a second that it takes at least for a clip that can be judged."""
        return min(ENOUGH_HZ, LEAST_PICTURES * self.rate_hz / self.length)

    def __post_init__(self) -> None:
        if not 1 <= self.provisional_from <= self.length:
            raise ValueError(f"provisional_from must be 1..{self.length} (the length), got {self.provisional_from}")
        for name in ("hop", "size", "max_tracks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not (self.rate_hz > 0 and self.max_gap_s > 0 and self.margin >= 0):
            raise ValueError("rate_hz and max_gap_s must be above 0, margin not below 0")
        if self.scene_hw is not None and min(self.scene_hw) < 1:
            raise ValueError(f"scene_hw must be at least 1 pixel either way, got {self.scene_hw}")


@dataclass
class _TrackBuffer:
    """One track's samples. ``taken`` counts samples since the grid began at ``origin_s``; it is the next grid index."""

    origin_s: float
    crops: deque[Image]  # uint8 (S, S, 3) RGB, newest last; one more than a clip has
    next_clip_at: int  # value of ``taken`` at which the next clip is due
    seen_s: float
    taken: int = field(default=0)
    steps_s: tuple[float, float] = field(default=(0.0, 0.0))  # times between the last three frames that show the track


class ClipBuffer:
    """The rolling buffers of all tracks of one stream. Not thread-safe: it belongs to the stream's own thread."""

    def __init__(self, config: ClipConfig = ClipConfig()) -> None:
        self._config = config
        self._buffers: dict[int, _TrackBuffer] = {}
        self._epoch: int | None = None
        self._time_s = -math.inf
        self._skipped = 0
        self._pace = Pace()
        self.too_slow: TooSlow | None = None  # set while pictures come too rarely: no clips are made then

    @property
    def skipped(self) -> int:
        """How often a track got no buffer in a frame because ``max_tracks`` others had one."""
        return self._skipped

    def push(self, frame: Frame, tracks: Sequence[Track]) -> list[Clip]:
        """Takes the samples that are due at this frame → the clips that became due, at most one a track.

        A new ``frame.epoch`` or a time before the last frame's empties all buffers.
        """
        if frame.epoch != self._epoch or frame.time_s < self._time_s:
            self._buffers.clear()
        self._epoch, self._time_s = frame.epoch, frame.time_s
        self._pace.note(frame.time_s)
        self.too_slow = self._pace.slower_than(self._config.least_hz, self.too_slow)
        self._forget(frame.time_s, tracks)
        clips = [self._push_track(frame, track) for track in tracks if self._wanted(track)]
        return [clip for clip in clips if clip is not None and self.too_slow is None]

    def fill(self) -> dict[int, int]:
        """→ crops held, by track_id: 1 to ``length``."""
        return {key: min(len(buffer.crops), self._config.length) for key, buffer in self._buffers.items()}

    def _wanted(self, track: Track) -> bool:
        return track.state is TrackState.CONFIRMED and track.coasting_s <= self._gap_s

    @property
    def _gap_s(self) -> float:
        return self._pace.at_least(self._config.max_gap_s, LATE)

    def _forget(self, time_s: float, tracks: Sequence[Track]) -> None:
        """Drops buffers of tracks that are deleted, coast for too long, or were not seen for too long."""
        for track in tracks:
            if not self._wanted(track):
                self._buffers.pop(track.track_id, None)
        gap_s = self._gap_s + _GRID_SLACK
        self._buffers = {key: buffer for key, buffer in self._buffers.items() if time_s - buffer.seen_s <= gap_s}

    def _push_track(self, frame: Frame, track: Track) -> Clip | None:
        buffer = self._buffers.get(track.track_id)
        if buffer is None:
            if len(self._buffers) >= self._config.max_tracks:
                self._skipped += 1
                return None
            crops: deque[Image] = deque(maxlen=self._config.length + 1)
            buffer = _TrackBuffer(frame.time_s, crops, self._config.provisional_from, frame.time_s)
            self._buffers[track.track_id] = buffer
        buffer.steps_s = buffer.steps_s[1], frame.time_s - buffer.seen_s
        buffer.seen_s = frame.time_s
        self._sample(buffer, frame, track)
        end = self._clip_end(buffer)
        if end < buffer.next_clip_at:
            return None
        buffer.next_clip_at = _next_clip_after(end, self._config)
        return self._clip(buffer, frame, track.track_id, end)

    def _sample(self, buffer: _TrackBuffer, frame: Frame, track: Track) -> None:
        """Fills the grid up to this frame: missed samples repeat the newest crop, the others show this frame."""
        first_here, end = due_samples(frame.time_s - buffer.origin_s, buffer.taken, self._config.rate_hz)
        if end <= buffer.taken:
            return
        if first_here > buffer.taken:
            buffer.crops.extend([buffer.crops[-1]] * (first_here - buffer.taken))
        crop = crop_person(frame.image, track.box_xyxy, self._config.size, self._config.margin)
        buffer.crops.extend([crop] * (end - first_here))
        buffer.taken = end

    def _clip_end(self, buffer: _TrackBuffer) -> int:
        """→ at how many samples of the grid a clip would end now: ``taken``, or one fewer. May take a sample ahead."""
        over = buffer.taken - buffer.next_clip_at
        aligned = self._config.hop % 2 == 0 and buffer.next_clip_at >= self._config.length
        if not aligned or over < -1 or over % 2 == 0:
            return buffer.taken
        if over > 0 and buffer.crops[-1] is buffer.crops[-2]:
            return buffer.taken - 1
        if _next_sample_repeats(buffer, self._config.rate_hz):
            buffer.crops.append(buffer.crops[-1])
            buffer.taken += 1
        return buffer.taken

    def _clip(self, buffer: _TrackBuffer, frame: Frame, track_id: int, end: int) -> Clip:
        length = self._config.length
        held = tuple(buffer.crops)[: end - buffer.taken or None][-length:]
        filled = len(held)
        oldest_s = buffer.origin_s + (end - filled) / self._config.rate_hz
        return Clip(
            track_id=track_id,
            crops=tuple(held[index] for index in back_and_forth(filled, length)),
            start_s=min(oldest_s, frame.time_s),
            end_s=frame.time_s,
            captured_at=frame.captured_at,
            received_s=frame.received_s,
            filled=filled,
            provisional=filled < length,
            first_sample=end - filled,
        )


def due_samples(offset_s: float, taken: int, rate_hz: float) -> tuple[int, int]:
    """Which samples of a grid are due at the frame ``offset_s`` after its begin; ``taken`` of them were taken before.

    → (first, end): this frame is shown by the samples ``first`` … ``end`` - 1; those from ``taken`` to ``first`` - 1
    were missed and repeat what came before. With ``end`` <= ``taken`` the frame is not needed.
    """
    position = offset_s * rate_hz
    return max(taken, math.ceil(position - 0.5 - _GRID_SLACK)), math.floor(position + 0.5 + _GRID_SLACK) + 1


def sample_grid(times_s: Sequence[float], rate_hz: float) -> list[int]:
    """Media times of one track's frames, rising → for each sample of its grid the index of the frame that it shows.

    The same samples that ``ClipBuffer`` takes when the frames come one by one; the grid begins at the first of them.
    """
    shown: list[int] = []
    for index, time_s in enumerate(times_s):
        first_here, end = due_samples(time_s - times_s[0], len(shown), rate_hz)
        if end > len(shown):
            shown += shown[-1:] * (first_here - len(shown)) + [index] * (end - first_here)
    return shown


def back_and_forth(filled: int, length: int) -> list[int]:
    """Indices that play ``filled`` images forward, backward, forward … up to ``length`` and end on the newest.

    The turning images are not doubled: 3 images to 8 give 1 0 1 2 1 0 1 2. The end is always the real run
    0 … ``filled`` - 1; whatever is missing is put before it. With ``filled`` >= ``length``: the newest ``length``.
    Raises ValueError when there is nothing to play.
    """
    if filled < 1 or length < 1:
        raise ValueError(f"expected at least one image and one place, got {filled} and {length}")
    last = filled - 1
    period = max(1, 2 * last) if filled < length else length
    steps_back = ((length - 1 - place) % period for place in range(length))
    return [abs(last - step) for step in steps_back]


def _next_sample_repeats(buffer: _TrackBuffer, rate_hz: float) -> bool:
    """Whether the next frame will come too late for the next sample, going by the last two steps between frames."""
    next_s = buffer.seen_s + min(buffer.steps_s)
    return (next_s - buffer.origin_s) * rate_hz - _JITTER > buffer.taken + 0.5


def _next_clip_after(taken: int, config: ClipConfig) -> int:
    """The next sample count at which a clip is due.

    Provisional clips are due at ``provisional_from``, one hop later, and so on; the first complete clip as soon as
    the buffer is full; from there on one every hop. The marks are fixed, so that the distance holds when one frame
    brings several samples.
    """
    start = config.provisional_from if taken < config.length else config.length
    mark = start + ((taken - start) // config.hop + 1) * config.hop
    return min(mark, config.length) if taken < config.length else mark

"""A rolling buffer of whole pictures, shared by all tracks of a stream: for networks that see the scene and a box.

The pictures are sampled by media time on one grid for the whole stream (``pipeline.clips`` has a grid a track): each is
scaled once, and every track's clip refers to the same arrays, so that memory does not grow with the people in view. Of
each track only its boxes are kept, one a sample.

The picture is stretched to the network's height and width, not letterboxed: no row of the network looks at padding, and
a box as parts of the picture's width and height needs no conversion. A network for wide pictures should be trained with
a wide input, such as 224×400.

A clip never reaches back before its person was confirmed: the pictures since then are played back and forth where they
are fewer than the network reads, as crops are. ``Clip.box`` is where the person was in the middle picture, number
``length // 2``. Nothing is sampled while nobody is confirmed. Complete clips fall due at the same marks of the grid for
every track, and share one tuple of pictures then: a runtime can compute the scene's features once for all of them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.clips import ClipBuffer, ClipConfig, back_and_forth, due_samples
from pipeline.entities import Clip, Floats, Frame, Image, Track, TrackState
from pipeline.pace import LATE, Pace, TooSlow

_GAP_SLACK_S = 1e-6


@dataclass
class _Person:
    """One track: a box for each of the newest samples, and when it was seen last."""

    boxes: deque[Floats]  # float32 (4,) 0..1, newest last, which belongs to the newest picture
    seen_s: float
    box: Floats  # where it was seen last


class SceneClipBuffer:
    """Pictures of one stream and the boxes of its tracks. Not thread-safe: it belongs to the stream's own thread.

    Raises ValueError for a configuration without ``scene_hw``.
    """

    def __init__(self, config: ClipConfig) -> None:
        if config.scene_hw is None:
            raise ValueError("expected a configuration with scene_hw, the size of the pictures; it has none")
        self._config = config
        self._size_wh = (int(config.scene_hw[1]), int(config.scene_hw[0]))
        self._pictures: deque[Image] = deque(maxlen=config.length)  # uint8 (H, W, 3) RGB, newest last
        self._people: dict[int, _Person] = {}
        self._origin_s = 0.0
        self._taken = 0  # samples since the grid began at ``_origin_s``: the next one's number
        self._epoch: int | None = None
        self._time_s = -math.inf
        self._skipped = 0
        self._pace = Pace()
        self.too_slow: TooSlow | None = None  # set while pictures come too rarely: no clips are made then

    @property
    def skipped(self) -> int:
        """How often a track was left out of a frame because ``max_tracks`` others were held."""
        return self._skipped

    def push(self, frame: Frame, tracks: Sequence[Track]) -> list[Clip]:
        """Takes the samples that are due at this frame → the clips that became due, at most one for each of ``tracks``.

        A new ``frame.epoch`` or a time before the last frame's empties the buffer.
        """
        if frame.epoch != self._epoch or frame.time_s < self._time_s:
            self._people.clear()
        self._epoch, self._time_s = frame.epoch, frame.time_s
        self._pace.note(frame.time_s)
        self.too_slow = self._pace.slower_than(self._config.least_hz, self.too_slow)
        self._forget(frame.time_s, tracks)
        wanted = [track for track in tracks if self._wanted(track)]
        self._see(frame, wanted)
        before, missed, shown = self._sample(frame)
        due = {key: self._add_boxes(person, before, missed, shown) for key, person in self._people.items()}
        if self.too_slow is not None:
            return []
        return self._clips(frame, [track.track_id for track in wanted if due.get(track.track_id, False)])

    def fill(self) -> dict[int, int]:
        """→ samples held, by track_id: 0 to ``length``."""
        return {track_id: len(person.boxes) for track_id, person in self._people.items()}

    def _wanted(self, track: Track) -> bool:
        return track.state is TrackState.CONFIRMED and track.coasting_s <= self._gap_s

    @property
    def _gap_s(self) -> float:
        return self._pace.at_least(self._config.max_gap_s, LATE)

    def _forget(self, time_s: float, tracks: Sequence[Track]) -> None:
        """Drops tracks that are deleted, coast for too long, or were not seen for too long; with the last, the grid."""
        for track in tracks:
            if not self._wanted(track):
                self._people.pop(track.track_id, None)
        gap_s = self._gap_s + _GAP_SLACK_S
        self._people = {key: person for key, person in self._people.items() if time_s - person.seen_s <= gap_s}
        if not self._people:
            self._pictures.clear()
            self._origin_s, self._taken = time_s, 0

    def _see(self, frame: Frame, tracks: Iterable[Track]) -> None:
        for track in tracks:
            box = _parts(track.box_xyxy, frame.size_hw)
            person = self._people.get(track.track_id)
            if person is not None:
                person.seen_s, person.box = frame.time_s, box
            elif len(self._people) < self._config.max_tracks:
                self._people[track.track_id] = _Person(deque(maxlen=self._config.length), frame.time_s, box)
            else:
                self._skipped += 1

    def _sample(self, frame: Frame) -> tuple[int, int, int]:
        """Fills the grid up to this frame → samples taken before, those missed since, and those that show it."""
        before = self._taken
        if not self._people:
            return before, 0, 0
        first_here, end = due_samples(frame.time_s - self._origin_s, before, self._config.rate_hz)
        if end <= before:
            return before, 0, 0
        if first_here > before:
            self._pictures.extend([self._pictures[-1]] * (first_here - before))
        self._pictures.extend([_scaled(frame.image, self._size_wh)] * (end - first_here))
        self._taken = end
        return before, first_here - before, end - first_here

    def _add_boxes(self, person: _Person, before: int, missed: int, shown: int) -> bool:
        """Gives the new samples the person's box → whether a clip of that person is due.

        It is with the first ``provisional_from`` samples, then at every multiple of ``hop`` of the stream's grid.
        """
        had, enough = len(person.boxes), self._config.provisional_from
        if had:
            person.boxes.extend([person.boxes[-1]] * missed)
        person.boxes.extend([person.box] * shown)
        at_mark = self._taken // self._config.hop > before // self._config.hop
        return len(person.boxes) >= enough and (had < enough or at_mark)

    def _clips(self, frame: Frame, track_ids: Sequence[int]) -> list[Clip]:
        """Clips of tracks with as many samples refer to one and the same tuple of pictures."""
        held, length = tuple(self._pictures), self._config.length
        shared: dict[int, tuple[Image, ...]] = {}
        clips = []
        for track_id in track_ids:
            boxes = self._people[track_id].boxes
            filled = len(boxes)
            order = back_and_forth(filled, length)
            if filled not in shared:
                shared[filled] = tuple(held[len(held) - filled + index] for index in order)
            clips.append(self._clip(frame, track_id, shared[filled], boxes[order[length // 2]], filled))
        return clips

    def _clip(self, frame: Frame, track_id: int, pictures: tuple[Image, ...], box: Floats, filled: int) -> Clip:
        first = self._taken - filled
        return Clip(
            track_id=track_id,
            crops=pictures,
            start_s=min(self._origin_s + first / self._config.rate_hz, frame.time_s),
            end_s=frame.time_s,
            captured_at=frame.captured_at,
            received_s=frame.received_s,
            filled=filled,
            provisional=filled < self._config.length,
            first_sample=first,
            box=box,
        )


def clip_buffer(config: ClipConfig) -> ClipBuffer | SceneClipBuffer:
    """→ the buffer that makes the clips of ``config``: crops of people, or whole scenes where it has ``scene_hw``."""
    return ClipBuffer(config) if config.scene_hw is None else SceneClipBuffer(config)


def _parts(box_xyxy: Floats, size_hw: tuple[int, int]) -> Floats:
    """Box (4,) in pixels, perhaps over the border or not finite → float32 (4,) in 0..1."""
    height, width = size_hw
    parts = np.nan_to_num(np.asarray(box_xyxy, np.float64), nan=0.0) / (width, height, width, height)
    return np.clip(parts, 0.0, 1.0).astype(np.float32)


def _scaled(image: Image, size_wh: tuple[int, int]) -> Image:
    """uint8 (H, W, 3) RGB → newly allocated, at ``size_wh``; shrinking averages whole pixels, as crops do."""
    shrinks = image.shape[1] > size_wh[0] or image.shape[0] > size_wh[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    scaled = cv2.resize(image, size_wh, interpolation=how)
    return np.asarray(scaled.copy() if scaled is image else scaled, np.uint8)

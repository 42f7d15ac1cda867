"""Coded pictures on their way from the decoding thread to the recorder, past every place where frames are dropped."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from pipeline.sources.coded import CodedPicture
from pipeline.sources.picture import UPRIGHT, Picture

LIMIT_BYTES = 32 << 20  # some 30 s of a camera of 8 Mbit/s
_STEP_S = 0.001  # between two pictures at least


@dataclass(frozen=True, slots=True)
class Taped:
    """``coded`` as it is shown at media time ``time_s``. ``size_hw`` in pixels.

    ``whole``: the picture before it, which it may build upon, is the one that was put before it.
    """

    coded: CodedPicture
    time_s: float
    epoch: int
    size_hw: tuple[int, int]
    whole: bool = True


class CodedTape:
    """Bounded by ``limit_bytes``: beyond, what waits is thrown away and counted. Any thread may call it."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._items: deque[Taped] = deque()
        self._bytes = 0
        self._whole = True
        self._last = (0, -1.0)  # epoch and time of the newest
        self._lock = threading.Lock()
        self.lost = 0  # pictures

    def add(self, picture: Picture, time_s: float, epoch: int) -> None:
        """A picture was decoded, and is shown at ``time_s`` of ``epoch``; one that cannot be kept leaves a gap."""
        with self._lock:
            if picture.coded is None or not _as_coded(picture):
                self._whole = False
                return
            for coded in picture.coded:
                self._put(coded, time_s - coded.lead_s, time_s, epoch, picture.size_hw)

    def _put(self, coded: CodedPicture, at_s: float, most_s: float, epoch: int, size_hw: tuple[int, int]) -> None:
        if epoch == self._last[0]:
            at_s = min(max(at_s, self._last[1] + _STEP_S), most_s)
        if self._bytes + len(coded.data) > self._limit:
            self.lost += len(self._items)
            self._items.clear()
            self._bytes, self._whole = 0, False
        self._items.append(Taped(coded, at_s, epoch, size_hw, self._whole and coded.whole))
        self._bytes += len(coded.data)
        self._whole, self._last = True, (epoch, at_s)

    def take(self, time_s: float, epoch: float) -> tuple[Taped, ...]:
        """→ all up to and with the picture at ``time_s`` of ``epoch``, oldest first; none of them is given again."""
        taken: list[Taped] = []
        with self._lock:
            while self._items and _due(self._items[0], time_s, epoch):
                taken.append(self._items.popleft())
                self._bytes -= len(taken[-1].coded.data)
        return tuple(taken)


def _due(item: Taped, time_s: float, epoch: float) -> bool:
    return item.epoch < epoch or (item.epoch == epoch and item.time_s <= time_s)


def _as_coded(picture: Picture) -> bool:
    """Whether it is seen as it is coded: upright, its pixels square."""
    return picture.turn == UPRIGHT and picture.square_wh == (picture.frame.width, picture.frame.height)

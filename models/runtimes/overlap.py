"""Clips of one track that overlap share the stem of I3D: each crop's early features are computed once and kept.

The stem ends after MaxPool3d_3a (Carreira & Zisserman 2017, ``models.networks.i3d``): more than half of the network's
arithmetic, and it looks only a few crops far. With T crops, T even, "SAME" padding puts 2 empty crops before the clip
and 3 behind it, Conv3d_1a_7x7 steps by 2 crops, and Conv3d_2c_3x3 sees one step more to either side, so step t of the
S = T/2 steps reads the crops 2t-4 … 2t+6. The first 2 and the last 3 steps touch the padding. A clip that is the last
one moved on by s crops, s even, finds its steps 2 … S-4-s/2 there already; computed are the 2 steps at its head (from
9 crops; 10 are read, for an odd number would move the padding) and the 3+s/2 at its tail (from s+10 crops). An odd s
falls between the strides and cannot be reused.

Nothing is approximated: equal crops give equal features, and whether the crops are the same is checked by checksums,
not believed. Gates would break it (they read the whole clip); those of SE-I3D begin after the cut, at Mixed_3b.
"""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import OverlapUnsupportedError
from models.runtimes.runner import Clips, Floats, check_boxes

HEAD_STEPS, HEAD_CROPS = 2, 10  # steps that the padding before the clip reaches; they read 9 crops, 10 are whole pairs
TAIL_STEPS, TAIL_CROPS = 3, 10  # as many at the end; a tail for a shift of s has s/2 steps and s crops more
SHIFTS = (8, 16, 20, 32)  # tails that are prepared; a shift between two takes the longer one

Features = NDArray[Any]  # one clip after MaxPool3d_3a, in the layout and number format of the parts that made it


@dataclass(frozen=True, slots=True)
class Place:
    """Whose complete clip it is, and which sample of that track's grid its oldest crop is."""

    key: Hashable
    first_sample: int


class StemParts(Protocol):
    """A network cut after MaxPool3d_3a. One clip at a time; returned features belong to the caller."""

    @property
    def description(self) -> str:
        """What runs where, for people."""

    @property
    def frames(self) -> int:
        """T: crops in a clip, even."""

    @property
    def time_axis(self) -> int:
        """The axis of the features that counts steps."""

    @property
    def shifts(self) -> tuple[int, ...]:
        """The shifts that ``tail`` knows: even, rising, at most T - 12."""

    @property
    def clip_bytes(self) -> int:
        """What the features of one clip take."""

    def whole(self, clip: Clips) -> Features:
        """uint8 (1, T, H, W, 3) → all T/2 steps."""

    def head(self, crops: Clips) -> Features:
        """The clip's first 10 crops, uint8 (1, 10, H, W, 3) → steps 0 and 1."""

    def tail(self, crops: Clips, shift: int) -> Features:
        """The clip's last ``shift`` + 10 crops, uint8 (1, shift + 10, H, W, 3) → its last ``shift`` / 2 + 3 steps."""

    def rest(self, features: Features) -> Floats:
        """All T/2 steps → float32 (1, C) logits."""


@dataclass(slots=True)
class _Kept:
    """The stem of a track's last clip. ``checksums``: one a crop."""

    first_sample: int
    checksums: tuple[int, ...]
    features: Features


@dataclass(frozen=True, slots=True)
class ReuseStats:
    """Counted since the start, but for ``tracks`` and ``memory_bytes``, which are held now."""

    steps_reused: int = 0
    steps_computed: int = 0
    evictions: int = 0
    tracks: int = 0
    memory_bytes: int = 0


class StemStore:
    """Features by key within ``limit_bytes``; the one used longest ago goes first. Thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.evictions = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._lent: set[Hashable] = set()  # taken and not forgotten meanwhile
        self._bytes = 0

    def take(self, key: Hashable) -> _Kept | None:
        """Hands a track's features over, if there are any: until ``put`` they are not in the store."""
        with self._lock:
            self._lent.add(key)
            return self._pop(key)

    def put(self, key: Hashable, kept: _Kept) -> None:
        """Brings back what ``take`` was called for; dropped when the key was forgotten meanwhile."""
        with self._lock:
            if key not in self._lent:
                return
            self._lent.discard(key)
            while self._kept and self._bytes + kept.features.nbytes > self.limit_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= dropped.features.nbytes
                self.evictions += 1
            self._kept[key] = kept
            self._bytes += kept.features.nbytes

    def forget(self, gone: Callable[[Any], bool]) -> None:
        with self._lock:
            self._lent = {key for key in self._lent if not gone(key)}
            for key in [key for key in self._kept if gone(key)]:
                self._pop(key)

    def _pop(self, key: Hashable) -> _Kept | None:
        kept = self._kept.pop(key, None)
        self._bytes -= 0 if kept is None else kept.features.nbytes
        return kept

    @property
    def tracks(self) -> int:
        return len(self._kept)

    @property
    def memory_bytes(self) -> int:
        return self._bytes


class StemReuse:
    """A Runner that also keeps stems: ``run`` with places reuses them, a plain call computes every clip whole.

    ``memory_bytes`` bounds the features of all tracks together; a clip of 64×224² takes 19.3 MB in float32, half of
    that in bfloat16, a quarter where the network is quantised to 8 bits. With more live tracks than fit, those longest
    without a clip lose theirs, which costs time only.
    """

    preferred_batch = 1

    def __init__(self, parts: StemParts, memory_bytes: int) -> None:
        if parts.clip_bytes > memory_bytes:
            raise OverlapUnsupportedError(
                f"{memory_bytes / 1e6:.1f} MB hold no track's stem, which takes {parts.clip_bytes / 1e6:.1f} MB"
            )
        self.description = f"{parts.description}, stems kept ({memory_bytes // parts.clip_bytes} tracks at most)"
        self._parts = parts
        self._store = StemStore(memory_bytes)
        self._lock = threading.Lock()
        self._reused = self._computed = 0

    def __call__(self, clips: Clips, boxes: Floats | None = None) -> Floats:
        """uint8 (N, T, H, W, 3) RGB → float32 (N, C) logits; nothing is kept. Boxes are refused."""
        check_boxes(clips, boxes, wanted=False)
        return self.run(clips, [None] * len(clips))

    def run(self, clips: Clips, places: Sequence[Place | None]) -> Floats:
        """uint8 (N, T, H, W, 3) RGB, with the place of each → float32 (N, C) logits.

        A clip without a place (a provisional one, which plays its crops back and forth) is neither kept nor reused.
        """
        with self._lock:
            pairs = zip(range(len(clips)), places, strict=True)
            return np.concatenate([self._logits(clips[at : at + 1], place) for at, place in pairs])

    def forget(self, gone: Callable[[Any], bool]) -> None:
        """Drops the features of every track whose key is ``gone``, also of one that is being worked on now."""
        self._store.forget(gone)

    def stats(self) -> ReuseStats:
        store = self._store
        return ReuseStats(self._reused, self._computed, store.evictions, store.tracks, store.memory_bytes)

    def _logits(self, clip: Clips, place: Place | None) -> Floats:
        if place is None:
            return self._parts.rest(self._whole(clip))
        checksums = tuple(zlib.crc32(np.ascontiguousarray(crop).data) for crop in clip[0])
        kept = self._store.take(place.key)
        shift = 0 if kept is None else _shift(kept, place, checksums)
        long = next((known for known in self._parts.shifts if known >= shift > 0), None)
        if kept is None or long is None:
            features = self._whole(clip)
        else:
            features = kept.features
            self._advance(features, clip, shift, long)
        logits = self._parts.rest(features)
        self._store.put(place.key, _Kept(place.first_sample, checksums, features))
        return logits

    def _whole(self, clip: Clips) -> Features:
        self._computed += self._parts.frames // 2
        return self._parts.whole(clip)

    def _advance(self, features: Features, clip: Clips, shift: int, long: int) -> None:
        """Moves the features on by ``shift`` crops; ``long`` >= ``shift`` is the tail's."""
        steps = np.moveaxis(features, self._parts.time_axis, 0)  # (S, …), a view
        tail = TAIL_STEPS + long // 2
        end = len(steps) - tail
        steps[HEAD_STEPS:end] = steps[HEAD_STEPS + shift // 2 : end + shift // 2]
        steps[:HEAD_STEPS] = self._first_axis(self._parts.head(clip[:, :HEAD_CROPS]))
        steps[end:] = self._first_axis(self._parts.tail(clip[:, -(long + TAIL_CROPS) :], long))
        self._computed += HEAD_STEPS + tail
        self._reused += end - HEAD_STEPS

    def _first_axis(self, features: Features) -> Features:
        return np.moveaxis(features, self._parts.time_axis, 0)


def usable_shifts(frames: int, shifts: Sequence[int] = SHIFTS) -> tuple[int, ...]:
    """Those of ``shifts`` that leave at least one step to reuse in clips of ``frames`` crops.

    Raises OverlapUnsupportedError when there is none, or when ``frames`` is odd (the padding would move).
    """
    fitting = tuple(sorted(shift for shift in shifts if shift % 2 == 0 and 0 < shift <= frames - 12))
    if frames % 2 or not fitting:
        raise OverlapUnsupportedError(
            f"stems are reused in clips of an even number of crops, {min(shifts) + 12} at least; these have {frames}"
        )
    return fitting


def _shift(kept: _Kept, place: Place, checksums: tuple[int, ...]) -> int:
    """By how many crops the clip is the kept one moved on; 0 when it is not, or by an odd number."""
    shift = place.first_sample - kept.first_sample
    if shift <= 0 or shift % 2 or kept.checksums[shift:] != checksums[:-shift]:
        return 0
    return shift

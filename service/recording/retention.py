"""Which recorded segments may go: by age, by what an incident needs of them, by the room they take. Deletes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from service.storage.segment import Needed, Segment

BUFFER_S = 600.0  # what is left of a stream that is recorded for incidents only: longer than a segment and a pre-roll


def buffered_s(segment_s: float) -> float:
    """→ how long what only incidents may need stays: three segments of this length at least."""
    return max(BUFFER_S, 3 * segment_s)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes; None: no limit. ``incident_age_s``: how long what an incident needs is kept, from its end."""

    max_age_s: float | None = None
    max_bytes: int | None = None
    incident_age_s: float | None = None
    buffer_s: float = BUFFER_S


@dataclass(frozen=True, slots=True)
class Removals:
    """Which segments may go, the oldest first, and what of the room is left. ``crowded_out``: those of ``too_much``
    that would have stayed if nobody had kept incidents. Bytes are of what stays; ``kept_bytes`` of what somebody keeps.
    """

    too_old: Sequence[Segment]
    too_much: Sequence[Segment]
    crowded_out: int
    bytes: int
    kept_bytes: int

    def __iter__(self) -> Iterator[Segment]:
        return iter((*self.too_old, *self.too_much))


def began(segment: Segment) -> Any:
    """What segments are ordered by: when they began, as they say."""
    return segment.started_at, str(segment.path)


def removable(
    segments: Sequence[Segment],
    limits: Limits,
    now: float,
    needed: Iterable[Needed] = (),
    for_incidents: Mapping[str, float] = MappingProxyType({}),
    order: Callable[[Segment], Any] = began,
) -> Removals:
    """→ the segments to delete at Unix time ``now``.

    What a kept incident shows is never among them. What another shows stays for ``incident_age_s``, and gives way to
    the limit of bytes only when nothing else is left. ``for_incidents``: streams that are recorded for their sake, and
    since when (Unix time); of the rest of that ``buffer_s`` stay. ``order``: what the oldest has least of.
    """
    kept, wanted = _by_need(segments, needed, limits, now)
    free = [segment for segment in sorted(segments, key=order) if segment not in kept]
    doomed = [segment for segment in free if segment not in wanted and _too_old(segment, limits, now, for_incidents)]
    gone = set(doomed)
    left = [segment for segment in free if segment not in gone]
    left.sort(key=lambda segment: segment in wanted)
    room = math.inf if limits.max_bytes is None else limits.max_bytes
    kept_bytes = _size(kept)
    too_much = _beyond(left, room - kept_bytes)
    crowded_out = len(too_much) - len(_beyond(left, room))
    return Removals(doomed, too_much, crowded_out, kept_bytes + _size(left) - _size(too_much), kept_bytes)


def _beyond(segments: Sequence[Segment], room: float) -> list[Segment]:
    """→ the first ones that have to go so that the others fit."""
    excess = _size(segments) - room
    gone: list[Segment] = []
    for segment in segments:
        if excess <= 0:
            break
        gone.append(segment)
        excess -= segment.bytes
    return gone


def _size(segments: Iterable[Segment]) -> int:
    return sum(segment.bytes for segment in segments)


def _by_need(
    segments: Sequence[Segment], needed: Iterable[Needed], limits: Limits, now: float
) -> tuple[set[Segment], set[Segment]]:
    """→ what kept incidents show, and what others show that are not too old."""
    kept: set[Segment] = set()
    wanted: set[Segment] = set()
    by_stream: dict[str, list[Segment]] = {}
    for segment in segments:
        by_stream.setdefault(segment.stream_id, []).append(segment)
    for need in needed:
        old = limits.incident_age_s is not None and now - need.end > limits.incident_age_s
        if need.kept or not old:
            shown = [segment for segment in by_stream.get(need.stream_id, ()) if need.covers(segment)]
            (kept if need.kept else wanted).update(shown)
    return kept, wanted


def _too_old(segment: Segment, limits: Limits, now: float, for_incidents: Mapping[str, float]) -> bool:
    age_s = now - segment.ended_at
    buffered = segment.started_at >= for_incidents.get(segment.stream_id, math.inf)
    return (buffered and age_s > limits.buffer_s) or (limits.max_age_s is not None and age_s > limits.max_age_s)

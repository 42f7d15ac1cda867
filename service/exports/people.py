"""Where people are between the lines of a sidecar: where their boxes are drawn, and where they have to be hidden.

A camera sends more pictures than are analysed, and a person is lost now and then. For what is shown a box is put only
where it is known; for what is hidden the doubt goes the other way, so that rather too much is hidden than too little.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.exports.sidecar import Line

SHOWN_GAP_S = 1.0  # between two sights of a person: the box moves from one to the other
SHOWN_HOLD_S = 0.2  # behind the last one
HIDDEN_GAP_S = 3.0  # between two sights: all from one to the other is hidden
HIDDEN_HOLD_S = 1.0  # before the first sight and behind the last
BLIND_S = 1.0  # nobody looked for people for longer than this: the whole picture is hidden
MARGIN = 0.2  # of a box's sides, on each side
GROWTH = 0.5  # of a box's sides a second, on each side, where it is not known how the person moved

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in parts of the picture's width and height


@dataclass(slots=True)
class _Person:
    """``times`` ascend."""

    times: list[float] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    told: list[Mapping[str, Any]] = field(default_factory=list)

    def around(self, at: float) -> tuple[int | None, int | None]:
        """→ the last sight at or before a moment, and the first one after it."""
        place = bisect_right(self.times, at + _SAME_S)
        return (place - 1 if place else None), (place if place < len(self.times) else None)


_SAME_S = 0.002  # media times are told in milliseconds
Sight = tuple[Box, Mapping[str, Any]]


class People:
    """Made of the lines of a stretch of time; those of a little before and after it belong to them."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._people: dict[int, _Person] = {}
        self._looked: list[float] = []
        for line in sorted((line for line in lines if line.is_tracks), key=lambda line: line.at):
            self._take(line)

    def _take(self, line: Line) -> None:
        if line.message.get("detected", True):  # older recordings do not say
            self._looked.append(line.at)
        for track in line.message.get("tracks", ()):
            box = _box(track)
            if box is None:
                continue
            person = self._people.setdefault(int(track["track_id"]), _Person())
            person.times.append(line.at)
            person.boxes.append(box)
            person.told.append(track)

    def shown(self, at: float) -> dict[int, Sight]:
        """→ box and what is told of each person in view at Unix time ``at``."""
        found = ((track_id, _shown(person, at)) for track_id, person in self._people.items())
        return {track_id: sight for track_id, sight in found if sight is not None}

    def hidden(self, at: float, keep: Collection[int]) -> list[Box]:
        """→ what has to be hidden of everybody but ``keep``, with a margin; may reach over the picture's border."""
        others = (person for track_id, person in self._people.items() if track_id not in keep)
        return [box for person in others for box in _hidden(person, at)]

    def is_blind(self, at: float) -> bool:
        """Whether nobody knows who was in view, because people were not looked for around then."""
        place = bisect_right(self._looked, at)
        nearest = self._looked[max(0, place - 1) : place + 1]
        return not nearest or min(abs(at - looked) for looked in nearest) > BLIND_S


def _box(track: Mapping[str, Any]) -> Box | None:
    match track:
        case {"track_id": int(), "box": [x1, y1, x2, y2]}:
            return float(x1), float(y1), float(x2), float(y2)
    return None


def _shown(person: _Person, at: float) -> Sight | None:
    before, after = person.around(at)
    if before is None:
        return None
    gone_s = at - person.times[before]
    if after is not None and person.times[after] - person.times[before] <= SHOWN_GAP_S:
        part = max(0.0, gone_s) / (person.times[after] - person.times[before])
        return _between(person.boxes[before], person.boxes[after], part), person.told[before]
    return (person.boxes[before], person.told[before]) if gone_s <= SHOWN_HOLD_S else None


def _hidden(person: _Person, at: float) -> list[Box]:
    before, after = person.around(at)
    if before is not None and abs(at - person.times[before]) <= _SAME_S:
        return [_grown(person.boxes[before], MARGIN)]
    if before is not None and after is not None and person.times[after] - person.times[before] <= HIDDEN_GAP_S:
        return [_grown(_hull(person.boxes[before], person.boxes[after]), MARGIN)]
    near = [place for place in (before, after) if place is not None and _age(person, place, at) <= HIDDEN_HOLD_S]
    return [_grown(person.boxes[place], MARGIN + GROWTH * _age(person, place, at)) for place in near]


def _age(person: _Person, place: int, at: float) -> float:
    return abs(at - person.times[place])


def _between(first: Box, last: Box, part: float) -> Box:
    x1, y1, x2, y2 = (a + (b - a) * part for a, b in zip(first, last, strict=True))
    return x1, y1, x2, y2


def _hull(first: Box, last: Box) -> Box:
    return min(first[0], last[0]), min(first[1], last[1]), max(first[2], last[2]), max(first[3], last[3])


def _grown(box: Box, part: float) -> Box:
    dx, dy = (box[2] - box[0]) * part, (box[3] - box[1]) * part
    return box[0] - dx, box[1] - dy, box[2] + dx, box[3] + dy

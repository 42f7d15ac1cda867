"""What messages say of a stream: who does what, where, how many. Functions that change a StreamState given to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.alerts.state import MAX_PEOPLE, Doing, Person, StreamState

Message = Mapping[str, Any]

_SEEING = "running"  # the one state of a stream in which its people are known
_OVER = ("stopped", "failed")  # nobody does anything any more, also where the end of an action was lost


def take_action(stream: StreamState, message: Message) -> str | None:
    """→ the track that it is about; None where there is no room for one more person."""
    track = str(message["track_id"])
    known = stream.people.get(track)
    if known is None and len(stream.people) >= MAX_PEOPLE:
        return None
    person = known or Person()
    doing = dict(person.doing)
    if message["kind"] == "ended":
        doing.pop(message["event_id"], None)
    else:
        doing[message["event_id"]] = _doing(message)
    zones = person.zones if message.get("zones") is None else tuple(message["zones"])
    _put(stream, track, Person(doing, zones))
    return track


def _doing(message: Message) -> Doing:
    clips: Mapping[str, Any] = message.get("clips") or {}
    return Doing(
        message["event_id"],
        message["action"],
        message["confidence"] or 0.0,
        message["start_s"],
        message.get("model"),
        _recent(clips),
    )


def _recent(clips: Mapping[str, Any]) -> tuple[float, ...]:
    """Clip by clip."""
    recent: Sequence[float] = clips.get("recent") or ()
    return tuple(float(value) for value in recent)


def take_presence(stream: StreamState, message: Message, at: float) -> int:
    """→ how many people there was no room for."""
    stream.people_count = int(message["people"])
    zones: Mapping[str, Mapping[str, Any]] = message["zones"]
    stream.zone_counts = {name: int(zone["people"]) for name, zone in zones.items()}
    stream.offset_s = message["time_s"] - at
    inside: dict[str, list[str]] = {}
    for name, zone in zones.items():
        for track_id in zone["tracks"]:
            inside.setdefault(str(track_id), []).append(name)
    dropped = 0
    for track in [*stream.people, *(track for track in inside if track not in stream.people)]:
        if track not in stream.people and len(stream.people) >= MAX_PEOPLE:
            dropped += 1
            continue
        _put(stream, track, replace(stream.people.get(track) or Person(), zones=tuple(inside.get(track, ()))))
    return dropped


def take_stream(stream: StreamState, message: Message) -> bool:
    """A stream that does not run shows nobody, which is not the same as an empty picture. → whether that is so."""
    if message["state"] == _SEEING:
        return False
    stream.people_count, stream.zone_counts = None, {}
    over = message["state"] in _OVER
    for track, person in list(stream.people.items()):
        _put(stream, track, Person() if over else replace(person, zones=()))
    return True


def _put(stream: StreamState, track: str, person: Person) -> None:
    """Whoever does nothing and is nowhere is forgotten."""
    if person.doing or person.zones:
        stream.people[track] = person
    else:
        stream.people.pop(track, None)

"""What of a rule holds in a stream now: pure functions of a Rule and a StreamState → conditions by key."""

from __future__ import annotations

from collections.abc import Iterator

from service.alerts.rule import Rule
from service.alerts.state import Condition, Doing, Person, StreamState

Keyed = tuple[str, Condition]


def place_key(rule_id: str, zone: str | None) -> str:
    """An incident's place: one rule, one zone, in one stream."""
    return rule_id if zone is None else f"{rule_id}/{zone}"


def holding(rule: Rule, stream: StreamState, at: float, track: str | None = None) -> Iterator[Keyed]:
    """Everything that the rule finds at Unix time ``at``, or only what is about one person."""
    if rule.kind in ("absence", "count"):
        if track is None:
            yield from _of_places(rule, stream, at)
        return
    people = stream.people if track is None else {track: stream.people[track]} if track in stream.people else {}
    for name, person in people.items():
        for zone in rule.places:
            if zone is None or zone in person.zones:
                yield from _of_person(rule, stream, zone, (name, person), at)


def is_about(condition: Condition, track: str | None) -> bool:
    """Whether ``holding`` for ``track`` would have found it; those of places are found with everything."""
    return track is None or (condition.track_id is not None and str(condition.track_id) == track)


def _of_places(rule: Rule, stream: StreamState, at: float) -> Iterator[Keyed]:
    for zone in rule.places:
        people = stream.people_count if zone is None else stream.zone_counts.get(zone)
        if people is None:  # not known: the stream does not run, or has no such zone
            continue
        if people == 0 if rule.kind == "absence" else people > rule.more_than:
            key = place_key(rule.id, zone)
            yield key, Condition(rule.id, zone, at, _media_s(stream, at), people=people)


def _of_person(
    rule: Rule, stream: StreamState, zone: str | None, who: tuple[str, Person], at: float
) -> Iterator[Keyed]:
    track, person = who
    place = f"{place_key(rule.id, zone)}#{track}"
    if rule.kind == "dwell":
        yield place, Condition(rule.id, zone, at, _media_s(stream, at), int(track))
        return
    for doing in person.doing.values():
        threshold = (rule.actions or {}).get(doing.action)
        if threshold is not None and doing.confidence >= threshold:
            yield f"{place}:{doing.event_id}", _of_action(rule, zone, int(track), doing, at)


def _of_action(rule: Rule, zone: str | None, track_id: int, doing: Doing, at: float) -> Condition:
    return Condition(
        rule.id,
        zone,
        at,
        doing.start_s,
        track_id,
        doing.event_id,
        doing.action,
        doing.confidence,
        doing.model,
        agreed=agrees(rule, doing),
    )


def agrees(rule: Rule, doing: Doing) -> bool:
    """Consensus: of the newest ``clips`` clips, ``share`` reach the confidence that the rule asks for."""
    if not rule.clips:
        return True
    newest = doing.recent[-rule.clips :]
    threshold = (rule.actions or {}).get(doing.action, 1.0)
    return len(newest) == rule.clips and sum(value >= threshold for value in newest) >= rule.share * rule.clips - 1e-9


def _media_s(stream: StreamState, at: float) -> float:
    """→ media time; 0 as long as nothing said how it goes."""
    return 0.0 if stream.offset_s is None else max(0.0, round(at + stream.offset_s, 3))

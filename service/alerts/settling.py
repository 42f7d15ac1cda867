"""Decides what falls due in a stream until a moment, one thing after the other, each at the time when it falls due.

The order of checks: action, confidence and zone make a condition (``conditions.py``); here it has to hold long enough
(dwell), its clips have to agree (consensus), the rule has to be armed (schedule, snooze), and the place must not be
cooling down. Cooldown begins with an incident, that is when a message is really due.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from service.alerts.changes import Change, Kind, Summary
from service.alerts.conditions import place_key
from service.alerts.desk import Desk
from service.alerts.rule import Rule
from service.alerts.state import MAX_HELD, MAX_NAMED, Condition, Hour, Incident, StreamState, Terms

HOUR_S = 3600.0
UPDATE_EVERY_S = 5.0  # an incident's updates come no oftener
_ENDS, _JOINS, _STARTS, _TELLS = range(4)  # what comes first of what falls due at the same moment


@dataclass(frozen=True, slots=True)
class _Due:
    at: float
    order: int
    key: str  # of the condition, or of the place
    act: Callable[[], None]


def settle(desk: Desk, stream_id: str, until: float) -> None:
    """Everything that falls due until Unix time ``until``; the stream's clock stands there then."""
    stream = desk.stream(stream_id, until)
    while True:
        due = min(_due(desk, stream_id, stream, until), key=lambda each: (each.at, each.order, each.key), default=None)
        if due is None:
            break
        stream.clock = max(stream.clock, due.at)
        due.act()
    stream.clock = max(stream.clock, until)
    for key in [key for key, cools_until in stream.cooldowns.items() if cools_until <= stream.clock]:
        del stream.cooldowns[key]


def settle_quiet(desk: Desk, stream_id: str) -> None:
    """Notes of each open incident since when nothing of it holds any more."""
    stream = desk.stream(stream_id)
    busy = {_place(condition) for condition in stream.conditions.values() if _is_ripe(desk, stream, condition)}
    for place, incident in stream.incidents.items():
        if place in busy and incident.quiet_since is not None:
            stream.incidents[place] = replace(incident, quiet_since=None)
        elif place not in busy and incident.quiet_since is None:
            stream.incidents[place] = replace(incident, quiet_since=stream.clock)


def settle_hours(desk: Desk, until: float) -> None:
    """Hours that are over are told of, where something was held back in them."""
    for rule_id, hour in list(desk.hours.items()):
        if until >= hour.began + HOUR_S:
            _close_hour(desk, rule_id, hour)


def _close_hour(desk: Desk, rule_id: str, hour: Hour) -> None:
    del desk.hours[rule_id]
    if hour.held:
        desk.changes.append(Summary(rule_id, hour, hour.began + HOUR_S))


def _due(desk: Desk, stream_id: str, stream: StreamState, until: float) -> Iterator[_Due]:
    for place, incident in stream.incidents.items():
        yield from _due_of_incident(desk, stream, (place, incident), until)
    for key, condition in stream.conditions.items():
        at = _due_of_condition(desk, stream, condition)
        place = _place(condition)
        if at > until:
            continue
        if place in stream.incidents:
            yield _Due(at, _JOINS, key, lambda key=key: _join(stream, key))  # type: ignore[misc]
        else:
            yield _Due(at, _STARTS, place, lambda place=place: _start(desk, stream_id, place))  # type: ignore[misc]


def _due_of_incident(desk: Desk, stream: StreamState, open_one: tuple[str, Incident], until: float) -> Iterator[_Due]:
    place, incident = open_one
    ends_at = min(_grouped_until(incident), _disarmed_at(desk, stream, incident))
    if ends_at <= until:
        yield _Due(ends_at, _ENDS, place, lambda: _end(desk, stream, place))
    tells_at = max(incident.told_at + UPDATE_EVERY_S, stream.clock)
    if incident.news and tells_at <= until:
        yield _Due(tells_at, _TELLS, place, lambda: _update(desk, stream, place))


def _due_of_condition(desk: Desk, stream: StreamState, condition: Condition) -> float:
    """→ when it joins the incident that is open in its place, or starts one; infinite if it does neither."""
    rule = desk.rules.get(condition.rule_id)
    if rule is None or not condition.agreed:
        return math.inf
    place = _place(condition)
    ripe_at = max(condition.since + rule.hold_s, stream.clock)
    incident = stream.incidents.get(place)
    if incident is not None:
        return ripe_at if condition.incident_id != incident.id else math.inf
    armed_at = rule.armed_from(max(ripe_at, stream.cooldowns.get(place, 0.0)))
    return math.inf if armed_at is None else armed_at


def _is_ripe(desk: Desk, stream: StreamState, condition: Condition) -> bool:
    rule = desk.rules.get(condition.rule_id)
    return rule is not None and condition.agreed and condition.since + rule.hold_s <= stream.clock


def _place(condition: Condition) -> str:
    return place_key(condition.rule_id, condition.zone)


def _grouped_until(incident: Incident) -> float:
    return math.inf if incident.quiet_since is None else incident.quiet_since + incident.terms.group_s


def _disarmed_at(desk: Desk, stream: StreamState, incident: Incident) -> float:
    """→ when its rule stops to tell of it: now, if the rule is gone or looks elsewhere."""
    rule = desk.rules.get(incident.rule_id)
    if rule is None or not rule.covers(incident.stream_id) or incident.zone not in rule.places:
        return stream.clock
    until = rule.armed_until(stream.clock)
    return math.inf if until is None else until


def _start(desk: Desk, stream_id: str, place: str) -> None:
    stream = desk.stream(stream_id)
    ripe = _ripe_at(desk, stream, place)
    first = ripe[0][1]
    rule = desk.rules.get(first.rule_id)
    if rule is None:  # only conditions of rules that there are fall due
        return
    muted = not _may_tell(desk, rule, stream.clock)
    incident = _new_incident(desk, stream_id, rule, first, muted)
    stream.incidents[place] = incident
    stream.cooldowns[place] = stream.clock + rule.cooldown_s
    for key, _ in ripe:
        _join(stream, key)
    if muted:
        _hold_back(desk, rule.id, incident.id, stream.clock)
    _tell(desk, stream, place, "started")


def _ripe_at(desk: Desk, stream: StreamState, place: str) -> list[tuple[str, Condition]]:
    """→ what holds long enough in a place, what began first first."""
    there = [pair for pair in stream.conditions.items() if _place(pair[1]) == place]
    ripe = [(key, condition) for key, condition in there if _is_ripe(desk, stream, condition)]
    return sorted(ripe, key=lambda pair: (pair[1].since, pair[0]))


def _new_incident(desk: Desk, stream_id: str, rule: Rule, first: Condition, muted: bool) -> Incident:
    now = desk.stream(stream_id).clock
    desk.number += 1
    terms = Terms(rule.name, rule.severity, rule.kind, rule.group_s, rule.max_age_s, rule.sinks, rule.clip)
    return Incident(
        id=_incident_id(f"{place_key(rule.id, first.zone)} {stream_id} {now} {desk.number}"),
        rule_id=rule.id,
        stream_id=stream_id,
        zone=first.zone,
        terms=terms,
        started_at=now,
        start_s=first.start_s,
        told_at=now,
        action=first.action,
        model=first.model,
        muted=muted,
    )


def _incident_id(text: str) -> str:
    """The same for the same incident, so that a second try after a crash makes no second one."""
    return f"inc_{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _may_tell(desk: Desk, rule: Rule, at: float) -> bool:
    """Counts an incident that begins now in its rule's hour. → False where the rule had its number."""
    if rule.max_per_hour is None:
        return True
    hour = desk.hours.get(rule.id)
    if hour is not None and at >= hour.began + HOUR_S:
        _close_hour(desk, rule.id, hour)
        hour = None
    if hour is None:
        terms = Terms(rule.name, rule.severity, rule.kind, rule.group_s, rule.max_age_s, rule.sinks)
        hour = Hour(at, terms)
    allowed = hour.told < rule.max_per_hour
    desk.hours[rule.id] = replace(hour, told=hour.told + allowed, last=at)
    return allowed


def _hold_back(desk: Desk, rule_id: str, incident_id: str, at: float) -> None:
    hour = desk.hours[rule_id]
    named = (*hour.named, incident_id)[:MAX_HELD]
    desk.hours[rule_id] = replace(hour, held=hour.held + 1, named=named, last=at)


def _join(stream: StreamState, key: str) -> None:
    """A condition becomes a part of the incident that is open in its place."""
    condition = stream.conditions[key]
    place = _place(condition)
    incident = stream.incidents[place]
    stream.conditions[key] = replace(condition, incident_id=incident.id)
    person, event = condition.track_id, condition.event_id
    newcomer = person is not None and person not in incident.tracks
    people = max(incident.people, condition.people) if person is None else incident.people + newcomer
    stream.incidents[place] = replace(
        incident,
        tracks=(*incident.tracks, person)[:MAX_NAMED] if newcomer and person is not None else incident.tracks,
        events=_named(incident.events, event),
        people=people,
        confidence=_higher(incident.confidence, condition.confidence),
        quiet_since=None,
        news=incident.news or people != incident.people,
    )


def _named(events: tuple[str, ...], event: str | None) -> tuple[str, ...]:
    return events if event is None or event in events else (*events, event)[:MAX_NAMED]


def _higher(known: float | None, other: float | None) -> float | None:
    return max((value for value in (known, other) if value is not None), default=None)


def enrich(stream: StreamState, condition: Condition) -> None:
    """What a part of an open incident became since: surer, or more people in a place."""
    place = _place(condition)
    incident = stream.incidents.get(place)
    if incident is None or condition.incident_id != incident.id:
        return
    people = incident.people if condition.track_id is not None else max(incident.people, condition.people)
    confidence = _higher(incident.confidence, condition.confidence)
    news = incident.news or people != incident.people
    stream.incidents[place] = replace(incident, people=people, confidence=confidence, news=news)


def _update(desk: Desk, stream: StreamState, place: str) -> None:
    _tell(desk, stream, place, "updated")


def _end(desk: Desk, stream: StreamState, place: str) -> None:
    """It ended when the last of it was seen."""
    incident = stream.incidents[place]
    ended_at = stream.clock if incident.quiet_since is None else incident.quiet_since
    end_s = round(incident.start_s + max(0.0, ended_at - incident.started_at), 3)
    if stream.offset_s is not None:
        end_s = max(incident.start_s, round(ended_at + stream.offset_s, 3))
    stream.incidents[place] = replace(incident, ended_at=ended_at, end_s=end_s)
    _tell(desk, stream, place, "ended")
    del stream.incidents[place]


def _tell(desk: Desk, stream: StreamState, place: str, kind: Kind) -> None:
    """Everything known so far is told with it."""
    incident = replace(stream.incidents[place], n=stream.incidents[place].n + 1, told_at=stream.clock, news=False)
    stream.incidents[place] = incident
    desk.changes.append(Change(kind, stream.clock, incident))

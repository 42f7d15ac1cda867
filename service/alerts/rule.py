"""A rule as the engine uses it. What people give and read is ``routes/alert_bodies.py``; the store keeps that JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from service.alerts.schedule import Schedule, Window, parse_days, parse_time
from service.storage.rules import RuleRecord

Kind = Literal["action", "dwell", "absence", "count"]


@dataclass(frozen=True, slots=True)
class Rule:
    """When somebody is told. Times in seconds; ``streams`` empty: all; ``zones`` empty: the whole picture.

    ``hold_s``: how long the condition has to hold before it counts (dwell, "nobody for", "more than N for").
    """

    id: str
    name: str
    kind: Kind
    severity: str
    enabled: bool = True
    streams: frozenset[str] = frozenset()
    actions: Mapping[str, float] | None = None  # label → confidence
    zones: tuple[str, ...] = ()
    hold_s: float = 0.0
    more_than: int = 0
    clips: int = 0  # consensus: so many clips, of which …
    share: float = 0.0  # … this part agrees
    group_s: float = 15.0
    cooldown_s: float = 60.0
    max_per_hour: int | None = None
    schedule: Schedule | None = None
    snoozed_until: float = 0.0
    clip: tuple[float, float] | None = None  # seconds before and after
    sinks: tuple[str, ...] = ()
    max_age_s: float = 3600.0

    def covers(self, stream_id: str) -> bool:
        return not self.streams or stream_id in self.streams

    @property
    def places(self) -> tuple[str | None, ...]:
        """Where it looks: each of its zones by itself, or None for the whole picture."""
        return self.zones or (None,)

    def armed_from(self, at: float) -> float | None:
        """→ the first moment from ``at`` on at which it may tell somebody; None if never."""
        if not self.enabled:
            return None
        later = max(at, self.snoozed_until)
        return later if self.schedule is None else self.schedule.armed_from(later)

    def armed_until(self, at: float) -> float | None:
        """→ the first moment from ``at`` on at which it may not; None if it always may."""
        if not self.enabled or self.snoozed_until > at:
            return at
        return None if self.schedule is None else self.schedule.armed_until(at)


class Rules:
    """All rules by id, with a fingerprint of what they look for: a change of it makes conditions be looked at anew."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_id = {rule.id: rule for rule in rules}
        text = "\n".join(sorted(repr(_looked_for(rule)) for rule in self._by_id.values()))
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]

    def get(self, rule_id: str) -> Rule | None:
        return self._by_id.get(rule_id)

    def of(self, stream_id: str) -> list[Rule]:
        return [rule for rule in self._by_id.values() if rule.covers(stream_id)]


def _looked_for(rule: Rule) -> tuple[Any, ...]:
    actions = sorted((rule.actions or {}).items())
    return rule.id, rule.kind, sorted(rule.streams), actions, rule.zones, rule.more_than, rule.clips, rule.share


def to_rule(record: RuleRecord) -> Rule:
    """A stored rule → the engine's."""
    body = record.body
    clip, agreement = body.get("clip"), body.get("consensus") or {}
    return Rule(
        record.id,
        record.name,
        body["kind"],
        body["severity"],
        record.enabled,
        frozenset(body["streams"]),
        body.get("actions"),
        tuple((body.get("zones") or {}).get("any", ())),
        body["for_s"] if body["kind"] in ("absence", "count") else body["dwell_s"],
        body.get("more_than") or 0,
        agreement.get("clips", 0),
        agreement.get("share", 0.0),
        body["group_s"],
        body["cooldown_s"],
        body.get("max_per_hour"),
        _schedule(body.get("schedule")),
        record.snoozed_until or 0.0,
        None if clip is None else (clip["pre_s"], clip["post_s"]),
        tuple(body["sinks"]),
        body["max_age_s"],
    )


def _schedule(body: Mapping[str, Any] | None) -> Schedule | None:
    if body is None:
        return None
    windows = [
        Window(parse_days(each["days"]), parse_time(each["from"]), parse_time(each["to"], last=True))
        for each in body["windows"]
    ]
    return Schedule(body["timezone"], tuple(windows))


def rules_of(records: Iterable[RuleRecord]) -> Rules:
    return Rules(to_rule(record) for record in records)

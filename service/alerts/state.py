"""What the engine remembers between two messages: plain values, stored as JSON beside the cursor. All of it is bounded.

The values are frozen; a ``StreamState`` is a desk of mappings of them that is copied before anything on it is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

MAX_STREAMS = 1000
MAX_PEOPLE = 500  # a stream
MAX_CONDITIONS = 5000  # a stream
MAX_NAMED = 100  # people and events that an incident names; more are counted
MAX_HELD = 20  # incidents that a summary names
MAX_UNPUBLISHED = 2000


@dataclass(frozen=True, slots=True)
class Doing:
    """An action of a person that goes on. ``recent``: the action's probability in the newest clips, newest last."""

    event_id: str
    action: str
    confidence: float
    start_s: float
    model: str | None = None
    recent: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """``doing`` by event id; ``zones``: where the person is."""

    doing: dict[str, Doing] = field(default_factory=dict)
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that a rule looks for, and that holds since Unix time ``since``.

    ``track_id`` and ``event_id`` are None where it is about a place, not a person; ``people`` then says how many there
    are. ``agreed``: the rule's clips agree; ``incident_id``: what it is a part of. ``start_s`` is media time.
    """

    rule_id: str
    zone: str | None
    since: float
    start_s: float
    track_id: int | None = None
    event_id: str | None = None
    action: str | None = None
    confidence: float | None = None
    model: str | None = None
    people: int = 1
    agreed: bool = True
    incident_id: str | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rule said when an incident began: later changes of the rule concern later incidents."""

    rule_name: str
    severity: str
    kind: str
    group_s: float
    max_age_s: float
    sinks: tuple[str, ...] = ()
    clip: tuple[float, float] | None = None  # seconds before and after


@dataclass(frozen=True, slots=True)
class Incident:
    """What a rule found, from its start to its end. Times of day are Unix seconds, ``…_s`` media time.

    ``n`` numbers what was told of it. ``quiet_since``: when nothing held any more; ``news``: something is not told yet.
    ``muted``: the rule had its hourly number of messages. ``people`` counts all, ``tracks`` names the first.
    """

    id: str
    rule_id: str
    stream_id: str
    zone: str | None
    terms: Terms
    started_at: float
    start_s: float
    told_at: float
    n: int = 0
    action: str | None = None
    tracks: tuple[int, ...] = ()
    events: tuple[str, ...] = ()
    people: int = 0
    confidence: float | None = None
    model: str | None = None
    quiet_since: float | None = None
    ended_at: float | None = None
    end_s: float | None = None
    news: bool = False
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Hour:
    """How often a rule told somebody in the hour that began with its first incident, and what it held back."""

    began: float
    terms: Terms
    told: int = 0
    held: int = 0
    named: tuple[str, ...] = ()
    last: float = 0.0


@dataclass(slots=True)
class StreamState:
    """One stream. ``clock``: Unix time up to which all is decided. ``people_count`` None: nobody knows now.

    ``offset_s``: media time less Unix time. ``told``: how many messages its own failures made.
    """

    clock: float
    people: dict[str, Person] = field(default_factory=dict)  # by track id
    people_count: int | None = None
    zone_counts: dict[str, int] = field(default_factory=dict)
    offset_s: float | None = None
    conditions: dict[str, Condition] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)  # open ones, by rule and zone
    cooldowns: dict[str, float] = field(default_factory=dict)  # by rule and zone: until when
    failed: bool = False
    told: int = 0

    def copy(self) -> StreamState:
        return replace(
            self,
            people=dict(self.people),
            zone_counts=dict(self.zone_counts),
            conditions=dict(self.conditions),
            incidents=dict(self.incidents),
            cooldowns=dict(self.cooldowns),
        )

    @property
    def idle(self) -> bool:
        return not (self.people or self.conditions or self.incidents)


@dataclass(frozen=True, slots=True)
class State:
    """Everything. ``number`` counts incidents; ``fingerprint`` is of the rules that the conditions were made by.

    ``unpublished``: messages of incidents that were not yet read back from the log (``runner.py``).
    """

    streams: Mapping[str, StreamState] = field(default_factory=dict)
    hours: Mapping[str, Hour] = field(default_factory=dict)
    number: int = 0
    fingerprint: str = ""
    dropped: int = 0  # people and conditions beyond the bounds, streams forgotten for others
    unpublished: tuple[dict[str, Any], ...] = ()


def encode(state: State) -> dict[str, Any]:
    """→ what JSON holds."""
    plain: dict[str, Any] = msgspec.to_builtins(state, str_keys=True)
    return plain


def decode(plain: Mapping[str, Any]) -> State:
    """Raises ValueError for what no version of this wrote."""
    return msgspec.convert(plain, State)

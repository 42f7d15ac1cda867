"""Bodies of rules and incidents. A rule is stored as it is given here, with its defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from service.alerts.schedule import check_timezone, parse_days, parse_time
from service.bodies import Name, PageQuery, Request, Text, Threshold
from service.rights import Visible
from service.storage.incidents import IncidentRecord
from service.storage.rules import RuleRecord
from service.wire_messages import rfc3339

DAY_S = 86_400.0
MAX_CLIPS = 8  # so many an action message tells one by one
_SINK = r"^snk_[0-9a-f]{16}$"
_STREAM = r"^str_[0-9a-f]{16}$"

Severity = Literal["info", "warning", "alert"]
RuleKind = Literal["action", "dwell", "absence", "count"]
IncidentState = Literal["started", "updated", "ended"]
Seconds = Annotated[float, Field(ge=0, le=7 * DAY_S, allow_inf_nan=False)]
Around = Annotated[float, Field(ge=0, le=30, allow_inf_nan=False)]

RULE_EXAMPLE: dict[str, Any] = {
    "name": "Fight at the gate",
    "severity": "alert",
    "streams": ["str_0123456789abcdef"],
    "actions": {"Fighting": 0.8},
    "zones": {"any": ["gate"]},
    "dwell_s": 3,
    "consensus": {"clips": 3, "share": 0.6},
    "group_s": 15,
    "cooldown_s": 120,
    "max_per_hour": 20,
    "schedule": {
        "timezone": "Europe/Berlin",
        "windows": [{"days": "mon-fri", "from": "22:00", "to": "06:00"}],
    },
    "clip": {"pre_s": 5, "post_s": 5},
    "sinks": ["snk_0123456789abcdef"],
}


class AnyZone(Request):
    any: list[Name] = Field(min_length=1, max_length=32, description="names of zones; being in one of them is enough")


class Consensus(Request):
    """Of a person's newest ``clips`` clips (provisional ones do not count) so large a share has the confidence."""

    clips: int = Field(3, ge=1, le=MAX_CLIPS)
    share: Threshold = Field(0.6)


class WindowBody(Request):
    """Open while the local time lies in it; over midnight where ``to`` is not after ``from``."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    days: Text = Field("mon-sun", description="on which it begins: mon-fri, sat,sun, fri-mon", examples=["mon-fri"])
    begin: Text = Field(alias="from", examples=["22:00"])
    end: Text = Field(alias="to", description="24:00 is the end of the day", examples=["06:00"])

    @field_validator("days")
    @classmethod
    def _days(cls, value: str) -> str:
        parse_days(value)
        return value

    @field_validator("begin")
    @classmethod
    def _begin(cls, value: str) -> str:
        parse_time(value)
        return value

    @field_validator("end")
    @classmethod
    def _end(cls, value: str) -> str:
        parse_time(value, last=True)
        return value


class ScheduleBody(Request):
    timezone: Text = Field("UTC", description="of the IANA database", examples=["Europe/Berlin"])
    windows: list[WindowBody] = Field(min_length=1, max_length=32)

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return check_timezone(value)


class ClipBody(Request):
    """Of the incident, from so long before its start to so long after its end."""

    pre_s: Around = 5.0
    post_s: Around = 5.0


class RuleBody(Request):
    """When somebody is told. Checked in this order: action, confidence, zone, dwell, consensus, schedule, cooldown."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [RULE_EXAMPLE]})

    name: Name
    enabled: bool = True
    kind: RuleKind = Field(
        "action", description="what it looks for; dwell: who stays; absence: nobody; count: too many"
    )
    severity: Severity = "alert"
    streams: list[Annotated[str, StringConstraints(pattern=_STREAM)]] = Field(
        default_factory=list, max_length=1000, description="ids; empty: all streams, also later ones"
    )
    actions: dict[str, Threshold] | None = Field(None, max_length=100, description="action: label → confidence")
    zones: AnyZone | None = Field(None, description="null: the whole picture")
    dwell_s: Seconds = Field(0, description="action, dwell: how long it has to hold without a break")
    for_s: Seconds = Field(0, description="absence, count: how long it has to hold without a break")
    more_than: int | None = Field(None, ge=0, le=1000, description="count: so many people are not too many")
    consensus: Consensus | None = Field(None, description="action: clips that have to agree")
    group_s: float = Field(
        15, ge=0, le=3600, allow_inf_nan=False, description="an incident ends when nothing held for so long"
    )
    cooldown_s: Seconds = Field(60, description="after an incident's start; of the rule, the stream and the zone")
    max_per_hour: int | None = Field(None, ge=1, le=1000, description="incidents told; the others are summed up once")
    schedule: ScheduleBody | None = Field(None, description="when it is armed; null: always")
    clip: ClipBody | None = Field(None, description="cut a clip from the recordings; null: none")
    sinks: list[Annotated[str, StringConstraints(pattern=_SINK)]] = Field(
        default_factory=list, max_length=20, description="ids of those who are told"
    )
    max_age_s: float = Field(
        3600, ge=1, le=7 * DAY_S, allow_inf_nan=False, description="a message that is older is no news any more"
    )

    @model_validator(mode="after")
    def _fits_its_kind(self) -> RuleBody:
        for name in self.model_fields_set & _OF_KINDS.keys():
            if getattr(self, name) and self.kind not in _OF_KINDS[name]:
                raise ValueError(f"expected {name} only with kind {' or '.join(_OF_KINDS[name])}, got {self.kind}")
        self._check_needs()
        return self

    def _check_needs(self) -> None:
        if self.kind == "action" and not self.actions:
            raise ValueError('expected actions, such as {"Fighting": 0.8}, for kind action')
        if self.kind == "dwell" and (self.zones is None or self.dwell_s == 0):
            raise ValueError("expected zones and dwell_s above 0 for kind dwell")
        if self.kind == "absence" and self.for_s == 0:
            raise ValueError("expected for_s above 0 for kind absence")
        if self.kind == "count" and self.more_than is None:
            raise ValueError("expected more_than for kind count")

    @field_validator("streams", "sinks")
    @classmethod
    def _once(cls, value: list[str]) -> list[str]:
        return list(dict.fromkeys(value))

    def stored(self) -> dict[str, Any]:
        """→ the JSON that is kept: all but name and enabled, which have columns of their own."""
        return self.model_dump(by_alias=True, exclude={"name", "enabled"})


_OF_KINDS: dict[str, tuple[str, ...]] = {
    "actions": ("action",),
    "consensus": ("action",),
    "dwell_s": ("action", "dwell"),
    "for_s": ("absence", "count"),
    "more_than": ("count",),
}


class RulePatch(Request):
    """What is given changes, the rest stays."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"examples": [{"enabled": False}, {"actions": {"Fighting": 0.9}}]}
    )


class Problem(BaseModel):
    """Something that will keep the rule from finding anything, as things are now."""

    field: str = Field(examples=["zones.any"])
    problem: str = Field(examples=["no stream of the rule has a zone gate"])


class RuleAnswer(RuleBody):
    """A rule, and what is wrong with it as things are now."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={})

    id: str = Field(examples=["rul_0123456789abcdef"])
    snoozed_until: str | None = Field(examples=["2026-05-04T03:02:01.123Z"])
    armed: bool = Field(description="whether it would tell somebody now: enabled, not snoozed, within its schedule")
    created_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    problems: list[Problem]


class Snooze(Request):
    """One of both."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"minutes": 30}]})

    until: AwareDatetime | None = Field(None, description="RFC 3339")
    minutes: float | None = Field(None, gt=0, le=60 * 24 * 31, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one(self) -> Snooze:
        if (self.until is None) is (self.minutes is None):
            raise ValueError("expected either until or minutes")
        return self


class Span(Request):
    """At most seven days."""

    since: AwareDatetime = Field(description="RFC 3339")
    until: AwareDatetime = Field(description="RFC 3339")

    @model_validator(mode="after")
    def _bounded(self) -> Span:
        length_s = (self.until - self.since).total_seconds()
        if not 0 < length_s <= 7 * DAY_S:
            raise ValueError(f"expected until at most 7 days after since, got {length_s:.0f} s")
        return self


class DryRunRequest(Span):
    rule: RuleBody


class DryIncident(BaseModel):
    """An incident that would have been. It has no id: nothing of it is kept."""

    stream_id: str
    zone: str | None
    action: str | None
    people: int
    confidence: float | None
    started_at: str
    ended_at: str | None = Field(description="null: it went on at the end of the span")
    muted: bool = Field(description="the rule had its hourly number of messages")
    messages: int = Field(description="that each of the rule's sinks would have got of it")


class DryRun(BaseModel):
    """What a rule would have done. Nothing was stored or sent."""

    since: str
    until: str
    log_since: str | None = Field(description="the oldest message in the log: before it nothing is known")
    messages_read: int
    messages: int = Field(description="that would have gone to each of the rule's sinks, summaries included")
    incidents: list[DryIncident]
    more: int = Field(description="incidents beyond those listed")
    truncated: bool = Field(description="there were more messages in the span than are read")


class IncidentQuery(PageQuery):
    stream: list[Text] = Field(default_factory=list, max_length=100, description="stream id; may be repeated")
    rule: list[Text] = Field(default_factory=list, max_length=100, description="rule id; may be repeated")
    zone: list[Text] = Field(default_factory=list, max_length=100, description="name of a zone; may be repeated")
    severity: list[Severity] = Field(default_factory=list, max_length=3, description="may be repeated")
    state: list[IncidentState] = Field(default_factory=list, max_length=3, description="may be repeated")
    since: AwareDatetime | None = Field(None, description="started at this time or later (RFC 3339)")
    until: AwareDatetime | None = Field(None, description="started before this time (RFC 3339)")


class IncidentPatch(Request):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"kept": True}]})

    kept: bool = Field(description="retention removes no kept incident")


class Incident(BaseModel):
    """What a rule found, from its start to its end."""

    id: str = Field(examples=["inc_0123456789abcdef"])
    rule_id: str = Field(examples=["rul_0123456789abcdef"])
    rule_name: str = Field(examples=["Fight at the gate"])
    rule_kind: RuleKind
    stream_id: str = Field(examples=["str_0123456789abcdef"])
    zone: str | None = Field(examples=["gate"])
    action: str | None = Field(description="null: the rule is about places", examples=["Fighting"])
    severity: Severity
    state: IncidentState
    people: int = Field(description="all that were part of it; of absence and count rules: the most at once")
    tracks: list[int] = Field(description="the first 100 of them")
    events: list[str] = Field(description="ids of their events, the first 100")
    confidence: float | None = Field(description="the highest")
    model: str | None
    started_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    updated_at: str = Field(examples=["2026-05-04T03:02:06.123Z"])
    ended_at: str | None = Field(description="when the last of it was seen; null while it goes on")
    start_s: float = Field(description="media time of its onset")
    end_s: float | None
    muted: bool = Field(description="nobody was told: the rule had its hourly number of messages")
    kept: bool
    snapshot: str | None = Field(examples=["/v1/incidents/inc_0123456789abcdef/snapshot.jpg"])
    clip: str | None = Field(examples=["/v1/incidents/inc_0123456789abcdef/clip.mp4"])
    clip_state: Literal["none", "waiting", "ready", "missing"]
    clip_reason: str = Field(description="why it is missing")


def to_rule_answer(record: RuleRecord, visible: Visible, armed: bool, problems: Sequence[Problem]) -> RuleAnswer:
    """Streams that whoever asks may not see are left out."""
    seen = [stream_id for stream_id in record.body["streams"] if visible.sees(stream_id)]
    return RuleAnswer(
        **{**record.body, "streams": seen},
        id=record.id,
        name=record.name,
        enabled=record.enabled,
        snoozed_until=None if record.snoozed_until is None else rfc3339(record.snoozed_until),
        armed=armed,
        created_at=rfc3339(record.created_at),
        problems=list(problems),
    )


def to_incident(record: IncidentRecord, root_path: str = "") -> Incident:
    path = f"{root_path}/v1/incidents/{record.id}"
    same = {name: getattr(record, name) for name in _SAME}
    return Incident(
        **same,
        rule_kind=record.terms["kind"],
        tracks=list(record.tracks),
        events=list(record.events),
        started_at=rfc3339(record.started_at),
        updated_at=rfc3339(record.updated_at),
        ended_at=None if record.ended_at is None else rfc3339(record.ended_at),
        snapshot=None if record.snapshot_path is None else f"{path}/snapshot.jpg",
        clip=None if record.clip_path is None else f"{path}/clip.mp4",
    )


_SAME = (
    *("id", "rule_id", "rule_name", "stream_id", "zone", "action", "severity", "state", "people"),
    *("confidence", "model", "start_s", "end_s", "muted", "kept", "clip_state", "clip_reason"),
)

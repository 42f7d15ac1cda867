"""Tables of alerts: sinks, rules, incidents, the outbox. Times are Unix seconds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.storage.tables import Base, Sequence


class SinkRow(Base):
    """Where messages go. ``config`` has nothing secret in it."""

    __tablename__ = "sinks"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)  # snk_…
    kind: Mapped[str] = mapped_column(String(16))  # webhook, mqtt, email
    name: Mapped[str] = mapped_column(Text)
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    secrets_sealed: Mapped[str | None] = mapped_column(Text)  # a JSON object, encrypted by SecretBox
    enabled: Mapped[bool] = mapped_column(Boolean)
    disabled_reason: Mapped[str] = mapped_column(Text, server_default="")
    failing_since: Mapped[float | None] = mapped_column(Float(53))
    created_at: Mapped[float] = mapped_column(Float(53))


class RuleRow(Base):
    """When somebody is told. ``body`` is the rule as it was given."""

    __tablename__ = "rules"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)  # rul_…
    name: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(Boolean)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    snoozed_until: Mapped[float | None] = mapped_column(Float(53))
    created_at: Mapped[float] = mapped_column(Float(53))


class IncidentRow(Base):
    """What a rule found, from its start to its end."""

    __tablename__ = "incidents"
    __table_args__ = (
        Index("ix_incidents_started", "started_at", "id"),
        Index("ix_incidents_stream", "stream_id", "started_at"),
        Index("ix_incidents_ended", "ended_at"),
        Index("ix_incidents_clip", "clip_state"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)  # inc_…
    rule_id: Mapped[str] = mapped_column(String(40))
    rule_name: Mapped[str] = mapped_column(Text)
    stream_id: Mapped[str] = mapped_column(String(40))
    zone: Mapped[str | None] = mapped_column(Text)
    action: Mapped[str | None] = mapped_column(Text)  # None: absence and count rules
    severity: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(10))  # started, updated, ended
    tracks: Mapped[list[int]] = mapped_column(JSON)  # ids of the people in it
    events: Mapped[list[str]] = mapped_column(JSON)  # ids of their events
    confidence: Mapped[float | None] = mapped_column(Float(53))  # the highest
    model: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[float] = mapped_column(Float(53))
    updated_at: Mapped[float] = mapped_column(Float(53))
    ended_at: Mapped[float | None] = mapped_column(Float(53))
    start_s: Mapped[float] = mapped_column(Float(53))  # media time
    end_s: Mapped[float | None] = mapped_column(Float(53))
    snapshot_path: Mapped[str | None] = mapped_column(Text)  # relative to the data folder's ``incidents``
    clip_path: Mapped[str | None] = mapped_column(Text)
    clip_state: Mapped[str] = mapped_column(String(10), server_default="none")  # none, waiting, ready, missing
    clip_reason: Mapped[str] = mapped_column(Text, server_default="")  # why it is missing
    kept: Mapped[bool] = mapped_column(Boolean, server_default="0")
    muted: Mapped[bool] = mapped_column(Boolean, server_default="0")  # the rule had its hourly number of messages
    people: Mapped[int] = mapped_column(Integer, server_default="0")  # all; ``tracks`` names the first
    n: Mapped[int] = mapped_column(Integer, server_default="0")  # of the newest message
    terms: Mapped[dict[str, Any]] = mapped_column(JSON)  # what the rule said when it began: sinks, clip, max_age_s …


class OutboxRow(Base):
    """One message to one sink. In order within (sink, incident) by ``n``; delivered at least once, ``id`` stays."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_due", "state", "next_at"),
        Index("ix_outbox_order", "sink_id", "incident_id", "n"),
    )

    id: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    sink_id: Mapped[str] = mapped_column(String(40))
    incident_id: Mapped[str | None] = mapped_column(String(40))  # None: of a stream, a sink, a test
    stream_id: Mapped[str | None] = mapped_column(String(40))
    n: Mapped[int] = mapped_column(Integer)
    type: Mapped[str] = mapped_column(String(32))  # incident.started …, stream.failed …, sink.disabled, test.ping
    body: Mapped[dict[str, Any]] = mapped_column(JSON)  # the ``data`` of the message
    state: Mapped[str] = mapped_column(String(10))  # pending, leased, delivered, dead, expired
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    next_at: Mapped[float] = mapped_column(Float(53))
    lease_until: Mapped[float | None] = mapped_column(Float(53))
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_error: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[float] = mapped_column(Float(53))
    delivered_at: Mapped[float | None] = mapped_column(Float(53))
    expires_at: Mapped[float | None] = mapped_column(Float(53))


class AlertCursorRow(Base):
    """How far the engine has read the message log, and what it must remember between two messages."""

    __tablename__ = "alert_cursor"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)  # always 1
    seq: Mapped[int] = mapped_column(BigInteger)
    revision: Mapped[int] = mapped_column(BigInteger)  # counts the writes: two engines, or a lost answer, are noticed
    state: Mapped[dict[str, Any]] = mapped_column(JSON)  # open incidents, consensus, cooldowns, counts of the hour

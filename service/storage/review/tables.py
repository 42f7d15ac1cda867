"""Tables of the review: verdicts in all their versions, and what each person has looked at. Times are Unix seconds."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.storage.tables import Base


class VerdictRow(Base):
    """What somebody says that one person did. Rows are never changed but for their clip and who supersedes them.

    What it needs of its event and stream stands in it: it outlives both.
    """

    __tablename__ = "verdicts"
    __table_args__ = (
        Index("ix_verdicts_event", "event_id", "version", unique=True),
        Index("ix_verdicts_at", "at", "id"),
        Index("ix_verdicts_clip", "clip"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)  # ver_…
    event_id: Mapped[str] = mapped_column(String(80))
    version: Mapped[int] = mapped_column(Integer)  # from 1
    superseded_by: Mapped[str | None] = mapped_column(String(40))  # the next version's id
    stream_id: Mapped[str] = mapped_column(String(40))
    stream_name: Mapped[str] = mapped_column(Text)
    track_id: Mapped[int] = mapped_column(BigInteger)
    verdict: Mapped[str] = mapped_column(String(10))  # right, wrong, unsure
    label: Mapped[str | None] = mapped_column(Text)  # what it was; None: nobody knows
    said: Mapped[str] = mapped_column(Text)  # the event's action
    start_s: Mapped[float] = mapped_column(Float(53))  # media time
    end_s: Mapped[float] = mapped_column(Float(53))
    started_at: Mapped[float] = mapped_column(Float(53))  # of the event
    ended_at: Mapped[float] = mapped_column(Float(53))  # … or its newest message
    by_id: Mapped[str] = mapped_column(Text)  # kind:id of the principal
    by: Mapped[str] = mapped_column("by_name", Text)  # its name then
    at: Mapped[float] = mapped_column(Float(53))
    model: Mapped[str | None] = mapped_column(Text)
    split: Mapped[str] = mapped_column(String(10))  # train, audit
    near_threshold: Mapped[bool] = mapped_column(Boolean)
    group: Mapped[str] = mapped_column("grouped_as", Text)  # stream/incident, or stream/event
    clip: Mapped[str] = mapped_column(String(10))  # pending, stored, none
    clip_reason: Mapped[str] = mapped_column(Text, server_default="")  # why there is none (yet)
    sha256: Mapped[str | None] = mapped_column(String(64))  # of the clip


class ReviewedRow(Base):
    """One person has looked at an event."""

    __tablename__ = "reviewed"
    __table_args__ = (Index("ix_reviewed_event", "event_id"),)

    who: Mapped[str] = mapped_column(Text, primary_key=True)  # kind:id of the principal
    event_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    at: Mapped[float] = mapped_column(Float(53))

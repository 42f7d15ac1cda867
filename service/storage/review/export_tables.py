"""Tables of cases that were exported. Times are Unix seconds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.storage.tables import Base


class ExportRow(Base):
    """One case, from its order to its file."""

    __tablename__ = "exports"
    __table_args__ = (Index("ix_exports_created", "created_at", "id"), Index("ix_exports_state", "state"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)  # exp_…
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10))  # queued, running, done, failed
    reason: Mapped[str] = mapped_column(Text, server_default="")
    since: Mapped[float] = mapped_column(Float(53))
    until: Mapped[float] = mapped_column(Float(53))
    wish: Mapped[dict[str, Any]] = mapped_column(JSON)  # overlay, pixelate_others, cvat
    made_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Float(53))
    ended_at: Mapped[float | None] = mapped_column(Float(53))
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")  # how often it was begun
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))


class ExportStreamRow(Base):
    """One camera of a case. ``since`` is the case's, so that one look at this row says who may see it."""

    __tablename__ = "export_streams"

    export_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    place: Mapped[int] = mapped_column(Integer, primary_key=True)  # in the order that was asked for
    stream_id: Mapped[str] = mapped_column(String(40))
    stream_name: Mapped[str] = mapped_column(Text)
    since: Mapped[float] = mapped_column(Float(53))
    keep: Mapped[list[int]] = mapped_column(JSON)  # ids of people who are not pixelated

"""The table of trainings. Times are Unix seconds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.storage.tables import Base


class TrainingRow(Base):
    """One training. ``gate``: what ``gate.json`` of its version holds."""

    __tablename__ = "trainings"
    __table_args__ = (Index("ix_trainings_created", "created_at", "id"), Index("ix_trainings_state", "state"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)  # trn_…
    base: Mapped[str] = mapped_column(Text)
    config: Mapped[str] = mapped_column(String(16))
    force_count: Mapped[bool] = mapped_column(Boolean)
    state: Mapped[str] = mapped_column(String(16))
    step: Mapped[str] = mapped_column(Text)
    progress: Mapped[float] = mapped_column(Float(53))
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Float(53))
    started_at: Mapped[float | None] = mapped_column(Float(53))
    ended_at: Mapped[float | None] = mapped_column(Float(53))
    attempts: Mapped[int] = mapped_column(Integer)
    version: Mapped[str | None] = mapped_column(Text)
    gate: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

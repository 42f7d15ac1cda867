"""Tables of versions that are tried. Times are Unix seconds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.storage.tables import Base


class ShadowScoreRow(Base):
    """What trying a version found in one stream in one hour. JSON: ``{action: [events by tenth of confidence]}``."""

    __tablename__ = "shadow_scores"

    version: Mapped[str] = mapped_column(Text, primary_key=True)
    stream_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    hour: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # hours since 1970
    seconds: Mapped[float] = mapped_column(Float(53))
    clips: Mapped[int] = mapped_column(Integer)
    agreed: Mapped[int] = mapped_column(Integer)
    champion: Mapped[dict[str, Any]] = mapped_column(JSON)
    challenger: Mapped[dict[str, Any]] = mapped_column(JSON)
    told: Mapped[dict[str, Any]] = mapped_column(JSON)


class ShadowDisagreementRow(Base):
    """An event during which a version that was tried said something else."""

    __tablename__ = "shadow_disagreements"
    __table_args__ = (Index("ix_shadow_disagreements_at", "at"),)

    event_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    version: Mapped[str] = mapped_column(Text)
    stream_id: Mapped[str] = mapped_column(String(40))
    at: Mapped[float] = mapped_column(Float(53))

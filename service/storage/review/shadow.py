"""What versions that are tried would have said, hour by hour and stream by stream, and which events they dispute.

Bounded: hours older than ``KEEP_HOURS`` go, and of disputed events the newest ``MAX_DISAGREEMENTS`` stay. Methods may
raise StoreError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from service.rights import Visible
from service.storage.database import Database
from service.storage.review.shadow_tables import ShadowDisagreementRow, ShadowScoreRow
from service.storage.tables import EventRow
from service.storage.visibility import seen
from service.versions.tally import Counts, ShadowTally, added

HOUR_S = 3600
KEEP_HOURS = 60 * 24
MAX_DISAGREEMENTS = 20_000


class ShadowStore:
    """Async face of the two tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, stream_id: str, tally: ShadowTally, at: float) -> None:
        """Adds to the hour of ``at``."""
        await self._database.write(lambda session: _add(session, stream_id, tally, at))

    async def of(self, version: str, visible: Visible) -> dict[str, ShadowTally]:
        """→ all that is known of a version, by stream."""
        statement = select(ShadowScoreRow).where(
            ShadowScoreRow.version == version, seen(visible, ShadowScoreRow.stream_id)
        )
        return await self._database.read(lambda session: _by_stream(version, session.scalars(statement)))

    async def forget(self, version: str) -> None:
        """A trial begins anew: what an earlier one found counts no more."""
        await self._database.write(
            lambda session: session.execute(delete(ShadowScoreRow).where(ShadowScoreRow.version == version))
        )

    async def events_since(self, models: Iterable[str], since: float) -> list[tuple[str, str, float]]:
        """→ stream, action and highest confidence of each event that these models told since then, at most 100,000."""
        statement = (
            select(EventRow.stream_id, EventRow.action, EventRow.peak_confidence)
            .where(EventRow.model.in_(tuple(models)), EventRow.started_at >= since)
            .order_by(EventRow.started_at)
            .limit(100_000)
        )

        def work(session: Session) -> list[tuple[str, str, float]]:
            return [(stream_id, action, peak) for stream_id, action, peak in session.execute(statement)]

        return await self._database.read(work)


def disputed() -> Select[tuple[str]]:
    """→ ids of events that a version that is tried judged otherwise, for ``WHERE id IN (…)``."""
    return select(ShadowDisagreementRow.event_id)


def _add(session: Session, stream_id: str, tally: ShadowTally, at: float) -> None:
    hour = int(at // HOUR_S)
    key = {"version": tally.version, "stream_id": stream_id, "hour": hour}
    row = session.get(ShadowScoreRow, key)
    if row is None:
        session.execute(delete(ShadowScoreRow).where(ShadowScoreRow.hour < hour - KEEP_HOURS))
        empty: Mapping[str, Any] = {"champion": {}, "challenger": {}, "told": {}}
        row = ShadowScoreRow(**key, seconds=0.0, clips=0, agreed=0, **empty)
        session.add(row)
    row.seconds += tally.seconds
    row.clips += tally.clips
    row.agreed += tally.agreed
    for name in ("champion", "challenger", "told"):
        setattr(row, name, added(_counts(getattr(row, name)), getattr(tally, name)))
    _dispute(session, stream_id, tally, at)


def _dispute(session: Session, stream_id: str, tally: ShadowTally, at: float) -> None:
    for event_id in tally.disagreed:
        session.merge(ShadowDisagreementRow(event_id=event_id, version=tally.version, stream_id=stream_id, at=at))
    if not tally.disagreed:
        return
    session.flush()
    if (session.scalar(select(func.count()).select_from(ShadowDisagreementRow)) or 0) > MAX_DISAGREEMENTS:
        newest = select(ShadowDisagreementRow.at).order_by(ShadowDisagreementRow.at.desc()).offset(MAX_DISAGREEMENTS)
        oldest_kept = session.scalar(newest.limit(1))
        session.execute(delete(ShadowDisagreementRow).where(ShadowDisagreementRow.at <= oldest_kept))


def _by_stream(version: str, rows: Iterable[ShadowScoreRow]) -> dict[str, ShadowTally]:
    found: dict[str, ShadowTally] = {}
    for row in rows:
        one = found.get(row.stream_id, ShadowTally(version, 0.0, 0, 0, {}, {}, {}))
        found[row.stream_id] = ShadowTally(
            version,
            one.seconds + row.seconds,
            one.clips + row.clips,
            one.agreed + row.agreed,
            added(one.champion, _counts(row.champion)),
            added(one.challenger, _counts(row.challenger)),
            added(one.told, _counts(row.told)),
        )
    return found


def _counts(stored: Mapping[str, Any]) -> Counts:
    """JSON has lists where Python has tuples."""
    return {action: tuple(tenths) for action, tenths in stored.items()}

"""The zones of streams, as they are stored: one row a stream, replaced as a whole. Methods may raise StoreError."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from pipeline.entities import Zone
from service.errors_base import Outdated
from service.storage.database import Database
from service.storage.tables import StreamRow, ZonesRow


class ZoneStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, stream_id: str) -> tuple[Zone, ...]:
        """→ the zones of a stream; none for a stream that has none or is not there."""
        return await self._database.read(lambda session: _zones(session.get(ZonesRow, stream_id)))

    async def put(self, stream_id: str, zones: Sequence[Zone], expected: frozenset[str] | None = None) -> bool:
        """Replaces all zones of a stream. → False if there is no such stream (any more).

        ``expected``: tags of which the present zones must have one, None: any. Raises Outdated where they do not.
        """

        def work(session: Session) -> bool:
            if session.get(StreamRow, stream_id) is None:
                return False
            row = session.get(ZonesRow, stream_id)
            if expected is not None and zones_tag(_zones(row)) not in expected:
                raise Outdated("the zones were changed since they were read: read them again")
            session.merge(ZonesRow(stream_id=stream_id, zones=_plain(zones), changed_at=time.time()))
            return True

        return await self._database.write(work)


def zones_tag(zones: Sequence[Zone]) -> str:
    """→ what tells these zones from others: their ETag, in quotes."""
    text = json.dumps(_plain(zones), separators=(",", ":"))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'


def _plain(zones: Sequence[Zone]) -> list[dict[str, Any]]:
    return [{"name": zone.name, "polygon": [list(point) for point in zone.polygon]} for zone in zones]


def _zones(row: ZonesRow | None) -> tuple[Zone, ...]:
    if row is None:
        return ()
    return tuple(Zone(zone["name"], tuple((x, y) for x, y in zone["polygon"])) for zone in row.zones)

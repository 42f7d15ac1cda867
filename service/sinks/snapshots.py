"""Pictures of incidents, for letters."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import select

from service.storage.alert_tables import IncidentRow
from service.storage.database import Database


class Snapshots:
    """``folder``: what the rows' paths are relative to."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    async def read(self, incident_id: str) -> bytes | None:
        """→ an incident's JPEG; None where it has none, or its file is gone. May raise StoreError."""
        statement = select(IncidentRow.snapshot_path).where(IncidentRow.id == incident_id)
        relative = await self._database.read(lambda session: session.scalar(statement))
        return None if relative is None else await asyncio.to_thread(self._file, relative)

    def _file(self, relative: str) -> bytes | None:
        folder = self._folder.resolve()
        path = (folder / relative).resolve()
        if not path.is_relative_to(folder):
            return None
        try:
            return path.read_bytes()
        except OSError:
            return None

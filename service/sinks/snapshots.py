"""Pictures of incidents, for letters."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import select

from service.bucket.bucket import Bucket
from service.errors_base import NotFound, Unavailable
from service.storage.alert_tables import IncidentRow
from service.storage.database import Database


class Snapshots:
    """``folder``: what the rows' paths are relative to; ``bucket``: where files may be that are not there any more."""

    def __init__(self, database: Database, folder: Path, bucket: Bucket | None = None) -> None:
        self._database = database
        self._folder = folder.resolve()
        self._bucket = bucket

    async def read(self, incident_id: str) -> bytes | None:
        """→ an incident's JPEG; None where it has none, its file is gone, or the bucket that it is in does not answer.
        May raise StoreError.
        """
        statement = select(IncidentRow.snapshot_path).where(IncidentRow.id == incident_id)
        relative = await self._database.read(lambda session: session.scalar(statement))
        path = None if relative is None else await asyncio.to_thread((self._folder / relative).resolve)
        if path is None or not path.is_relative_to(self._folder):
            return None
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError:
            return await self._from_bucket(path)

    async def _from_bucket(self, path: Path) -> bytes | None:
        if self._bucket is None:
            return None
        try:
            record = await self._bucket.find(path)
            return await self._bucket.read(record, 0, record.bytes - 1)
        except (NotFound, Unavailable):  # a letter without its picture is better than none
            return None

"""Recordings that come back from the bucket without a row: what a new index is made of after a lost database."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from service.recording.segment_files import discard, inspect
from service.storage.store import Store


@dataclass(frozen=True, slots=True)
class Adoption:
    """A ``service.bucket.comparison.Adopter``."""

    store: Store

    async def index(self, path: Path) -> str | None:
        """→ the id of its row. A file that holds nothing that plays is removed here. Raises OSError, StoreError."""
        segment = await asyncio.to_thread(inspect, path, path.parent.name)
        if segment is None:
            await asyncio.to_thread(discard, path)
            return None
        return (await self.store.add_recording(segment, by_time=True)).id

"""Recordings that come back from the bucket without a row: what a new index is made of after a lost database."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.recording.retention import Limits
from service.recording.segment_files import discard, inspect, started_at_of
from service.storage.store import Store


@dataclass(frozen=True, slots=True)
class Adoption:
    """A ``service.bucket.comparison.Adopter``."""

    store: Store
    limits: Limits
    clock: Callable[[], float] = time.time

    def refusal(self, path: Path) -> str:
        """By its name: what began so long ago would be deleted at once. Others are taken in, whatever they are."""
        with contextlib.suppress(ValueError):
            age_s = self.clock() - started_at_of(path)
            longest_s = max(self.limits.max_age_s or 0.0, self.limits.incident_age_s or 0.0)
            if self.limits.max_age_s is not None and age_s > longest_s:
                return "it is older than recordings are kept"
        return ""

    async def index(self, path: Path) -> str | None:
        """→ the id of its row. A file that holds nothing that plays is removed here. Raises OSError, StoreError."""
        segment = await asyncio.to_thread(inspect, path, path.parent.name)
        if segment is None:
            await asyncio.to_thread(discard, path)
            return None
        return (await self.store.add_recording(segment)).id

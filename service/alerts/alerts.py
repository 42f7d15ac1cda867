"""Everything about alerts that lives as long as the process, opened and closed together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from service.access.links import LONGEST_S, Links
from service.alerts.changes import Change
from service.alerts.dry_run import DryRunner, DryRunResult
from service.alerts.media import IncidentMedia, MediaLimits
from service.alerts.rows import Links as LinkTexts
from service.alerts.rule import Rule
from service.alerts.runner import AlertRunner
from service.errors_base import Unavailable
from service.hub import Hub
from service.prometheus import CounterKeeper, Measured
from service.recording.reconcile import Recordings
from service.storage.alert_tables import SinkRow
from service.storage.database import Database
from service.storage.incidents import IncidentStore
from service.storage.rules import RuleStore
from service.storage.store import Store
from service.supervisor_protocol import Supervisor


@dataclass(frozen=True)
class Alerts:
    """``rules_changed`` has to be called after a stored rule was changed."""

    database: Database
    rules: RuleStore
    incidents: IncidentStore
    runner: AlertRunner
    media: IncidentMedia
    _dry: asyncio.Lock = field(default_factory=asyncio.Lock)
    _keeper: CounterKeeper = field(default_factory=CounterKeeper)

    @classmethod
    def over(
        cls,
        folder: Path,
        store: Store,
        database: Database,
        hub: Hub,
        media: tuple[Recordings, Supervisor, Links, MediaLimits],
        base: str = "",
    ) -> Alerts:
        """``folder``: of the incidents' pictures and clips; ``base``: what links in messages begin with."""
        recordings, supervisor, links, limits = media
        incidents = IncidentStore(database)
        runner = AlertRunner(database, hub, signed=lambda change: signed_links(links, change), base=base)
        keeper = IncidentMedia(folder, incidents, runner, (store, recordings, supervisor), limits)
        return cls(database, RuleStore(database), incidents, runner, keeper)

    async def open(self) -> None:
        """After the hub, before streams start. Raises StoreError, OSError."""
        await self.media.open()
        await self.runner.open()

    async def close(self) -> None:
        await self.runner.close()
        await self.media.close()

    async def dry_run(self, rule: Rule, since: float, until: float) -> DryRunResult:
        """Raises Unavailable where another one runs: each takes a core for seconds."""
        if self._dry.locked():
            raise Unavailable("another dry run is at work")
        async with self._dry:
            return await self.database.read(DryRunner(rule, since, until).run)

    async def sink_ids(self) -> frozenset[str]:
        """Of sinks that there are, also those that are disabled."""
        return await self.database.read(lambda session: frozenset(session.scalars(select(SinkRow.id))))

    def measured(self) -> list[Measured]:
        """For the metrics."""
        return [("", {}, part.measures(), self._keeper) for part in (self.runner, self.media)]


def signed_links(links: Links, change: Change, clock: Callable[[], float] = time.time) -> LinkTexts:
    """Paths for whoever gets a message: picture and clip open without log-in, for a day."""
    incident_id = change.incident.id
    names = {"snapshot": "snapshot.jpg", "clip": "clip.mp4" if change.kind == "clip_ready" else None}
    paths = {key: None if name is None else f"/v1/media/{incident_id}/{name}" for key, name in names.items()}
    until = clock() + LONGEST_S - 1
    media = {key: None if path is None else f"{path}?{links.sign(path, until)}" for key, path in paths.items()}
    return {"incident": f"/v1/incidents/{incident_id}", **media}

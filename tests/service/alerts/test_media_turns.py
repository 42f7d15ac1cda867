"""Incidents wait for their clips: those whose recordings cannot be reached keep no others waiting."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from service.alerts import media as clips
from service.alerts.media import IncidentMedia
from service.errors_base import Unavailable
from service.storage.alert_tables import IncidentRow
from service.storage.database import Database
from service.storage.incidents import IncidentRecord, IncidentStore
from tests.support.fresh_database import fresh_url
from tests.support.service import wait_for


class Unreachable(IncidentMedia):
    """The recordings of all but the newest incident are on a machine that is away."""

    tried: list[str]

    async def clip(self, record: IncidentRecord) -> bool:
        self.tried.append(record.id)
        if record.id != "inc_newest":
            raise Unavailable("the machine is away")
        return True


def waiting(incident: str, ended_at: float) -> IncidentRow:
    return IncidentRow(
        id=incident,
        **{"rule_id": "rule_1", "rule_name": "Fights", "stream_id": "str_1", "severity": "alert", "state": "ended"},
        **{"tracks": [], "events": [], "started_at": ended_at - 5, "updated_at": ended_at, "ended_at": ended_at},
        **{"start_s": 0.0, "end_s": 5.0, "clip_state": "waiting", "terms": {}},
    )


def test_incidents_that_cannot_be_reached_leave_the_others_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clips, "CLIPS_AT_ONCE", 10)
    monkeypatch.setattr(clips, "LOOK_S", 0.01)
    rows = [waiting(f"inc_{number:02}", 100.0 + number // 2) for number in range(30)]  # two at a time end together
    nobody: Any = None

    async def run() -> list[str]:
        database = Database(fresh_url(tmp_path))
        await database.open()
        await database.write(lambda session: session.add_all([*rows, waiting("inc_newest", 200.0)]))
        media = Unreachable(tmp_path, IncidentStore(database), nobody, (nobody, nobody, nobody), nobody)
        media.tried = []
        task = asyncio.create_task(media._clip_forever())
        await asyncio.to_thread(wait_for, lambda: media.tried.count("inc_newest") >= 2, 10, "the newest has its turns")
        task.cancel()
        await asyncio.wait({task})
        await database.close()
        return media.tried

    tried = asyncio.run(run())
    assert tried[:31] == [*(f"inc_{number:02}" for number in range(30)), "inc_newest"]
    assert set(tried[31:]) == {"inc_newest"}, "the others are asked for again after ten seconds, not at once"

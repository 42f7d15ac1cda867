"""How much is stored, as far as it may be seen, on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.rights import ALL, NONE, Visible
from service.storage.segment import Segment
from service.storage.store import Store
from service.storage.totals import IncidentTotals, Recorded, Totals
from tests.service.storage.test_store import with_store

GATE, YARD = "str_0000000000000001", "str_0000000000000002"


def segment(folder: Path, stream_id: str, started_at: float, size: int) -> Segment:
    path = folder / stream_id / f"{started_at:.0f}.mp4"
    return Segment(path, None, started_at, 0.0, 60.0, 1500, size, (360, 640))


def test_recordings_are_summed_by_stream_as_far_as_they_may_be_seen(url: str, tmp_path: Path):
    async def scenario(store: Store) -> tuple[Any, ...]:
        for stream_id, started_at, size in ((GATE, 100.0, 5), (GATE, 500.0, 3 << 31), (YARD, 300.0, 7)):
            await store.add_recording(segment(store._recordings_dir, stream_id, started_at, size))
        totals = Totals(store._database)
        seen = Visible({GATE: 400.0})
        sums = [await totals.recorded(visible) for visible in (ALL, seen, NONE)]
        return (*sums, await totals.incidents(ALL), await totals.database())

    everything, later, nothing, incidents, database = with_store(url, tmp_path, scenario)
    yard = Recorded(YARD, 1, 7, 300.0, 360.0)
    assert everything == (Recorded(GATE, 2, 5 + (3 << 31), 100.0, 560.0), yard)
    assert later == (Recorded(GATE, 1, 3 << 31, 500.0, 560.0),)
    assert nothing == () and incidents == IncidentTotals(0, 0)
    assert database.kind == ("sqlite" if url.startswith("sqlite") else "postgresql") and database.bytes > 1000

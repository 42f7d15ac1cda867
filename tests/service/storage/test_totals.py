"""How much is stored, as far as it may be seen, on both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from service.rights import ALL, NONE, Visible
from service.storage.database import StoreError
from service.storage.segment import Segment
from service.storage.store import Store
from service.storage.totals import (
    HELD_S,
    MOST_HELD,
    DatabaseSize,
    IncidentTotals,
    Recorded,
    SharedTotals,
    Stored,
    Totals,
)
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


class Counted:
    """Scripted totals, which say how often they were counted; ``error`` is raised once."""

    def __init__(self) -> None:
        self.asked: list[Visible] = []
        self.error: Exception | None = None

    async def all(self, visible: Visible) -> Stored:
        self.asked.append(visible)
        await asyncio.sleep(0)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return Stored((), IncidentTotals(len(self.asked), 0), DatabaseSize("sqlite", 1))


def test_totals_are_counted_once_for_all_who_may_see_the_same_and_anew_after_a_while():
    async def scenario() -> None:
        counted, now = Counted(), [0.0]
        totals = SharedTotals(counted, lambda: now[0])  # type: ignore[arg-type]
        seen = Visible({GATE: None})
        both = await asyncio.gather(*(totals.of(visible) for visible in (ALL, ALL, seen, Visible({GATE: None}))))
        assert counted.asked == [ALL, seen] and both[0] is both[1] and both[2] is both[3]
        now[0] = HELD_S - 0.1
        assert await totals.of(ALL) is both[0]
        now[0] = HELD_S
        assert (await totals.of(ALL)).incidents.incidents == 3

    asyncio.run(scenario())


def test_count_that_failed_is_not_held_and_those_of_few_are():
    async def scenario() -> None:
        counted = Counted()
        totals = SharedTotals(counted)  # type: ignore[arg-type]
        counted.error = StoreError("the database is gone")
        with pytest.raises(StoreError):
            await totals.of(ALL)
        assert (await totals.of(ALL)).incidents.incidents == 2
        for number in range(MOST_HELD):
            await totals.of(Visible({f"str_{number}": None}))
        assert len(totals._counts) == MOST_HELD

    asyncio.run(scenario())

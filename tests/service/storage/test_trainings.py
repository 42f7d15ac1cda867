"""Trainings on both databases."""

from __future__ import annotations

from dataclasses import replace

from service.storage.database import Database
from service.storage.records import Cursor
from service.storage.trainings.store import TrainingRecord, TrainingStore
from tests.service.storage.conftest import with_database


def record(number: int, state: str = "queued") -> TrainingRecord:
    return TrainingRecord(f"trn_{number:016x}", "guard", "quick", "anna", 1000.0 + number // 2, state=state)


def test_trainings_come_back_as_they_were_kept_and_in_pages(url: str) -> None:
    async def work(database: Database) -> None:
        store = TrainingStore(database)
        for number in range(5):
            assert await store.add(record(number), most=9)
        gate = {"passed": False, "checks": [], "missing": ["38 more from Gate"]}
        done = replace(record(1), state="done", version="guard@2", gate=gate, ended_at=2000.5, attempts=2, progress=1.0)
        await store.keep(done)
        assert await store.get(done.id) == done
        assert await store.get("trn_x") is None
        first = await store.list(None, 3)
        assert [each.id for each in first.items] == [record(number).id for number in (4, 3, 2)]
        assert first.next_cursor is not None
        rest = await store.list(Cursor.decode(first.next_cursor), 3)
        assert rest.items == (done, record(0)) and rest.next_cursor is None
        assert [each.id for each in await store.open_ones()] == [record(number).id for number in (0, 2, 3, 4)]

    with_database(url, work)


def test_trainings_that_are_open_are_few_and_those_over_do_not_count(url: str) -> None:
    async def work(database: Database) -> None:
        store = TrainingStore(database)
        assert await store.add(record(0), most=1)
        assert not await store.add(record(1), most=1)
        await store.keep(record(0, "failed"))
        assert await store.add(record(1), most=1)

    with_database(url, work)

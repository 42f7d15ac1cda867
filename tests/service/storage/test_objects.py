"""What is in the bucket, waits, is to go: on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.storage.database import Database
from service.storage.objects import DELETING, STORED, WAITING, ObjectRecord, ObjectStore, Waiting
from service.storage.records import StreamRecord
from service.storage.secret_box import SecretBox
from service.storage.segment import Segment
from service.storage.store import Store

NOW = 1_800_000_000.123456


class Tables:
    def __init__(self, folder: Path, database: Database) -> None:
        self.objects, self._folder = ObjectStore(database), folder
        self.store = Store(database, SecretBox.open(folder), folder)

    async def record(self, name: str) -> str:
        """→ the id of a recording with messages."""
        video = self._folder / "str_a" / f"{name}.mp4"
        segment = Segment(video, video.with_suffix(".jsonl.gz"), 1.0, 0.0, 60.0, 1500, 300, (2, 2))
        return (await self.store.add_recording(segment)).id

    async def place(self) -> list[str]:
        return [row.place for row in await self.store.all_recordings()]

    async def write_down(self) -> list[ObjectRecord]:
        unknown = await self.objects.unknown(99, NOW)
        records = [ObjectRecord(path, path, owner, WAITING, 100, NOW, since=NOW) for owner, path in unknown]
        await self.objects.add(records)
        return records


@pytest.fixture
def run(url: str, tmp_path: Path) -> Callable[[Callable[[Tables], Awaitable[Any]]], Any]:
    def started(work: Callable[[Tables], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            database = Database(url)
            await database.open()
            try:
                return await work(Tables(tmp_path, database))
            finally:
                await database.close()

        return asyncio.run(main())

    return started


def test_file_goes_its_way_from_unknown_to_stored_and_its_row_says_so(run: Any) -> None:
    async def work(tables: Tables) -> None:
        objects = tables.objects
        await tables.record("20270101T120000000Z")
        video, sidecar = await tables.write_down()
        assert await objects.unknown(99, NOW) == ()
        assert await objects.waiting() == Waiting(files=2, bytes=200, oldest=NOW)
        assert await objects.next(WAITING, NOW) == sidecar
        await objects.put_off(sidecar, NOW + 5)
        assert await objects.next(WAITING, NOW) == video
        assert await objects.next(WAITING, NOW - 5000) == video, "times of a clock that was wrong hold nobody up"
        assert await objects.stored(replace(video, bytes=90), "0" * 64, "tag", NOW)
        assert await tables.place() == ["local"]
        assert await objects.aged(NOW + 1, 9) == ()
        assert await objects.stored(sidecar, "1" * 64, "tag", NOW)
        assert await tables.place() == ["s3"]
        first, second = await objects.aged(NOW + 1, 9)
        assert (first.key, second.bytes, second.mtime) == (sidecar.key, 90, NOW), "an exact time: tags are made of it"
        await objects.left(first.key)
        assert [each.key for each in await objects.aged(NOW + 1, 9)] == [video.key]
        await objects.send_again(video.key, NOW)
        assert await tables.place() == ["local"]

    run(work)


def test_what_is_recorded_for_incidents_waits_until_it_is_known_to_stay(run: Any) -> None:
    async def work(tables: Tables) -> None:
        await tables.record("20270101T120000000Z")  # ends at 61
        await tables.store.add_stream(StreamRecord("str_a", "Gate", SecretStr(""), "m", record="incidents"))
        assert await tables.objects.unknown(99, 61.0) == ()
        assert len(await tables.objects.unknown(99, 61.5)) == 2

    run(work)


def test_deletion_is_remembered_until_the_object_is_gone_and_waits_for_the_row(run: Any) -> None:
    async def work(tables: Tables) -> None:
        recording = await tables.record("20270101T120000000Z")
        video, _ = await tables.write_down()
        await tables.store.doom_recording(recording)
        assert await tables.store.doomed_recordings() == {recording}
        assert await tables.objects.next(DELETING, NOW) is None
        assert not await tables.objects.stored(video, "", "", NOW)
        await tables.store.delete_recording(recording)
        assert await tables.store.doomed_recordings() == frozenset()
        assert (await tables.objects.waiting()).deletions == 2
        while (doomed := await tables.objects.next(DELETING, NOW)) is not None:
            await tables.objects.forget(doomed.key)
        await tables.objects.add([video])
        assert await tables.objects.waiting() == Waiting(), "nothing is sent whose row is gone"

    run(work)


def test_what_is_taken_in_takes_the_place_of_what_was_known(run: Any) -> None:
    async def work(tables: Tables) -> None:
        recording = await tables.record("20270101T120000000Z")
        known = await tables.write_down()
        await tables.objects.adopt([replace(each, state=STORED, tag="new", stored_at=NOW) for each in known])
        assert [each.tag for each in await tables.objects.of([recording])] == ["new", "new"]
        assert await tables.place() == ["s3"]
        first, second = [(await tables.objects.all_after(key, 1))[0].key for key in ("", known[1].key)]
        assert [first, second] == sorted(each.key for each in known)
        assert await tables.objects.owner_id() == await tables.objects.owner_id()

    run(work)

"""What nodes and the API that leads write about the same recordings at the same time, on PostgreSQL."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.storage.cluster.nodes import forget_node, put_recording_node, tell
from service.storage.cluster.objects import LeaderObjects, NodeObjects, doom_at_node
from service.storage.cluster.tables import DOOMED, LISTED, LOOSE, SENDING, NodeRow, RecordingNodeRow
from service.storage.database import Database
from service.storage.objects import DELETING, MISSING, STORED, WAITING, ObjectRecord, Waiting
from service.storage.records import RecordingRecord
from service.storage.secret_box import SecretBox
from service.storage.segment import Segment
from service.storage.store import Store
from tests.service.cluster.test_standby import FACTS

NOW = 1_800_000_000.0


class Tables:
    """``node`` and ``leader`` have a connection of their own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.leading, self.at_node = Database(url), Database(url)
        self.leader, self.node = LeaderObjects(self.leading), NodeObjects(self.at_node, "a")
        self.store = Store(self.leading, SecretBox.open(folder), folder)

    async def record(self, name: str, node: str = "a") -> RecordingRecord:
        video = self.folder / "str_a" / f"{name}.mp4"
        segment = Segment(video, video.with_suffix(".jsonl.gz"), 1.0, 0.0, 60.0, 1500, 300, (2, 2))
        row = await self.store.add_recording(segment)
        await self.leading.write(lambda session: put_recording_node(session, row.path, node))
        return row

    async def rows(self, node: NodeObjects) -> list[ObjectRecord]:
        unknown = await node.unknown(99, NOW)
        return [
            ObjectRecord(path, path, owner, WAITING, 100, NOW, since=NOW, here_since=NOW, node=node.node)
            for owner, path in unknown
        ]

    async def state(self, row: RecordingRecord) -> str | None:
        statement = select(RecordingNodeRow.state).where(RecordingNodeRow.path == row.path)
        return await self.leading.read(lambda session: session.scalar(statement))

    async def states(self, row: RecordingRecord) -> set[str]:
        return {record.state for record in await self.leader.of([row.id])}

    async def doom(self, row: RecordingRecord) -> None:
        await self.leading.write(lambda session: doom_at_node(session, row.id, row.path))


def run(url: str, folder: Path, work: Callable[[Tables], Awaitable[None]]) -> None:
    async def main() -> None:
        tables = Tables(url, folder)
        await tables.leading.open()
        try:
            await work(tables)
        finally:
            await tables.leading.close()
            await tables.at_node.close()

    asyncio.run(main())


def test_each_node_knows_what_it_made_and_the_api_what_no_node_did(cluster_url: str, tmp_path: Path):
    async def work(tables: Tables) -> None:
        mine, other = await tables.record("1"), await tables.record("2", node="b")
        video = tmp_path / "str_a" / "3.mp4"
        own = await tables.store.add_recording(Segment(video, None, 1.0, 0.0, 60.0, 1500, 300, (2, 2)))
        assert {owner for owner, _ in await tables.node.unknown(99, NOW)} == {mine.id}
        assert await tables.leader.unknown(99, NOW) == ((own.id, f"recordings/{own.path}"),)
        await tables.node.add(await tables.rows(tables.node))
        assert await tables.node.unknown(99, NOW) == ()
        assert (await tables.state(mine), await tables.state(other)) == (LISTED, "")
        assert (await tables.node.next(WAITING, NOW)) and await tables.leader.next(WAITING, NOW) is None
        assert (await tables.node.waiting()).files == 2 == (await tables.leader.waiting()).files
        assert (await tables.leader.of_nodes())[1] == {"a": Waiting(2, 200, NOW)}

    run(cluster_url, tmp_path, work)


def test_what_a_silent_node_had_no_time_to_write_down_is_counted(cluster_url: str, tmp_path: Path):
    async def work(tables: Tables) -> None:
        await tables.leading.write(lambda session: tell(session, replace(FACTS, name="a")))
        await tables.record("1")
        await tables.node.add(await tables.rows(tables.node))
        await tables.record("2")
        assert (await tables.leader.of_nodes())[1]["a"].files == 2
        silent = update(NodeRow).values(seen_at=NodeRow.seen_at - 60)
        await tables.leading.write(lambda session: session.execute(silent))
        assert (await tables.leader.of_nodes())[1]["a"] == Waiting(4, 500, 61.0)

    run(cluster_url, tmp_path, work)


def test_what_a_node_without_a_bucket_will_never_write_down_is_counted_where_the_cluster_has_one(
    cluster_url: str, tmp_path: Path
):
    async def work(tables: Tables) -> None:
        for name, store in (("a", ""), ("b", "s3://bucket")):
            facts = replace(FACTS, name=name, store=store)
            await tables.leading.write(lambda session, facts=facts: tell(session, facts))  # type: ignore[misc]
            await tables.record(name, node=name)
        await tables.leader.owner_id()
        assert (await tables.leader.of_nodes())[1] == {}, "nothing is to be sent anywhere"
        await tables.leader.say_place("s3://bucket")
        assert (await tables.leader.of_nodes())[1] == {"a": Waiting(2, 300, 61.0)}

    run(cluster_url, tmp_path, work)


def test_what_is_written_down_while_its_recording_is_deleted_is_deleted_with_it(cluster_url: str, tmp_path: Path):
    entered, go = threading.Event(), threading.Event()

    class Slow(NodeObjects):
        def _listed(self, session: Session, records: Sequence[ObjectRecord]) -> None:
            session.flush()
            entered.set()
            assert go.wait(20)
            super()._listed(session, records)

    async def work(tables: Tables) -> None:
        row = await tables.record("1")
        slow = Slow(tables.at_node, "a")
        adding = asyncio.create_task(slow.add(await tables.rows(slow)))
        assert await asyncio.to_thread(entered.wait, 20)
        dooming = asyncio.create_task(tables.doom(row))
        await asyncio.sleep(0.5)
        assert not dooming.done(), "it waits for who writes down"
        go.set()
        await asyncio.gather(adding, dooming)
        assert await tables.states(row) == {DELETING}
        assert await tables.state(row) == SENDING, "it may be on its way by now"

    run(cluster_url, tmp_path, work)


def test_deleting_what_arrives_just_then_leaves_no_row_and_nobody_waits_for_the_other(cluster_url: str, tmp_path: Path):
    async def work(tables: Tables) -> None:
        rows = [await tables.record(str(n)) for n in range(20)]
        await tables.node.add(await tables.rows(tables.node))
        files = {row.id: await tables.leader.of([row.id]) for row in rows}

        async def arrive(row: RecordingRecord) -> None:
            for record in files[row.id]:
                await tables.node.stored(record, "0" * 64, "tag", NOW)

        for row in rows:
            await asyncio.gather(arrive(row), tables.doom(row))
        assert set.union(*[await tables.states(row) for row in rows]) == {DELETING}
        assert {await tables.state(row) for row in rows} <= {DOOMED, SENDING}
        assert await tables.store.all_recordings() == ()

    run(cluster_url, tmp_path, work)


def test_copy_that_is_gone_leaves_an_order_only_where_something_was_on_its_way(cluster_url: str, tmp_path: Path):
    async def work(tables: Tables) -> None:
        sent, waits = await tables.record("1"), await tables.record("2")
        await tables.node.add(await tables.rows(tables.node))
        for record in await tables.leader.of([sent.id]):
            await tables.node.stored(record, "0" * 64, "tag", NOW)
        for row in (sent, waits):
            await tables.doom(row)
        assert set(await tables.node.doomed(9)) == {sent.path, waits.path}
        assert await tables.leader.is_doomed(f"recordings/{waits.path}")
        for row in (sent, waits):
            await tables.node.copy_gone(row.path)
        assert (await tables.state(sent), await tables.state(waits)) == (None, LOOSE)
        assert await tables.node.loose(9) == (waits.path,)
        await tables.node.all_gone(waits.path)
        assert await tables.state(waits) is None
        assert not await tables.leader.is_doomed(f"recordings/{waits.path}")

    run(cluster_url, tmp_path, work)


def test_what_is_to_go_and_what_is_missing_is_read_by_name_and_on_behind_the_last(cluster_url: str, tmp_path: Path):
    async def work(tables: Tables) -> None:
        rows = [await tables.record(name) for name in ("3", "1", "2")]
        await tables.node.add(await tables.rows(tables.node))
        first, second, third = sorted(row.path for row in rows)
        for row in rows:
            for record in await tables.leader.of([row.id]):
                await tables.leader.lost(record.key)
        keys = [record.key for record in await tables.node.missing_here(9)]
        assert keys == sorted(keys) and len(keys) == 6
        assert [record.key for record in await tables.node.missing_here(2, keys[1])] == keys[2:4]
        assert await tables.node.missing_here(2, keys[-1]) == ()
        for row in rows:
            await tables.doom(row)
        assert await tables.node.doomed(2) == (first, second)
        assert await tables.node.doomed(2, second) == (third,)

    run(cluster_url, tmp_path, work)


def test_what_a_forgotten_node_has_not_sent_is_missing(cluster_url: str, tmp_path: Path):
    async def work(tables: Tables) -> None:
        await tables.leading.write(lambda session: tell(session, replace(FACTS, name="a")))
        sent, waits = await tables.record("1"), await tables.record("2")
        await tables.node.add(await tables.rows(tables.node))
        for record in await tables.leader.of([sent.id]):
            await tables.node.stored(record, "0" * 64, "tag", NOW)
        (first, _) = await tables.leader.of([sent.id])
        assert await tables.leader.can_send(first)
        await tables.leading.write(lambda session: forget_node(session, "a"))
        assert (await tables.states(sent), await tables.states(waits)) == ({STORED}, {MISSING})
        assert not await tables.leader.can_send(first)
        assert {record.owner for record in await tables.node.missing_here(9)} == {waits.id}
        await tables.doom(waits)
        assert await tables.state(waits) == SENDING, "it may be on its way all the same"

    run(cluster_url, tmp_path, work)

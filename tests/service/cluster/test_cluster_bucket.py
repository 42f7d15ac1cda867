"""A cluster's recordings in S3, over real nodes in one process, PostgreSQL and moto: sent, seen, deleted, lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from models.store.address import Address
from models.store.opening import open_store
from service.bucket import bucket as bucket_module
from service.bucket import uploads
from service.bucket.keys import key_of
from service.cluster import whereabouts
from service.cluster.agent import discards, node_bucket
from service.cluster.agent.node_bucket import NodeBucket
from service.cluster.cluster_bucket import ELSEWHERE, open_cluster_bucket, trouble_of
from service.cluster.links.errors import LinkDown
from service.cluster.standby import StandbyRecordings
from service.errors_base import NotFound, Unavailable
from service.recording.segment_files import read_segment
from service.storage.cluster import nodes
from service.storage.cluster.tables import RecordingNodeRow
from service.storage.objects import MISSING, STORED
from service.storage.records import RecordingRecord
from service.storage.tables import ObjectRow, RecordingRow
from tests.models.store.conftest import aws, bucket, credentials, proxy  # noqa: F401 - fixtures
from tests.service.cluster.bucket_world import FOREVER, STREAM, BucketWorld, Work, eventually
from tests.service.cluster.world import until, world_at
from tests.service.recording.test_reconcile import write_video
from tests.support.s3 import GONE, SLOW, FaultProxy, make_bucket, moto_server

NAME = "20270101T120000000Z"
VIDEO = f"recordings/{STREAM}/2027/01/01/{NAME}.mp4"
SIDECAR = f"recordings/{STREAM}/2027/01/01/{NAME}.jsonl"


@pytest.fixture
def run(
    cluster_url: str,
    tmp_path: Path,
    bucket: str,  # noqa: F811 - a fixture
    proxy: FaultProxy,  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> Work:
    """Everything is looked at ten times a second."""
    for module, name in (
        (bucket_module, "LOOK_S"),
        (bucket_module, "COPIES_S"),
        (bucket_module, "COMPARE_AGAIN_S"),
        (node_bucket, "COPIES_S"),
        (NodeBucket, "claim_again_s"),
        (discards, "LOOK_S"),
        (uploads, "FIRST_WAIT_S"),
        (uploads, "LONGEST_PAUSE_S"),
    ):
        monkeypatch.setattr(module, name, 0.1)

    def started(work: Callable[[BucketWorld], Awaitable[None]]) -> None:
        async def main() -> None:
            async with world_at(cluster_url, tmp_path) as world:
                whole = BucketWorld(world, proxy.url, bucket)
                try:
                    await work(whole)
                finally:
                    await whole.close()

        asyncio.run(main())

    return started


def test_recording_of_a_node_goes_to_the_bucket_and_is_seen_there_once_its_copy_is_gone(run: Work, proxy: FaultProxy):  # noqa: F811
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        row = await whole.record("a")
        content = (whole.folder("a") / row.path).read_bytes()
        row = await whole.stored()
        assert whole.keys() == [SIDECAR, VIDEO]
        assert [each.node for each in await whole.objects_of(row)] == ["a", "a"]
        asked = len(proxy.asked)
        assert await whole.content(row, 100, 299) == content[100:300]
        assert not any(line.startswith("GET") and ".mp4" in line for line in proxy.asked[asked:]), (
            "it is the node's copy"
        )
        whole.kept.path(row.path).unlink()
        await whole.world.remove_node("a")
        await whole.add_node("a")  # keeps copies for no time
        await whole.left("a")
        assert await whole.content(row, 100, 299) == content[100:300]
        assert any(line.startswith("GET") and ".mp4" in line for line in proxy.asked[asked:])
        assert not whole.kept.path(row.path).exists(), "it is read there, not fetched"
        assert whole.world.nodes["a"].spool.told() == frozenset(), "nothing is kept of what is not here"

    run(work)


def test_tag_of_a_file_is_the_same_from_its_node_and_from_the_bucket(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        row = await whole.stored()
        video, _ = await whole.objects_of(row)
        path = await whole.kept.find(row, row.path)
        assert path.is_file() and (path.stat().st_mtime, path.stat().st_size) == (video.mtime, video.bytes)

    run(work)


def test_recording_of_a_dead_node_is_seen_from_the_bucket_and_one_not_sent_says_when_it_will_be(
    run: Work,
    proxy: FaultProxy,  # noqa: F811
):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        sent = await whole.stored()
        content = (whole.folder("a") / sent.path).read_bytes()
        proxy.judge = lambda method, path: GONE if method in ("PUT", "POST") else None
        waits = await whole.record("a", "20270101T130000000Z")
        folder = whole.folder("a")
        await whole.kill("a")
        began_s = time.monotonic()
        assert await whole.content(sent) == content
        assert time.monotonic() - began_s < 3.0, "a node that is silent is not waited for"
        with pytest.raises(Unavailable) as refused:
            await whole.content(waits)
        assert "lies on node a alone" in str(refused.value)
        assert "as soon as that is back" in str(refused.value)
        assert refused.value.retry_after_s == whereabouts.AWAY_AGAIN_S
        await whole.forget("a")
        assert await whole.content(sent) == content
        with pytest.raises(NotFound, match="left the cluster"):
            await whole.content(waits)
        proxy.judge = lambda method, path: None
        await whole.add_node("a", recordings_local_hours=1.0)  # it is back after all
        assert whole.folder("a") == folder
        await whole.stored("20270101T130000000Z")

    run(work)


def test_api_without_a_bucket_shows_what_nodes_have_and_says_why_it_shows_no_more(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        row = await whole.stored()
        content = (whole.folder("a") / row.path).read_bytes()
        await whole.kept.close()
        await whole.lead(store="")
        assert await whole.content(row) == content
        whole.kept.path(row.path).unlink()
        whole.world.links["a"].down = True
        with pytest.raises(Unavailable, match="ACTOSCOPE_STORE names none"):
            await whole.content(row)
        with pytest.raises(Unavailable, match="ACTOSCOPE_STORE names none"):
            async with whole.kept.at_hand([row]):
                pass

    run(work)


def test_link_that_fails_in_the_middle_is_made_up_for_by_the_bucket(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        row = await whole.stored()
        content = (whole.folder("a") / row.path).read_bytes()
        whole.world.links["a"].down = True  # the node lives, by the database
        assert await whole.content(row) == content
        async with whole.kept.at_hand([row]):
            assert whole.kept.path(row.path).read_bytes() == content
            assert row.events_path is not None and whole.kept.path(row.events_path).is_file()

    run(work)


def test_files_for_work_come_from_nodes_and_bucket_and_stay_for_it(run: Work, proxy: FaultProxy):  # noqa: F811
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a")
        await whole.add_node("b", store="")
        await whole.record("a")
        gone = await whole.stored()
        await whole.left("a")
        there = await whole.record("b", "20270101T130000000Z")
        proxy.judge = lambda method, path: GONE if method == "GET" and path.endswith(".mp4") else None
        with pytest.raises(Unavailable):
            async with whole.kept.at_hand([gone, there]):
                pass
        proxy.judge = lambda method, path: None
        async with whole.kept.at_hand([gone, there]):
            whole.kept._fetched._most_bytes = 0
            await whole.kept._make_room(0)
            assert all(whole.kept.path(row.path).is_file() for row in (gone, there)), "nobody takes them away meanwhile"
        await whole.kept._make_room(0)
        assert not any(whole.kept.path(row.path).exists() for row in (gone, there))

    run(work)


def test_file_is_fetched_by_one_at_a_time_also_where_the_first_did_not_get_it(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        under_way, most = 0, 0

        async def fetch() -> None:
            nonlocal under_way, most
            async with whole.kept._turn("a.mp4"):
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.1)
                under_way -= 1

        first, second = asyncio.create_task(fetch()), asyncio.create_task(fetch())
        await first
        given_up = asyncio.create_task(fetch())
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(second, fetch(), fetch())
        assert given_up.cancelled() and most == 1
        assert (whole.kept._under_way, dict(whole.kept._users)) == ({}, {})

    run(work)


def test_disk_without_room_shows_what_is_in_the_bucket_all_the_same(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        row = await whole.stored()
        whole.kept._fetched._floor_bytes = 1 << 60
        assert len(await whole.content(row)) == (whole.folder("a") / row.path).stat().st_size
        assert not whole.kept.path(row.path).exists()
        with pytest.raises(Unavailable, match="no room"):
            async with whole.kept.at_hand([row]):
                pass

    run(work)


def test_deletion_reaches_bucket_and_node_at_once_and_is_not_taken_back(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        row = await whole.record("a")
        await whole.stored()
        assert await whole.content(row)
        told = whole.world.recorded[-1]
        await whole.kept.delete(row)
        assert await whole.row(NAME) is None and not whole.kept.path(row.path).exists()
        await whole.kept.add(*told)  # told once more, before the node knows
        assert await whole.row(NAME) is None
        await whole.left("a")
        await eventually(lambda: _none_left(whole), "objects and their rows are gone")
        assert whole.world.nodes["a"].spool.told() == frozenset()

    run(work)


async def _none_left(whole: BucketWorld) -> bool:
    left = await whole.database.read(lambda session: nodes.recording_nodes(session, [f"{STREAM}/{NAME}.mp4"]))
    waiting = await whole.objects.waiting()
    return not (whole.keys() or left or waiting.deletions)


def test_deletion_while_the_node_is_away_is_done_there_when_it_is_back(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        row = await whole.stored()
        folder = whole.folder("a")
        await whole.kill("a")
        await whole.kept.delete(row)
        await eventually(lambda: _no_objects(whole), "its objects are gone")
        assert await whole.row(NAME) is None and (folder / row.path).is_file()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.left("a")
        await eventually(lambda: _none_left(whole), "nothing is left of it")
        assert await whole.row(NAME) is None, "it is not told of again"

    run(work)


def test_deletion_after_the_node_was_forgotten_is_done_there_when_it_is_back(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        row = await whole.stored()
        folder, told = whole.folder("a"), whole.world.recorded[-1]
        await whole.kill("a")
        await whole.forget("a")
        await whole.kept.delete(row)
        await eventually(lambda: _no_objects(whole), "its objects are gone")
        await whole.kept.add(*told)
        assert await whole.row(NAME) is None and (folder / row.path).is_file()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.left("a")
        await eventually(lambda: _none_left(whole), "nothing is left of it")

    run(work)


async def _no_objects(whole: BucketWorld) -> bool:
    return not whole.keys()


def test_copy_that_the_disk_does_not_let_go_of_holds_up_no_other(run: Work, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(discards, "AT_ONCE", 1)

    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        for hour in (12, 13):
            await whole.record("a", f"20270101T{hour}0000000Z")
        first, second = [await whole.stored(f"20270101T{hour}0000000Z") for hour in (12, 13)]
        video = whole.folder("a") / first.path
        video.unlink()
        (video / "folder").mkdir(parents=True)  # what no file's deletion takes away
        for row in (first, second):
            await whole.kept.delete(row)
        await until(lambda: not (whole.folder("a") / second.path).exists(), "the other one is gone")
        (video / "folder").rmdir()
        video.rmdir()
        await eventually(lambda: _none_left(whole), "nothing is left of it")

    run(work)


def test_missing_file_that_is_not_here_holds_up_no_other(run: Work, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(node_bucket, "AT_ONCE", 1)

    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        for hour in (12, 13):
            await whole.record("a", f"20270101T{hour}0000000Z")
        first, second = [await whole.stored(f"20270101T{hour}0000000Z") for hour in (12, 13)]
        (whole.folder("a") / first.path).unlink()
        for row in (first, second):
            for record in await whole.objects_of(row):
                whole.s3.delete(record.key)
                await whole.objects.lost(record.key)
        other = key_of(f"recordings/{second.path}")
        await eventually(lambda: _state(whole, other, STORED), "the other one is sent again")
        assert whole.s3.head(other) is not None
        assert await _state(whole, key_of(f"recordings/{first.path}"), MISSING)

    run(work)


def test_copy_of_a_folder_that_is_not_there_is_deleted_once_it_is(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        row = await whole.stored()
        folder = whole.folder("a")
        away = folder.rename(folder.with_name("away"))  # as one that is not mounted
        await whole.kept.delete(row)
        await eventually(lambda: _no_objects(whole), "its objects are gone")
        await asyncio.sleep(0.5)  # some rounds
        away.rename(folder)
        await whole.left("a")
        await eventually(lambda: _none_left(whole), "nothing is left of it")

    run(work)


def test_copies_go_while_a_file_is_being_sent(run: Work, proxy: FaultProxy):  # noqa: F811
    sending = threading.Event()

    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        other = await whole.stored()
        proxy.judge = lambda method, path: GONE if method == "PUT" else None
        row = await whole.record("a", "20270101T130000000Z")
        await eventually(lambda: _waits(whole, "a", 2), "two files wait")
        its_bucket = whole.world.nodes["a"].bucket
        assert its_bucket is not None
        upload = asyncio.create_task(its_bucket._parts.hands.do(lambda: sending.wait(60)))  # as a large one
        try:
            await whole.kept.delete(row)
            await until(lambda: not (whole.folder("a") / row.path).exists(), "what was not sent is gone")
            await asyncio.sleep(0.5)  # it is looked for in the bucket by now, behind what is being sent
            await whole.kept.delete(other)
            await whole.left("a")
            assert not upload.done()
        finally:
            sending.set()
        assert await upload
        await eventually(lambda: _none_left(whole), "nothing is left of it")

    run(work)


def test_recording_that_is_deleted_while_it_is_sent_leaves_nothing(run: Work, proxy: FaultProxy):  # noqa: F811
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        proxy.judge = lambda method, path: SLOW if method == "PUT" and path.endswith(".mp4") else None
        asked = len(proxy.asked)
        row = await whole.record("a")
        await until(lambda: any("PUT" in one and ".mp4" in one for one in proxy.asked[asked:]), "it is being sent")
        await whole.kept.delete(row)
        await whole.left("a")
        await eventually(lambda: _none_left(whole), "nothing is left of it")
        await asyncio.sleep(2.0)  # longer than the slow answer
        assert await _none_left(whole)

    run(work)


def test_object_of_a_deleted_recording_is_not_taken_in_again(run: Work, caplog: pytest.LogCaptureFixture):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        row = await whole.stored()
        content = whole.s3.read(VIDEO)[0]
        await whole.kill("a")
        await whole.kept.delete(row)
        await eventually(lambda: _no_objects(whole), "its objects are gone")
        whole.s3.put_bytes(VIDEO, content)  # as an upload that ends late
        whole.bucket._due["comparison"] = 0.0
        await eventually(lambda: _no_objects(whole), "it is deleted once more")
        assert "deleted while it was on its way" in caplog.text
        assert await whole.store.all_recordings() == ()

    run(work)


def test_without_a_bucket_a_node_that_is_away_keeps_its_recording(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead(store="")
        await whole.add_node("a", store="")
        row = await whole.record("a")
        whole.world.links["a"].down = True
        with pytest.raises(LinkDown):
            await whole.kept.delete(row)
        assert await whole.row(NAME) is not None
        whole.world.links["a"].down = False
        await whole.kept.delete(row)
        assert (whole.files("a"), await whole.row(NAME)) == ([], None)

    run(work)


def test_bucket_that_is_away_loses_nothing_and_is_said_by_node(run: Work, proxy: FaultProxy):  # noqa: F811
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a")
        await eventually(whole.objects.place, "the leader has claimed it")
        proxy.judge = lambda method, path: GONE
        for hour in (12, 13):
            await whole.record("a", f"20270101T{hour}0000000Z")
        await eventually(lambda: _waits(whole, "a", 4), "four files wait")
        await eventually(
            lambda: _says(whole, "a", f"{whole.place}: not reached", "4 files"), "the node says what is wrong"
        )
        standing = whole.bucket.standing
        await until(
            lambda: standing.waiting.files == 4 and "node a does not send: 4 files" in standing.detail, "it is told"
        )
        assert "s3://" not in standing.detail
        supervisor = whole.world.leaders[-1][0]
        told = b'actoscope_node_bucket_uploads_pending{node="a"} 4.0'
        await until(lambda: told in supervisor.metrics_text(), "the metrics say it by node")
        proxy.judge = lambda method, path: None
        for hour in (12, 13):
            await whole.stored(f"20270101T{hour}0000000Z")
        await whole.left("a")
        await until(lambda: standing.detail == "ok", "all is well")

    run(work)


async def _waits(whole: BucketWorld, node: str, files: int) -> bool:
    _, found = await whole.objects.of_nodes()
    return node in found and found[node].files == files


async def _says(whole: BucketWorld, node: str, *words: str) -> bool:
    problem = await _problem(whole, node)
    return all(each in problem for each in words)


async def _problem(whole: BucketWorld, node: str) -> str:
    known, waiting = await whole.objects.of_nodes()
    return trouble_of(known[node], await whole.objects.place(), waiting.get(node))


def test_node_that_is_set_otherwise_sends_nothing_and_that_is_said(
    run: Work,
    proxy: FaultProxy,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await eventually(whole.objects.place, "the leader has claimed it")
        await whole.add_node("none", store="")
        await whole.add_node("other", store=f"s3://{whole.name}/elsewhere")
        rows = [await whole.record(name, f"20270101T1{n}0000000Z") for n, name in enumerate(("none", "other"))]
        for name, words in (("none", "is not set there"), ("other", f"{whole.name}/elsewhere, the cluster's is")):
            problem = await eventually(lambda name=name: _problem(whole, name), f"{name} is said")  # type: ignore[misc]
            assert words in problem
        await until(lambda: caplog.text.count("do not go to the bucket") == 2, "the log says it, once each")
        await eventually(lambda: _waits(whole, "none", 2), "what it will never write down is counted")
        await until(lambda: "node none does not send: 2 files wait there" in whole.bucket.standing.detail, "it is told")
        assert whole.keys() == []
        elsewhere = open_store(Address(whole.name, "elsewhere"), whole.s3_url)
        assert list(elsewhere.list()) == [], "not even who it belongs to is written there"
        for row in rows:
            assert await whole.content(row), "it is where it was"
        await whole.world.remove_node("other")
        await whole.add_node("other")
        await whole.stored("20270101T110000000Z")

    run(work)


def test_bucket_of_the_same_name_at_another_service_is_not_taken_for_the_cluster_s(run: Work, aws: str):  # noqa: F811
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await eventually(whole.objects.place, "the leader has claimed it")
        whole.s3.delete("recordings/OWNER")  # as of a service at which nobody has claimed it
        await whole.add_node("a")
        await whole.record("a")
        problem = await eventually(lambda: _problem(whole, "a"), "it is said")
        assert "ACTOSCOPE_S3_ENDPOINT" in problem
        assert whole.keys() == [] and len(whole.files("a")) == 2

    run(work)


def test_api_that_is_set_to_another_service_does_not_take_the_recordings_for_lost(run: Work, tmp_path: Path):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a")
        await whole.record("a")
        row = await whole.stored()
        await whole.left("a")
        await whole.kept.close()
        with moto_server(tmp_path) as other:
            make_bucket(other, whole.name)
            await whole.lead(s3_endpoint=other)
            await until(lambda: "ACTOSCOPE_S3_ENDPOINT" in whole.bucket.standing.problem, "it says what is wrong")
            with pytest.raises(Unavailable, match="another bucket"):
                await whole.content(row)
            await _is_not_at_hand(whole, row)
            assert list(open_store(Address(whole.name), other).list()) == []
            await whole.kept.close()
        assert [each.state for each in await whole.objects_of(row)] == [STORED, STORED]
        await whole.lead()
        assert await whole.content(row)

    run(work)


def test_api_that_is_set_to_another_place_does_not_take_the_recordings_for_lost(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a")
        await whole.record("a")
        row = await whole.stored()
        await whole.left("a")
        first = whole.kept
        await first.close()
        await whole.lead(store=f"s3://{whole.name}/elsewhere")
        await until(lambda: "copy all of it" in whole.bucket.standing.problem, "it says what is wrong")
        with pytest.raises(Unavailable, match=ELSEWHERE):
            await whole.content(row)
        await _is_not_at_hand(whole, row)
        assert [each.state for each in await whole.objects_of(row)] == [STORED, STORED]
        assert await whole.objects.place() == whole.place, "nodes go on as before"
        await whole.kept.close()
        await whole.lead()
        assert await whole.content(row)

    run(work)


async def _is_not_at_hand(whole: BucketWorld, row: RecordingRecord) -> None:
    """Nothing is made without the footage, whether a node recorded it or this API did before it led."""
    with pytest.raises(Unavailable, match=ELSEWHERE):
        async with whole.kept.at_hand([row]):
            pass
    with pytest.raises(Unavailable, match=ELSEWHERE):
        async with whole.bucket.at_hand([row.id]):
            pass


def test_lost_object_is_sent_again_by_the_node_that_has_a_copy_else_it_is_missing(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        row = await whole.stored()
        whole.s3.delete(VIDEO)
        whole.bucket._due["comparison"] = 0.0
        await until(lambda: whole.s3.head(VIDEO), "it is sent again")
        await whole.stored()
        (whole.folder("a") / row.path).unlink()  # by somebody
        whole.s3.delete(VIDEO)
        whole.bucket._due["comparison"] = 0.0
        await eventually(lambda: _state(whole, VIDEO, MISSING), "the node has none")
        with pytest.raises(NotFound):
            await whole.content(row)

    run(work)


def test_file_of_a_node_that_is_gone_before_it_was_sent_is_missing_and_sent_should_it_come_back(
    run: Work,
    proxy: FaultProxy,  # noqa: F811
):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await eventually(whole.objects.place, "the leader has claimed it")
        proxy.judge = lambda method, path: GONE if method == "PUT" else None
        row = await whole.record("a")
        await eventually(lambda: _waits(whole, "a", 2), "two files wait")
        video = whole.folder("a") / row.path
        content = video.read_bytes()
        video.unlink()  # by somebody
        proxy.judge = lambda method, path: None
        await eventually(lambda: _state(whole, VIDEO, MISSING), "it waits no longer")
        await eventually(lambda: _state(whole, SIDECAR, STORED), "what is there is sent")
        assert (await whole.objects.waiting()).missing == 1
        video.write_bytes(content)
        await whole.stored()

    run(work)


async def _state(whole: BucketWorld, key: str, state: str) -> bool:
    record = await whole.objects.get(key)
    return record is not None and record.state == state


def test_database_that_was_lost_is_made_anew_and_the_node_s_copy_is_known_again(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        row = await whole.stored()
        told = whole.world.recorded[-1]
        await whole.world.remove_node("a")
        await whole.database.write(_forget_all)
        whole.bucket._due["comparison"] = 0.0
        again = await whole.stored()
        assert (again.path, again.id != row.id) == (row.path, True)
        await whole.kept.add(*told)
        await whole.add_node("a")
        await whole.left("a")
        assert {each.node for each in await whole.objects_of(again)} == {"a"}
        assert await whole.content(again)

    run(work)


def _forget_all(session: Session) -> None:
    for kind in (ObjectRow, RecordingRow, RecordingNodeRow):
        session.execute(delete(kind))


def test_api_that_stands_by_reads_from_the_bucket_what_is_there(run: Work, proxy: FaultProxy):  # noqa: F811
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        await whole.add_node("a", recordings_local_hours=1.0)
        await whole.record("a")
        settings = whole.world.settings.model_copy(update=whole.settings(data_dir=whole.world.folder / "standby"))
        second = open_cluster_bucket(settings, whole.database, 0.0)
        assert second is not None
        beside = StandbyRecordings(
            settings.recordings_dir, whole.store, FOREVER, lambda: Unavailable("stands by"), second
        )
        row = await whole.stored()
        path = await beside.find(row, row.path)
        record = await second.find(path)
        assert await second.read(record, 0, record.bytes - 1) == (whole.folder("a") / row.path).read_bytes()
        proxy.judge = lambda method, path: GONE if method == "PUT" else None
        waits = await whole.record("a", "20270101T130000000Z")
        with pytest.raises(Unavailable, match="stands by"):
            await beside.find(waits, waits.path)
        await eventually(lambda: _waits(whole, "a", 2), "two files wait")
        assert (await second.look()).waiting.files == 2

    run(work)


def test_deletion_that_a_leader_could_not_end_is_ended_by_the_next_one(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        video = await asyncio.to_thread(write_video, whole.kept.path(f"{STREAM}/{NAME}.mp4"))
        await whole.store.add_recording(read_segment(video))
        row = await whole.stored()
        await whole.store.doom_recording(row.id)
        await whole.kept.close()
        await whole.lead()
        assert await whole.row(NAME) is None
        await eventually(lambda: _none_left(whole), "nothing is left of it")

    run(work)


def test_what_the_api_recorded_before_it_led_is_sent_by_itself(run: Work):
    async def work(whole: BucketWorld) -> None:
        await whole.lead()
        video = await asyncio.to_thread(write_video, whole.kept.path(f"{STREAM}/{NAME}.mp4"))
        content = video.read_bytes()
        await whole.store.add_recording(read_segment(video))
        row = await whole.stored()
        await until(lambda: not video.exists(), "its copy is gone")
        assert await whole.content(row) == content
        await whole.kept.delete(row)
        await eventually(lambda: _none_left(whole), "nothing is left of it")

    run(work)

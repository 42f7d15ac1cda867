"""Recordings in S3 that is slow, busy, away, lies, or loses them: nothing is lost, nothing is believed unseen."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.store.multipart import upload_in_parts
from service.alerts.media import IncidentMedia
from service.bucket.bucket import BucketUnusable, open_bucket
from service.errors_base import NotFound, Unavailable
from service.recording.adoption import Adoption
from service.settings import Settings
from service.storage.database import Database
from service.storage.objects import DELETING, MISSING, STORED, WAITING, ObjectRecord
from tests.service.bucket.conftest import STREAM, Run, World
from tests.support.s3 import BUSY, DENIED, GONE, WRONG_TAG, FaultProxy, first

VIDEO = f"recordings/{STREAM}/2027/01/01/20270101T120000000Z.mp4"
SIDECAR = f"recordings/{STREAM}/2027/01/01/20270101T120000000Z.jsonl"


async def read(world: World, path: str, begin: int = 0, end: int | None = None) -> bytes:
    record = await world.bucket.find(world.folder / path)
    blocks = world.bucket.blocks(record, begin, record.bytes - 1 if end is None else end)
    return b"".join([block async for block in blocks])


async def sent(world: World) -> bytes:
    """→ the video of a recording that is in the bucket alone."""
    recording = await world.record()
    content = world.recordings.path(recording.path).read_bytes()
    await world.work()
    assert world.files() == []
    return content


def test_recording_goes_to_the_bucket_and_its_copy_goes_then(run: Run):
    async def work(world: World) -> None:
        content = await sent(world)
        assert world.keys() == [SIDECAR, VIDEO]
        (row,) = await world.rows()
        assert row.place == "s3"
        assert await read(world, f"recordings/{row.path}") == content
        assert await read(world, f"recordings/{row.path}", 100, 299) == content[100:300]
        assert (await world.recordings.reconcile()).forgotten == 0
        gauges = world.recordings.measures()["gauges"]
        assert (gauges["bucket_uploads_pending"], gauges["bucket_failing"]) == (0, 0)
        assert world.bucket.standing.detail == "ok"

    run(work)


def test_bucket_that_is_away_leaves_files_here_and_says_so(run: Run, proxy: FaultProxy):
    async def work(world: World) -> None:
        proxy.judge = lambda method, path: GONE
        for minute in range(3):
            await world.record(f"20270101T12{minute:02d}00000Z")
        await world.work(3)
        assert await world.states() == [WAITING] * 6
        assert len(world.files()) == 6
        standing = world.bucket.standing
        assert standing.waiting.files == 6
        assert standing.waiting.bytes == sum(row.bytes for row in await world.rows())
        assert "6 files" in standing.detail and "s3://" not in standing.detail
        assert "site/recordings" in standing.problem
        assert world.bucket.measures()["gauges"]["bucket_uploads_oldest_seconds"] >= 61
        proxy.judge = lambda method, path: None
        await world.work(20)
        assert await world.states() == [STORED] * 6
        assert standing.problem == ""

    run(work)


@pytest.mark.parametrize("fault", [BUSY, WRONG_TAG])
def test_file_counts_as_sent_only_once_it_was_seen_there_as_it_was_sent(run: Run, proxy: FaultProxy, fault: str):
    async def work(world: World) -> None:
        await world.record()
        proxy.judge = lambda method, path: fault if method == "PUT" and path.endswith(".mp4") else None
        await world.work(4)
        (row,) = await world.rows()
        assert (await world.states(), row.place) == ([WAITING, STORED], "local")
        assert len(world.files()) == 2, "copies stay until all of a recording is there"
        proxy.judge = lambda method, path: None
        await world.work(20)
        assert (await world.rows())[0].place == "s3"
        assert world.files() == []

    run(work)


def test_deletion_reaches_the_bucket_when_it_is_back_also_after_a_restart(run: Run, proxy: FaultProxy):
    async def away(world: World) -> None:
        await sent(world)
        proxy.judge = lambda method, path: GONE if method == "DELETE" else None
        await world.recordings.delete((await world.rows())[0])
        assert await world.rows() == ()
        await world.work(2)
        assert world.keys() == [SIDECAR, VIDEO]
        assert (await world.objects.waiting()).deletions == 2

    async def back(world: World) -> None:
        proxy.judge = lambda method, path: None
        await world.work(20)
        assert world.keys() == []
        assert (await world.objects.waiting()).deletions == 0
        assert await world.rows() == (), "what is to go is not taken in again"

    run(away)
    run(back)


def test_deletion_that_was_broken_off_is_ended_by_the_next_start(run: Run):
    async def killed(world: World) -> None:
        recording = await world.record()
        await world.work(1)
        await world.store.doom_recording(recording.id)
        await world.work(3)
        assert len(world.keys()) == 1, "the object stays until the row is gone"

    async def next_start(world: World) -> None:
        assert (await world.recordings.reconcile()).forgotten == 1
        await world.work()
        assert (world.files(), world.keys(), await world.rows()) == ([], [], ())

    run(killed)
    run(next_start)


def test_credentials_that_may_not_delete_do_not_hold_up_uploads(run: Run, proxy: FaultProxy):
    async def work(world: World) -> None:
        await sent(world)
        proxy.judge = lambda method, path: DENIED if method == "DELETE" else None
        await world.recordings.delete((await world.rows())[0])
        await world.record("20270101T130000000Z")
        await world.work(4)
        assert (await world.rows())[0].place == "s3"
        assert (await world.objects.waiting()).deletions == 2

    run(work)


def test_copy_stays_while_the_object_is_not_there_as_it_was_sent(run: Run):
    async def work(world: World) -> None:
        await world.record()
        await world.work(1)
        (sidecar,) = world.keys()
        world.s3.put_bytes(sidecar, b"of somebody else")
        await world.work(20)
        assert world.files() == []
        (row,) = await world.rows()
        assert await read(world, f"recordings/{row.events_path}") == b'{"type":"x"}\n'

    run(work)


def test_lost_object_is_sent_again_or_told_and_counts_again_once_it_is_back(run: Run):
    async def work(world: World) -> None:
        await sent(world)
        (row,) = await world.rows()
        content = world.s3.read(VIDEO)[0]
        world.s3.delete(VIDEO)
        with pytest.raises(NotFound):
            await read(world, f"recordings/{row.path}")
        world.now += 90_000
        await world.work(3)
        assert sorted(await world.states()) == sorted([MISSING, STORED])
        assert "missing in it: 1" in world.bucket.standing.problem
        assert world.recordings.is_kept(row), "the row stays: the object may come back"
        world.s3.put_bytes(VIDEO, content)
        world.now += 90_000
        await world.work(3)
        assert await world.states() == [STORED, STORED]

    run(work)


def test_bucket_that_was_moved_is_known_again_by_what_is_in_it(run: Run, tmp_path: Path):
    async def work(world: World) -> None:
        content = await sent(world)
        (row,) = await world.rows()
        (tmp_path / "copy").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        s3: Any = world.s3
        tag = upload_in_parts(s3._client, s3._at(VIDEO), tmp_path / "copy", sha256, lambda done: None)
        assert tag.endswith('-1"'), "another tag of the same content"
        with pytest.raises(Unavailable):
            await read(world, f"recordings/{row.path}")
        world.now += 90_000
        await world.work(3)
        assert await world.states() == [STORED, STORED]
        assert await read(world, f"recordings/{row.path}") == content

    run(work)


def test_objects_without_a_row_are_taken_in_or_deleted_and_that_is_said(run: Run, caplog: pytest.LogCaptureFixture):
    async def first_database(world: World) -> bytes:
        return await sent(world)

    async def lost_database(world: World) -> None:
        world.s3.delete("recordings/OWNER")  # as the operator is told to
        world.s3.put_bytes("recordings/str_b/2027/01/01/20270101T120000000Z.jsonl", b"{}")
        world.s3.put_bytes("recordings/str_b/2027/01/01/20270101T130000000Z.mp4", b"no video")
        world.s3.put_bytes("incidents/inc_gone/clip.mp4", b"clip")
        world.s3.put_bytes("recordings/notes.txt", b"of a person")
        await world.record("20270102T120000000Z")
        await world.work(20)
        row, later = await world.rows()
        assert (row.stream_id, row.place, row.frames) == (STREAM, "s3", 20)
        assert later.started_at > row.started_at, "what is taken in goes before what was recorded since"
        assert await read(world, f"recordings/{row.path}") == content
        new = [key.replace("01/01/20270101", "01/02/20270102") for key in (SIDECAR, VIDEO)]
        unplayable = "recordings/str_b/2027/01/01/20270101T130000000Z.mp4"
        assert world.keys() == ["recordings/notes.txt", SIDECAR, VIDEO, *new, unplayable]
        assert world.keys("incidents") == ["incidents/inc_gone/clip.mp4"], "evidence that nobody knows of stays"
        for words in ("taken in", "belongs to no recording", "nothing that plays", "there is no incident", "not ours"):
            assert words in caplog.text
        assert world.files() == []

    content = run(first_database)
    run(lost_database, "other")


def test_object_that_cannot_be_taken_in_holds_up_no_other(run: Run, caplog: pytest.LogCaptureFixture):
    class Picky(Adoption):
        async def index(self, path: Path) -> str | None:
            if "T14" in path.name:
                raise ValueError("nobody expected this")
            if "T13" in path.name:
                raise OSError("the disk cannot read it")
            return await super().index(path)

    async def first_database(world: World) -> None:
        for hour in (12, 13, 14):
            await world.record(f"20270101T{hour}0000000Z")
        await world.work(20)

    async def lost_database(world: World) -> None:
        world.s3.delete("recordings/OWNER")
        world.bucket.take(Picky(world.store))
        await world.work(30)
        assert ["T12" in row.path for row in await world.rows()] == [True]
        assert "left alone: the disk cannot read it" in caplog.text
        assert caplog.text.count("nobody expected this") > 1, "it is tried again"
        assert len(world.keys()) == 6

    run(first_database)
    run(lost_database, "other")


def test_bucket_of_another_service_is_left_alone(run: Run):
    async def other(world: World) -> None:
        await world.record("20270101T130000000Z")
        await world.work(3)
        assert "belongs to another Actoscope" in world.bucket.standing.problem
        assert world.keys() == [SIDECAR, VIDEO]
        assert len(world.files()) == 2

    run(sent)
    run(other, "other")


def test_files_are_fetched_for_work_on_them_and_stay_for_it(run: Run, proxy: FaultProxy):
    async def work(world: World) -> None:
        content = await sent(world)
        (row,) = await world.rows()
        mtime = (await world.bucket.find(world.recordings.path(row.path))).mtime
        proxy.judge = lambda method, path: GONE if method == "GET" and path.endswith(".mp4") else None
        with pytest.raises(Unavailable):
            async with world.recordings.at_hand([row]):
                pass
        proxy.judge = first(1, GONE, "GET.*mp4")
        async with world.recordings.at_hand([row]):
            await world.work(3)
            assert world.recordings.path(row.path).read_bytes() == content
            assert len(world.files()) == 2
            assert world.recordings.path(row.path).stat().st_mtime == mtime, "its tag stays"
        await world.work(3)
        assert world.files() == []

    run(work)


def test_full_disk_takes_copies_before_their_time_and_refuses_to_fetch(run: Run, monkeypatch: pytest.MonkeyPatch):
    async def work(world: World) -> None:
        await world.record()
        world.bucket._copies._keep_s = 1e9
        await world.work()
        assert len(world.files()) == 2
        crowded = world.bucket._parts.__class__(**{**vars(world.bucket._parts), "floor_bytes": 1 << 60})
        monkeypatch.setattr(world.bucket._copies, "_parts", crowded)
        await world.work(2)
        assert world.files() == []
        with pytest.raises(Unavailable, match="no room"):
            async with world.recordings.at_hand([(await world.rows())[0]]):
                pass

    run(work)


def test_full_disk_frees_more_than_it_must_and_looks_at_the_bucket_before(
    run: Run, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
):
    floor, each = 100_000_000, 15_000_000

    def crowd(world: World, free: int) -> None:
        """``free``: bytes while all of the six files are here."""
        copies = world.bucket._copies
        monkeypatch.setattr(copies, "_keep_s", 1e9)
        monkeypatch.setattr(copies, "_parts", replace(world.bucket._parts, floor_bytes=floor))
        monkeypatch.setattr(copies, "_free", lambda: free + each * (6 - len(world.files())))

    async def send(world: World) -> None:
        crowd(world, 1 << 40)
        for minute in range(3):
            await world.record(f"20270101T12{minute:02d}00000Z")
        await world.work(20)
        assert await world.states() == [STORED] * 6
        assert len(world.files()) == 6

    async def next_start(world: World) -> None:
        world.now += 10_000
        crowd(world, 90_000_000)
        proxy.judge = lambda method, path: GONE
        await world.work(3)
        assert len(world.files()) == 6, "whether it is in the bucket is not known"
        proxy.judge = lambda method, path: None
        await world.work(1)
        assert len(world.files()) == 2, "free is half as much again as must be"
        crowd(world, 30_000_000)
        oldest = min(await world.rows(), key=lambda row: row.path)
        async with world.recordings.at_hand([oldest]):
            assert {name[:13] for name in world.files()} == {"20270101T1200"}, "others made room"

    run(send)
    run(next_start)


def test_copy_goes_only_if_its_content_is_in_the_bucket_under_whatever_tag(run: Run, proxy: FaultProxy):
    async def work(world: World) -> None:
        world.bucket._copies._keep_s = 1e9
        recording = await world.record()
        await world.work()
        video = world.recordings.path(recording.path)
        s3: Any = world.s3
        content = video.read_bytes()
        upload_in_parts(s3._client, s3._at(VIDEO), video, hashlib.sha256(content).hexdigest(), lambda done: None)
        world.s3.delete(SIDECAR)
        assert recording.events_path is not None
        world.recordings.path(recording.events_path).unlink()
        world.bucket._copies._keep_s = 0.0
        world.now += 1
        proxy.asked.clear()
        await world.bucket._copies.age_out()
        assert world.files() == []
        states = {record.key: (record.state, record.here) for record in await world.objects.of([recording.id])}
        assert states == {VIDEO: (STORED, False), SIDECAR: (MISSING, False)}
        assert not [asked for asked in proxy.asked if asked.startswith("PUT")]
        assert await read(world, f"recordings/{recording.path}") == content

    run(work)


def test_recordings_may_be_a_link_to_another_disk(run: Run, tmp_path: Path):
    async def work(world: World) -> None:
        content = await sent(world)
        (row,) = await world.rows()
        path = world.recordings.path(row.path)
        assert not path.is_relative_to(world.folder)
        for each in (path, world.folder / "recordings" / row.path):
            assert (await world.bucket.find(each)).bytes == len(content)
        with pytest.raises(NotFound):
            await world.bucket.find(tmp_path / "x.db")

    (tmp_path / "data").mkdir()
    (tmp_path / "disk").mkdir()
    (tmp_path / "data" / "recordings").symlink_to(tmp_path / "disk")
    run(work)


def test_incident_is_found_below_a_relative_data_folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def work(world: World) -> None:
        settings = Settings(data_dir=Path("data"), store="s3://bucket/site")
        there = open_bucket(settings, world._database, 600.0)
        assert there is not None
        nobody: Any = None
        media = IncidentMedia(settings.incidents_dir, nobody, nobody, (nobody, nobody, nobody), nobody)
        key = "incidents/inc_a/clip.mp4"
        await world.objects.adopt([ObjectRecord(key, key, "inc_a", STORED, 7, 0.0, here=False)])
        assert (await there.find(media.path("inc_a/clip.mp4"))).bytes == 7

    monkeypatch.chdir(tmp_path)
    run(work)


def test_upload_under_way_is_marked_when_its_recording_is_deleted_meanwhile(run: Run):
    async def work(world: World) -> None:
        recording = await world.record()
        await world.bucket._uploads.write_down()
        record = await world.objects.next(WAITING, world.now)
        assert record is not None
        await world.recordings.delete(recording)
        assert not await world.objects.stored(record, "0" * 64, "tag", world.now)
        assert [each.state for each in await world.objects.of([recording.id])] == [DELETING, DELETING]
        await world.work(4)
        assert world.keys() == []

    run(work)


def test_service_without_boto3_says_at_its_start_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("models.store.opening._S3", "models.store.not_installed")

    async def work() -> None:
        database = Database(f"sqlite:///{tmp_path / 'x.db'}")
        assert open_bucket(Settings(data_dir=tmp_path, store=str(tmp_path)), database, 600.0) is None
        with pytest.raises(BucketUnusable, match=r"ACTOSCOPE_STORE: s3://.*\[s3\]"):
            open_bucket(Settings(data_dir=tmp_path, store="s3://bucket/site"), database, 600.0)
        await database.close()

    asyncio.run(work())


def test_worker_goes_on_by_itself_and_ends_with_the_service(run: Run):
    async def work(world: World) -> None:
        await world.record()
        world.bucket.begin()
        while (await world.rows())[0].place != "s3":
            await asyncio.sleep(0.02)

    run(work)

"""Recordings that lie on nodes: fetched in pieces, kept within bounds, deleted there first."""

import asyncio
import os

import pytest

from service.app import retention_of
from service.cluster.fetched_files import FetchedFiles
from service.cluster.links.errors import LinkDown
from service.cluster.links.link import LocalLink
from service.cluster.remote_recordings import RemoteRecordings, Ways
from service.errors_base import Unavailable
from service.rights import ALL
from service.storage.cluster.nodes import recording_nodes, tell
from tests.service.cluster.bucket_world import eventually
from tests.service.cluster.test_standby import FACTS
from tests.service.cluster.world import World, in_world

PATH = "str_1/20260504T030201000Z.mp4"
TOLD = {
    "path": PATH,
    "events_path": PATH.replace(".mp4", ".jsonl.gz"),
    "started_at": 1_777_000_000.0,
    "start_s": 0.0,
    "duration_s": 60.0,
    "frames": 1500,
    "bytes": 2_500_000,
    "size_hw": [480, 640],
    "overlay": False,
    "stream_id": "str_1",
}


def recordings(world: World) -> RemoteRecordings:
    _, _, database = world.leaders[-1]
    store, folder = world.leaders[-1][0]._store, world.folder / "recordings"
    return RemoteRecordings(
        folder, store, retention_of(world.settings), Ways(database, world, 1), FetchedFiles(folder, 0)
    )


async def is_nowhere(world: World) -> bool:
    return await world.leaders[-1][2].read(lambda s: recording_nodes(s, [PATH])) == {}


def test_a_file_of_a_node_is_fetched_once_and_deleted_there(cluster_url, tmp_path):
    async def work(world: World) -> None:
        await world.add_node("a")
        await world.lead()
        kept, content = recordings(world), os.urandom(2_500_000)
        there = world.nodes["a"].files._folder / PATH
        there.parent.mkdir(parents=True)
        there.write_bytes(content)
        await kept.add("a", TOLD)
        await kept.add("a", TOLD)  # told again after a leader's death
        (record,) = await kept._store.all_recordings()
        assert (await kept.find(record, PATH)).read_bytes() == content
        there.unlink()
        async with kept.at_hand([record]):  # it is here
            assert kept.path(PATH).is_file()
        await kept.delete(record)
        assert not kept.path(PATH).exists() and await kept._store.all_recordings() == ()
        await eventually(lambda: is_nowhere(world), "the node has looked after its copy")

    in_world(cluster_url, tmp_path, work)


def test_a_node_that_is_away_is_said_and_nothing_half_fetched_is_shown(cluster_url, tmp_path):
    async def work(world: World) -> None:
        await world.lead()
        kept = recordings(world)
        await world.leaders[-1][2].write(lambda s: tell(s, FACTS))
        await kept.add("yard-1", TOLD)
        world.links["yard-1"] = LocalLink(None)  # type: ignore[arg-type]
        world.links["yard-1"].down = True
        (record,) = await kept._store.all_recordings()
        with pytest.raises(Unavailable, match="lies on node yard-1"):
            await kept.find(record, PATH)
        with pytest.raises(Unavailable, match="lies on node yard-1"):
            async with kept.at_hand([record]):
                pass
        with pytest.raises(LinkDown):
            await kept.delete(record)
        assert await kept._store.get_recording(record.id, ALL) is not None, "its row stays with its file"
        assert not list(kept._folder.glob("*/*"))

    in_world(cluster_url, tmp_path, work)


def test_a_path_outside_the_folder_is_refused(cluster_url, tmp_path):
    async def work(world: World) -> None:
        await world.add_node("a")
        for path in ("../api/secret.key", "/etc/passwd", "."):
            with pytest.raises(ValueError, match="within the folder of recordings"):
                world.nodes["a"].files.read(path, 0, 10)
        await asyncio.sleep(0)

    in_world(cluster_url, tmp_path, work)


def test_what_was_fetched_longest_ago_goes_but_not_what_is_needed(tmp_path):
    (tmp_path / "s").mkdir()
    files = [tmp_path / "s" / f"{i}.mp4" for i in range(4)]
    for age, path in enumerate(files):
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 + age, 1000 + age))
    (tmp_path / "s" / "4.mp4.fetch").write_bytes(b"x" * 500)  # under way
    fetched = FetchedFiles(tmp_path, 0, most_bytes=200)
    with fetched.pinned([files[0]]):
        fetched.make_room(0, fetched.sizes())
    assert [path.exists() for path in files] == [True, False, False, True]

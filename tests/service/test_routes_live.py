"""Many cameras' pictures by one answer: each behind the message about its frame, and only while it may be seen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from service.routes.console.live import newest_of
from service.supervisor_protocol import LivePicture
from tests.service.conftest import RunningApi
from tests.service.scripted import ScriptedSupervisor
from tests.support.multipart import read_parts

WALKING = {"track_id": 7, "box": [0.1, 0.2, 0.3, 0.9], "state": "confirmed", "action": "walking", "confidence": 0.8}


class EndlessSupervisor(ScriptedSupervisor):
    """Its cameras show something for ever."""

    async def live(self, stream_id: str, full: bool) -> AsyncIterator[LivePicture]:
        for index in range(100_000):
            yield LivePicture(self.pictures[0], self.tracks_of(stream_id, index))
            await asyncio.sleep(0.02)


def parts(answer: httpx.Response) -> list[tuple[str, bytes]]:
    """→ (media type, content) of each part."""
    boundary = answer.headers["content-type"].partition("boundary=")[2]
    return list(read_parts(iter([answer.content]), boundary))


def test_each_picture_comes_behind_the_message_about_its_own_frame(api: RunningApi):
    api.supervisor.people = [WALKING]
    api.supervisor.pictures = [b"first", b"second\r\n\r\n--actoscope-part"]
    stream_id = api.add(name="Gate")["id"]
    answer = api.client.get("/v1/live", params={"stream": stream_id})
    assert answer.headers["content-type"].startswith("multipart/mixed")
    assert answer.headers["cache-control"] == "no-store, no-transform"
    sent = parts(answer)
    assert [kind for kind, _ in sent] == ["application/json", "image/jpeg"] * (len(sent) // 2)
    message = json.loads(sent[-2][1])
    assert (message["type"], message["stream_id"], message["tracks"]) == ("tracks", stream_id, [WALKING])
    assert message["frame_index"] == 1, "the newest one is always among them"
    assert sent[-1][1] == api.supervisor.pictures[1]


def test_several_cameras_share_one_answer_and_one_may_be_wanted_in_full(api: RunningApi):
    ids = [api.add(name=name)["id"] for name in ("Gate", "Yard", "Roof")]
    query = [("stream", ids[0]), ("stream", ids[2]), ("full", ids[2])]
    sent = parts(api.client.get("/v1/live", params=query))
    messages = [json.loads(content) for kind, content in sent if kind == "application/json"]
    assert {message["stream_id"] for message in messages} == {ids[0], ids[2]}
    assert {("live", ids[0]), ("live in full", ids[2])} <= set(api.supervisor.calls)
    assert ("live", ids[1]) not in api.supervisor.calls


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"stream": "str_00000000000000ff"}, 404),
        ({"stream": "no id"}, 404),
        ({"stream": ["str_0000000000000001"] * 17}, 422),
        ({"width": "9"}, 422),
    ],
)
def test_stream_that_there_is_not_and_too_many_are_refused(shared_api: RunningApi, query: dict[str, Any], status: int):
    assert shared_api.client.get("/v1/live", params=query).status_code == status


def test_head_opens_no_camera(api: RunningApi):
    api.add(name="Gate")
    answer = api.client.head("/v1/live")
    assert answer.status_code == 200 and answer.content == b""
    assert not [call for call in api.supervisor.calls if call[0].startswith("live")]


@pytest.fixture
def endless(settings: Any) -> Iterator[RunningApi]:
    api = RunningApi(settings, EndlessSupervisor).start()
    yield api
    api.stop()


def test_pictures_of_a_stream_stop_with_the_right_to_it_and_the_answer_with_the_last_one(endless: RunningApi):
    gate, yard = (endless.add(name=name, groups=["site"])["id"] for name in ("Gate", "Yard"))
    client = endless.visitor(token=endless.add_token(streams="group:site")["token"])
    with client.stream("GET", "/v1/live") as answer:
        pieces = answer.iter_raw()
        _until(pieces, lambda seen: gate.encode() in seen and yard.encode() in seen)
        endless.client.patch(f"/v1/streams/{gate}", json={"groups": []}).raise_for_status()
        _until(pieces, lambda seen: yard.encode() in seen)  # what was under way before the change
        later = _until(pieces, lambda seen: seen.count(yard.encode()) >= 5)
        assert gate.encode() not in later[len(later) // 2 :]
        endless.client.patch(f"/v1/streams/{yard}", json={"groups": []}).raise_for_status()
        assert sum(1 for _ in pieces) < 1000, "it ends by itself"


def _until(pieces: Iterator[bytes], reached: Callable[[bytes], bool]) -> bytes:
    seen = b""
    while not reached(seen):
        seen += next(pieces)
    return seen


async def shown(indices: list[int], stream_id: str, gap: Callable[[], Any]) -> AsyncIterator[LivePicture]:
    for index in indices:
        await gap()
        yield LivePicture(b"", {"stream_id": stream_id, "frame_index": index})


def test_slow_reader_gets_the_newest_of_each_camera_in_turns_and_what_was_replaced_is_counted():
    async def work() -> None:
        replaced: list[None] = []
        hurry = lambda: asyncio.sleep(0)  # noqa: E731
        sources = {name: shown(list(range(50)), name, hurry) for name in ("a", "b")}
        got: list[tuple[str, int]] = []
        async for stream_id, picture in newest_of(sources, lambda: replaced.append(None)):
            got.append((stream_id, picture.tracks["frame_index"]))
            await asyncio.sleep(0.005)
        assert {stream_id for stream_id, _ in got[:2]} == {"a", "b"}
        for name in ("a", "b"):
            indices = [index for stream_id, index in got if stream_id == name]
            assert indices == sorted(indices) and indices[-1] == 49
        assert len(got) + len(replaced) == 100

    asyncio.run(work())


def test_camera_whose_pictures_fail_ends_them_with_its_error():
    async def broken() -> AsyncIterator[LivePicture]:
        yield LivePicture(b"", {})
        raise RuntimeError("scripted")

    async def quiet() -> AsyncIterator[LivePicture]:
        await asyncio.sleep(60)
        yield LivePicture(b"", {})

    async def work() -> None:
        with pytest.raises(RuntimeError, match="scripted"):
            async for _ in newest_of({"a": quiet(), "b": broken()}, lambda: None):
                pass
        assert [task for task in asyncio.all_tasks() if "live pictures" in task.get_name()] == []

    asyncio.run(work())

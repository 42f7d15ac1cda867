"""A subscriber's rights: what passes, what is taken back, what is told less of."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from service.hub import Hub
from service.rights import LOCAL, Principal, Role, Visible
from service.subscription import Subscription, SubscriptionFilter, rung, to_text
from service.wire_messages import rfc3339, to_stream_message
from tests.service.conftest import action, tracks
from tests.service.test_hub import FailingStore, run, take

MINE, FOREIGN = "str_0000000000000001", "str_0000000000000002"
NOW = 1_777_000_000.0


def viewer(**since: float | None) -> Principal:
    streams = {"mine": MINE, "foreign": FOREIGN}
    visible = {streams[name]: at for name, at in since.items()}
    return Principal("user", "usr_1", "anna", roles=dict.fromkeys(visible, Role.VIEWER), visible=Visible(visible))


def subscription(who: Principal, wanted: SubscriptionFilter | None = None) -> Subscription:
    return Subscription(wanted or SubscriptionFilter(), who, 8, 0.0)


def offer(to: Subscription, *messages: dict[str, Any]) -> None:
    for message in messages:
        take = to.offer_tracks if message["type"] == "tracks" else to.offer
        take(message, to_text(message))


async def waiting(to: Subscription) -> list[dict[str, Any]]:
    got = []
    try:
        while True:
            got.append(json.loads((await asyncio.wait_for(to.next_message(), 0.02))[1]))
    except asyncio.TimeoutError:
        return got


def test_foreign_streams_do_not_pass_whatever_is_wanted():
    async def work() -> None:
        asked = SubscriptionFilter(streams=frozenset({MINE, FOREIGN}))
        to = subscription(viewer(mine=None), asked)
        offer(to, action("f", stream_id=FOREIGN), tracks(1, FOREIGN), to_stream_message(FOREIGN, "failed", None, ""))
        offer(to, action("m"), tracks(2, MINE))
        assert [message["stream_id"] for message in await waiting(to)] == [MINE, MINE]

    asyncio.run(work())


def test_fewer_rights_take_back_what_waits():
    async def work() -> None:
        to = subscription(viewer(mine=None, foreign=None))
        offer(to, action("m"), action("f", stream_id=FOREIGN), tracks(1, MINE), tracks(1, FOREIGN))
        to.offer_text('{"type":"pong"}')
        to.restrict(viewer(mine=None))
        offer(to, action("f2", stream_id=FOREIGN), tracks(2, FOREIGN))
        got = await waiting(to)
        assert [message["type"] for message in got] == ["action", "pong", "tracks"]
        assert {message.get("stream_id", MINE) for message in got} == {MINE}
        to.restrict(viewer(mine=None, foreign=None))
        offer(to, action("f3", stream_id=FOREIGN))
        assert [message["event_id"] for message in await waiting(to)] == ["f3"]

    asyncio.run(work())


def test_history_counts_for_the_past_and_not_for_the_present():
    async def work() -> None:
        to = subscription(viewer(mine=NOW))
        old, new = action("old", captured_at=rfc3339(NOW - 1)), action("new", captured_at=rfc3339(NOW))
        untimed = {"type": "stream", "stream_id": MINE, "reason": ""}
        assert [to.passes(message) for message in (old, new, untimed)] == [True, True, True]
        assert [to.passes_later(message) for message in (old, new, untimed)] == [False, True, False]
        assert subscription(viewer(mine=None)).passes_later(untimed)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("nothing accepts connections at 192.0.2.7:554", "nothing accepts connections at the source"),
        ("cam.lan:554 refuses the user name or password (401)", "the source refuses the user name or password (401)"),
        ("[2001:db8::7]:554 broke the connection", "the source broke the connection"),
        ("there is no /srv/media/my films/a.mp4", "there is no the source"),
        ("the video of /dev/video0 uses an unknown variant", "the video of the source"),
        (
            "camera too slow: 0.5 of at least 2 pictures a second",
            "camera too slow: 0.5 of at least 2 pictures a second",
        ),
    ],
)
def test_only_those_who_may_change_a_stream_are_told_where_its_camera_is(reason: str, told: str):
    async def work() -> None:
        message = to_stream_message(MINE, "failed", "refused", reason)
        for who, expected in ((LOCAL, reason), (viewer(mine=None), told)):
            to = subscription(who)
            offer(to, message)
            assert [item["reason"] for item in await waiting(to)] == [expected]

    asyncio.run(work())


@pytest.mark.parametrize("timeout_s", [None, 60.0])
def test_loop_around_a_bell_ends_also_when_it_is_cancelled_as_the_bell_rings(timeout_s: float | None):
    async def work() -> None:
        bell, rings = asyncio.Event(), 0

        async def loop() -> None:
            nonlocal rings
            while True:
                await rung(bell, timeout_s)
                rings += 1
                bell.clear()

        task = asyncio.create_task(loop())
        for _ in range(2):
            await asyncio.sleep(0.01)
            bell.set()
        await asyncio.sleep(0)  # whoever waits for the bell has heard it, the loop has not
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        assert task.cancelled() and rings == 1

    asyncio.run(work())


def test_bell_that_does_not_ring_is_waited_for_so_long():
    asyncio.run(asyncio.wait_for(rung(asyncio.Event(), 0.01), 5))


def test_replay_holds_what_may_be_seen_stored_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("service.hub.RETRY_S", 60.0)

    async def work(hub: Hub, store: FailingStore) -> None:
        def past(event_id: str, stream_id: str, age_s: float) -> dict[str, Any]:
            return action(event_id, stream_id=stream_id, captured_at=rfc3339(time.time() - age_s))

        everything = hub.subscribe(SubscriptionFilter(), LOCAL)
        for full in (False, True):
            store.full = full
            await hub.publish_action(past("foreign", FOREIGN, 0))
            await hub.publish_action(past("old", MINE, 100))
            await hub.publish_action(past("new", MINE, 0))
            await hub.publish_stream(to_stream_message(MINE, "failed", None, "nothing at 192.0.2.7:554"))
            await take(everything, 4)
        to = hub.subscribe(SubscriptionFilter(), viewer(mine=time.time() - 50))
        messages, reached = await hub.replay(0, 8, to)
        assert ([message["seq"] for message in messages], reached) == ([3, 4, 7, 8], 8)
        assert messages[1]["reason"] == messages[3]["reason"] == "nothing at the source"

    run(tmp_path, work)

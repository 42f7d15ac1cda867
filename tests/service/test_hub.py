"""The hub: numbers, store before send, a database that fails, ends of actions, subscriptions."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from service.hub import Hub
from service.rights import ALL, LOCAL
from service.storage.database import Database, StoreError
from service.storage.records import EventFilter
from service.storage.secret_box import SecretBox
from service.storage.store import Store
from service.subscription import SubscriberTooSlow, Subscription, SubscriptionClosed, SubscriptionFilter
from tests.service.conftest import action, tracks
from tests.service.storage.listing import list_events
from tests.support.fresh_database import fresh_url

EVERYTHING = SubscriptionFilter()
REPETITION = {"type": "repetition", "stream_id": "x"}
INCIDENT = {**action(), "type": "incident", "rule_id": "rul_1", "severity": "alert"}


class FailingStore(Store):
    """The real store, with a disk that is full while ``full`` is set."""

    full = False
    appended: list[int]

    async def append(self, messages: Any) -> None:
        if self.full:
            raise StoreError("database: database or disk is full")
        self.appended = [*getattr(self, "appended", []), *(message["seq"] for message in messages)]
        await super().append(messages)


def run(folder: Path, work: Callable[[Hub, FailingStore], Awaitable[Any]], **options: Any) -> Any:
    async def main() -> Any:
        store = FailingStore(Database(fresh_url(folder)), SecretBox.open(folder), folder)
        await store.open()
        hub = Hub(store, **options)
        await hub.open()
        try:
            return await asyncio.wait_for(work(hub, store), 20)
        finally:
            await hub.close()
            await store.close()

    return asyncio.run(main())


async def take(subscription: Subscription, count: int) -> list[dict[str, Any]]:
    return [json.loads((await asyncio.wait_for(subscription.next_message(), 5))[1]) for _ in range(count)]


async def nothing_waits(subscription: Subscription) -> bool:
    try:
        await asyncio.wait_for(subscription.next_message(), 0.05)
    except asyncio.TimeoutError:
        return True
    return False


def test_numbers_go_up_by_one_over_all_publishers_and_all_is_stored(tmp_path: Path):
    async def work(hub: Hub, store: FailingStore) -> None:
        subscription = hub.subscribe(EVERYTHING, LOCAL)
        await asyncio.gather(*(hub.publish_action(action(f"e{n}")) for n in range(50)))
        await hub.publish_stream({"type": "stream", "stream_id": "s", "state": "running", "reason": ""})
        messages = await take(subscription, 51)
        assert [message["seq"] for message in messages] == list(range(1, 52))
        assert [m["seq"] for m in await store.replay((0, 99), 99, ALL)] == list(range(1, 52))
        assert hub.seq == 51

    run(tmp_path, work)


def test_message_is_stored_before_it_is_sent(tmp_path: Path):
    async def work(hub: Hub, store: FailingStore) -> None:
        subscription = hub.subscribe(EVERYTHING, LOCAL)
        await hub.publish_action(action())
        (message,) = await take(subscription, 1)
        assert await store.replay((0, 1), 1, ALL) == (message,)

    run(tmp_path, work)


def test_labels_go_on_while_the_disk_is_full_and_are_stored_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("service.hub.RETRY_S", 0.05)

    async def work(hub: Hub, store: FailingStore) -> None:
        subscription = hub.subscribe(EVERYTHING, LOCAL)
        store.full = True
        for n in range(3):
            await hub.publish_action(action(f"e{n}"))
        assert [message["seq"] for message in await take(subscription, 3)] == [1, 2, 3]
        assert hub.measures()["counters"]["store_failures_total"] >= 1
        assert hub.measures()["gauges"]["messages_unstored"] == 3
        messages, reached = await hub.replay(1, 3, subscription)
        assert ([message["seq"] for message in messages], reached) == ([2, 3], 3)
        store.full = False
        while hub.measures()["gauges"]["messages_unstored"]:
            await asyncio.sleep(0.02)
        assert [message["seq"] for message in await store.replay((0, 9), 9, ALL)] == [1, 2, 3]
        assert hub.measures()["counters"]["messages_lost_total"] == 0

    run(tmp_path, work)


def test_unstored_messages_are_bounded_and_the_lost_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("service.hub.MAX_UNSTORED", 5)

    async def work(hub: Hub, store: FailingStore) -> None:
        store.full = True
        for n in range(12):
            await hub.publish_action(action(f"e{n}"))
        await hub.flush()
        assert hub.measures()["gauges"]["messages_unstored"] == 5
        assert hub.measures()["counters"]["messages_lost_total"] == 7

    run(tmp_path, work)


def test_message_that_cannot_be_stored_does_not_end_delivery(tmp_path: Path):
    async def work(hub: Hub, store: FailingStore) -> None:
        subscription = hub.subscribe(EVERYTHING, LOCAL)
        await hub.publish_action(action("e1", captured_at="yesterday"))
        await hub.flush()
        await hub.publish_action(action("e2"))
        assert [message["event_id"] for message in await take(subscription, 2)] == ["e1", "e2"]
        assert [message["seq"] for message in await store.replay((0, 9), 9, ALL)] == [2]
        assert hub.measures()["counters"]["messages_lost_total"] == 1

    run(tmp_path, work)


def test_message_that_json_cannot_hold_is_refused_at_its_publisher(tmp_path: Path):
    async def work(hub: Hub, store: FailingStore) -> None:
        with pytest.raises(ValueError, match="JSON"):
            await hub.publish_action(action(confidence=float("nan")))
        await hub.publish_action(action())
        assert (await take(hub.subscribe(EVERYTHING, LOCAL), 1))[0]["seq"] == 1

    run(tmp_path, work)


def test_publishers_wait_when_too_much_is_not_stored_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("service.hub.MAX_WAITING", 3)

    async def work(hub: Hub, store: FailingStore) -> None:
        subscription = hub.subscribe(EVERYTHING, LOCAL)
        await asyncio.gather(*(hub.publish_action(action(f"e{n}")) for n in range(20)))
        assert [message["seq"] for message in await take(subscription, 20)] == list(range(1, 21))

    run(tmp_path, work)


def test_actions_of_a_stream_that_broke_off_end_where_it_was_last_seen(tmp_path: Path):
    async def work(hub: Hub, store: FailingStore) -> None:
        await hub.publish_action(action("mine", start_s=2.0))
        await hub.publish_action(action("over", start_s=1.0))
        await hub.publish_action(action("over", "ended"))
        await hub.publish_action(action("other", stream_id="str_2"))
        await hub.publish_tracks(tracks(250))
        await hub.flush()
        subscription = hub.subscribe(EVERYTHING, LOCAL)
        await hub.end_open_events("str_0000000000000001")
        (ended,) = await take(subscription, 1)
        assert (ended["event_id"], ended["kind"], ended["end_s"], ended["seq"]) == ("mine", "ended", 10.0, 5)
        await hub.end_open_events("str_0000000000000001")
        assert await nothing_waits(subscription)
        assert [event.id for event in await store.open_events()] == ["other"]

    run(tmp_path, work)


def test_end_never_lies_before_the_start_though_the_stream_began_anew(tmp_path: Path):
    async def work(hub: Hub, store: FailingStore) -> None:
        await hub.publish_action(action("mine", start_s=500.0))
        await hub.publish_tracks(tracks(25))
        await hub.end_open_events("str_0000000000000001")
        await hub.flush()
        (event,) = (await list_events(store, EventFilter(), ALL, None, 9)).items
        assert (event.start_s, event.end_s) == (500.0, 500.0)

    run(tmp_path, work)


def test_start_after_a_crash_ends_what_was_going_on_and_counts_on(tmp_path: Path):
    async def crash(hub: Hub, store: FailingStore) -> None:
        await hub.publish_action(action("mine", start_s=2.0))
        await hub.publish_action(action("mine", "updated", start_s=2.0, captured_at="2026-05-04T03:02:06.500Z"))

    async def after(hub: Hub, store: FailingStore) -> None:
        assert hub.seq == 3
        (ended,) = await store.replay((2, 3), 9, ALL)
        assert (ended["kind"], ended["end_s"], ended["seq"]) == ("ended", 7.5, 3)
        assert await store.open_events() == ()

    run(tmp_path, crash)
    run(tmp_path, after)


def test_start_after_a_crash_says_that_streams_stopped_and_a_start_after_a_stop_does_not(tmp_path: Path):
    def seen(stream_id: str) -> dict[str, Any]:
        about = {"type": "presence", "stream_id": stream_id, "captured_at": "2026-05-04T03:02:06.500Z"}
        return {**about, "time_s": 1.0, "people": 0, "zones": {}}

    def state(stream_id: str, state: str) -> dict[str, Any]:
        return {"type": "stream", "stream_id": stream_id, "state": state, "code": None, "reason": ""}

    async def crash(hub: Hub, store: FailingStore) -> None:
        await hub.publish_stream(state("running", "running"))
        await hub.publish_stream(state("noted", "running"))
        await hub.publish_presence(seen("noted"))
        await hub.publish_presence(seen("long ago"))
        await hub.publish_presence(seen("stopped"))
        await hub.publish_stream(state("stopped", "stopped"))
        await hub.publish_stream(state("failed", "failed"))

    async def after(hub: Hub, store: FailingStore) -> None:
        told = await store.replay((7, 99), 99, ALL)
        assert [(m["stream_id"], m["state"]) for m in told] == [
            (stream_id, "stopped") for stream_id in ("long ago", "noted", "running")
        ]

    for work in (crash, after, after):
        run(tmp_path, work)


def test_closing_ends_subscriptions_after_what_waited_was_sent(tmp_path: Path):
    async def work(hub: Hub, store: FailingStore) -> None:
        subscription = hub.subscribe(EVERYTHING, LOCAL)
        await hub.publish_action(action())
        await hub.close()
        assert await store.last_seq() == 1
        with pytest.raises(SubscriptionClosed):
            await subscription.next_message()

    run(tmp_path, work)


def test_tracks_are_newest_only_and_the_rest_is_counted(tmp_path: Path):
    async def work(hub: Hub, store: FailingStore) -> None:
        subscription = hub.subscribe(EVERYTHING, LOCAL)
        for n in range(5):
            await hub.publish_tracks(tracks(n))
            await hub.publish_tracks(tracks(n, "str_2"))
        newest = await take(subscription, 2)
        assert sorted((m["stream_id"], m["frame_index"]) for m in newest) == [("str_0000000000000001", 4), ("str_2", 4)]
        assert hub.measures()["counters"]["tracks_dropped_total"] == 8
        hub.unsubscribe(subscription)
        assert hub.measures()["counters"]["tracks_dropped_total"] == 8
        assert hub.measures()["gauges"]["subscribers"] == 0

    run(tmp_path, work)


def test_actions_overtake_tracks_that_wait(tmp_path: Path):
    async def work(hub: Hub, store: FailingStore) -> None:
        subscription = hub.subscribe(EVERYTHING, LOCAL)
        await hub.publish_tracks(tracks())
        await hub.publish_action(action())
        await hub.flush()
        assert [message["type"] for message in await take(subscription, 2)] == ["action", "tracks"]

    run(tmp_path, work)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("source_hz", "most", "least"), [(10, 101, 99), (30, 101, 95), (5, 51, 49)])
def test_tracks_come_at_the_limit_at_most_and_at_the_sources_rate_below_it(source_hz: int, most: int, least: int):
    """10 s of media at a limit of 10 a second, on a scripted clock; the source is late by up to 10 ms."""

    async def count() -> int:
        clock = Clock()
        subscription = Subscription(EVERYTHING, LOCAL, 8, 0.1, clock)
        sent, start = 0, clock.now
        for n in range(10 * source_hz):
            subscription.offer_tracks(tracks(n), "text")
            until = start + (n + 1) / source_hz + 0.001 * (n * 7 % 11)
            while clock.now < until:
                sent += subscription._take_tracks(clock.now) is not None
                clock.now += 0.001
        return sent

    assert least <= asyncio.run(count()) <= most


def test_held_back_tracks_are_sent_once_they_are_due():
    async def work() -> None:
        subscription = Subscription(EVERYTHING, LOCAL, 8, 0.05)
        subscription.offer_tracks(tracks(0), "first")
        assert (await subscription.next_message())[1] == "first"
        subscription.offer_tracks(tracks(1), "second")
        assert (await asyncio.wait_for(subscription.next_message(), 5))[1] == "second"

    asyncio.run(work())


def test_full_queue_ends_the_subscription_and_never_blocks_the_hub():
    async def work() -> None:
        subscription = Subscription(EVERYTHING, LOCAL, 3, 0.1)
        for n in range(10):
            subscription.offer(action(f"e{n}"), f"text {n}")
        with pytest.raises(SubscriberTooSlow):
            await subscription.next_message()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("wanted", "message", "passes"),
    [
        (SubscriptionFilter(), action(), True),
        (SubscriptionFilter(streams=frozenset({"x"})), action(), False),
        (SubscriptionFilter(streams=frozenset({"x"})), {"type": "stream", "stream_id": "x"}, True),
        (SubscriptionFilter(actions=frozenset({"squat"})), action(), False),
        (SubscriptionFilter(actions=frozenset({"squat"})), {"type": "stream", "stream_id": "x"}, True),
        (SubscriptionFilter(actions=frozenset({"squat"})), action(action="squat"), True),
        (SubscriptionFilter(min_confidence=0.9), action(), False),
        (SubscriptionFilter(min_confidence=0.9), action(kind="ended"), True),
        (SubscriptionFilter(min_confidence=0.9), action(confidence=None), False),
        (SubscriptionFilter(rules=frozenset({"rul_x"})), action(), True),
        (SubscriptionFilter(rules=frozenset({"rul_x"})), INCIDENT, False),
        (SubscriptionFilter(severities=frozenset({"alert"})), INCIDENT, True),
        (SubscriptionFilter(severities=frozenset({"info"})), INCIDENT, False),
        (SubscriptionFilter(actions=frozenset({"squat"}), min_confidence=0.9), INCIDENT, True),
        (SubscriptionFilter(exercises=frozenset({"squat"})), {**REPETITION, "exercise": "squat"}, True),
        (SubscriptionFilter(exercises=frozenset({"squat"})), {**REPETITION, "exercise": "push-up"}, False),
        (SubscriptionFilter(exercises=frozenset({"squat"})), action(), True),
        (SubscriptionFilter(actions=frozenset({"squat"})), {**REPETITION, "exercise": "push-up"}, True),
    ],
)
def test_filter(wanted: SubscriptionFilter, message: dict[str, Any], passes: bool):
    assert wanted.passes(message) is passes


def test_filter_by_label_leaves_other_tracks_out_of_tracks_messages():
    wanted = SubscriptionFilter(actions=frozenset({"push up"}), min_confidence=0.5)
    assert [track["track_id"] for track in wanted.select_tracks(tracks())["tracks"]] == [7]
    assert SubscriptionFilter(min_confidence=0.9).select_tracks(tracks())["tracks"] == []
    whole = tracks()
    assert SubscriptionFilter().select_tracks(whole) is whole

"""The outbox over a scripted receiver; days pass on a clock of the test's own."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.prometheus import exposition
from service.sinks import webhook
from service.sinks.dispatcher import SINK_SLOTS, SLOTS
from service.sinks.sender import Delivered, OutboxMessage, Outcome
from service.storage import deliveries, outbox, outbox_upkeep
from service.storage.deliveries import DeliveryFilter
from service.storage.outbox import DAY_S, DELAYS_S, HOUR_S, NewMessage
from service.storage.sinks import SinkRecord
from tests.service.sinks.conftest import INCIDENT, SINK, START, Bench, bench, webhook_record
from tests.support.receiver import HANG, RESET, STALL, Receiver, Reply, script

OTHER = "snk_0000000000000002"


def run(url: str, folder: Path, work: Callable[[Bench], Awaitable[None]], *records: SinkRecord, **options: Any) -> None:
    async def inside() -> None:
        async with bench(url, folder, *records, **options) as ready:
            await work(ready)

    asyncio.run(inside())


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'actoscope.db'}"


def test_messages_of_one_incident_arrive_in_order_each_once(url: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        numbers = list(range(1, 13))
        shuffled = random.Random(7).sample(numbers, len(numbers))
        for n in shuffled:
            await b.enqueue(n)
        await b.settle()
        assert [json.loads(each.body)["data"]["n"] for each in receiver.received] == numbers
        assert len({each.id for each in receiver.received}) == len(numbers)

    with Receiver() as receiver:
        run(url, tmp_path, work, webhook_record(receiver.url()))


def test_failure_holds_up_its_own_incident_only(url: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        stuck = [await b.enqueue(1), await b.enqueue(2)]
        free = await b.enqueue(1, "inc_0000000000000002")
        alone = await b.enqueue(1, None, type="stream.failed")
        await b.settle()
        states = [(await b.row(row_id)).state for row_id in (*stuck, free, alone)]
        assert states == ["pending", "pending", "delivered", "delivered"]
        assert (await b.row(stuck[1])).attempts == 0

    def reply(received: Any) -> Reply:
        return Reply(500) if received.id == "msg_1" else Reply(204)

    with Receiver(reply) as receiver:
        run(url, tmp_path, work, webhook_record(receiver.url()))


def test_every_attempt_waits_as_long_as_it_should_then_the_message_is_dead(sqlite: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        row_id = await b.enqueue()
        waited = []
        for attempt in range(1, len(DELAYS_S) + 1):
            await b.settle()
            row = await b.row(row_id)
            assert (row.attempts, row.last_status, row.last_error) == (attempt, 500, "the receiver answered 500")
            assert len(receiver.received) == attempt
            if row.state == "dead":
                break
            waited.append(row.next_at - b.clock.now)
            b.clock.now = row.next_at - 0.01
            await b.settle()
            assert len(receiver.received) == attempt  # not a moment too soon
            b.clock.now = row.next_at
            if (await b.sinks.get(SINK)).failing_since is not None:  # type: ignore[union-attr]
                await b.sinks.change(webhook_record(receiver.url()))  # three days of failure would disable it
        assert row.state == "dead"
        assert len(waited) == len(DELAYS_S) - 1
        for seconds, planned in zip(waited, DELAYS_S[1:], strict=True):
            assert 0.8 * planned <= seconds <= 1.2 * planned
        assert len({each.id for each in receiver.received}) == 1
        assert "actoscope_outbox_dead_total 1.0" in exposition(b.dispatcher.measured()).decode()

    with Receiver(script(Reply(500))) as receiver:
        run(sqlite, tmp_path, work, webhook_record(receiver.url()))


def test_delays_are_those_of_standard_webhooks():
    assert list(DELAYS_S) == [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert outbox.next_wait_s(len(DELAYS_S), 5.0) is None


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("Fri, 24 Apr 2026 03:08:00 GMT", 80.0), ("99999999999999", DAY_S)],
)
def test_retry_after_is_heeded_and_bounded(status: int, text: str, seconds: float, sqlite: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        row = await b.row(await b.enqueue())
        await b.settle()
        row = await b.row(row.id)
        assert row.next_at - START == pytest.approx(seconds, abs=0.01)

    with Receiver(script(Reply(status, {"Retry-After": text}))) as receiver:
        run(sqlite, tmp_path, work, webhook_record(receiver.url()))


@pytest.mark.parametrize(("status", "text"), [(500, "90"), (429, "-5"), (429, "soon"), (503, "")])
def test_retry_after_that_does_not_count_leaves_the_plan(status: int, text: str, sqlite: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        row_id = await b.enqueue()
        await b.settle()
        assert 4 <= (await b.row(row_id)).next_at - START <= 6

    with Receiver(script(Reply(status, {"Retry-After": text}))) as receiver:
        run(sqlite, tmp_path, work, webhook_record(receiver.url()))


def test_hang_reset_and_redirect_are_failures_and_what_comes_after_them_arrives(
    sqlite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(webhook, "TOTAL_S", 0.3)
    errors = []

    async def work(b: Bench) -> None:
        row_id = await b.enqueue()
        for _ in range(4):
            await b.settle()
            row = await b.row(row_id)
            errors.append(row.last_error)
            b.clock.now = row.next_at + 1
        assert (row.state, row.last_status) == ("delivered", 200)
        assert {each.path for each in receiver.received} == {"/hook"}  # the redirect was not followed

    replies = script(Reply(way=HANG), Reply(way=RESET), Reply(302, {"Location": "/other"}), Reply(200, body=b"x" * 9))
    with Receiver(replies) as receiver:
        run(sqlite, tmp_path, work, webhook_record(receiver.url()))
    assert errors[0] == "no answer within 0.3 s"
    assert errors[1] in (
        "no connection: Connection reset by peer",
        "the answer is no HTTP",
        "no connection: it was lost",
    )
    assert errors[2:] == ["the receiver answered 302: redirects are not followed", ""]


def test_endless_answer_is_cut_and_counts_by_its_status(sqlite: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        row_id = await b.enqueue()
        await b.settle()
        assert (await b.row(row_id)).state == "delivered"

    with Receiver(script(Reply(200, body=b"x" * (4 << 20)))) as receiver:
        run(sqlite, tmp_path, work, webhook_record(receiver.url()))


def test_answer_that_never_ends_counts_by_its_status(sqlite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhook, "DRAIN_S", 0.1)

    async def work(b: Bench) -> None:
        row_id = await b.enqueue()
        await b.settle()
        assert (await b.row(row_id)).state == "delivered"

    with Receiver(script(Reply(200, {"Content-Length": "9"}, b"x", STALL))) as receiver:
        run(sqlite, tmp_path, work, webhook_record(receiver.url()))


def test_410_disables_the_sink_and_the_others_are_told(url: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        dead, waiting = await b.enqueue(1), await b.enqueue(2)
        await b.settle()
        assert [(await b.row(i)).state for i in (dead, waiting)] == ["dead", "pending"]
        sink = await b.sinks.get(SINK)
        assert sink is not None
        assert (sink.enabled, sink.disabled_reason) == (False, "the receiver answered 410: it wants no more messages")
        (told,) = (json.loads(each.body) for each in receiver.received if each.path == "/other")
        assert told["type"] == "sink.disabled"
        about = {"id": SINK, "kind": "webhook", "name": "Control room"}
        assert told["data"] == {"sink": about, "reason": sink.disabled_reason}
        assert "actoscope_sinks_disabled 1.0" in exposition(b.dispatcher.measured()).decode()
        await b.sinks.change(replace(sink, enabled=False, disabled_reason=""))  # by a person: nobody has to act
        await b.dispatcher._round()
        assert "actoscope_sinks_disabled 0.0" in exposition(b.dispatcher.measured()).decode()

    def reply(received: Any) -> Reply:
        return Reply(410) if received.path == "/hook" else Reply(204)

    with Receiver(reply) as receiver:
        records = webhook_record(receiver.url()), webhook_record(receiver.url("/other"), OTHER)
        run(url, tmp_path, work, *records)


def test_three_days_of_failure_disable_a_sink_and_a_success_begins_anew(sqlite: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        await b.enqueue(1, None)
        await b.settle()
        b.clock.now += 2 * DAY_S
        receiver.reply = script(Reply(204))
        await b.settle()
        assert (await b.sinks.get(SINK)).failing_since is None  # type: ignore[union-attr]
        receiver.reply = script(Reply(500))
        await b.enqueue(2, None)
        await b.settle()
        b.clock.now += 3 * DAY_S - 1
        await b.settle()
        assert (await b.sinks.get(SINK)).enabled  # type: ignore[union-attr]
        b.clock.now += 12 * HOUR_S
        await b.settle()
        sink = await b.sinks.get(SINK)
        assert sink is not None and not sink.enabled
        assert sink.disabled_reason == "nothing arrived for 3 days; last: the receiver answered 500"

    with Receiver(script(Reply(500))) as receiver:
        run(sqlite, tmp_path, work, webhook_record(receiver.url()))


def test_stale_alarms_become_one_summary(url: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        late = [await b.enqueue(1, f"inc_{i}", expires_at=START + HOUR_S) for i in range(3)]
        rest = await b.enqueue(2, "inc_0", type="incident.ended")
        await b.settle()
        b.clock.now += HOUR_S + 1
        fresh = await b.enqueue(1, "inc_9")
        await b.settle()
        assert [(await b.row(i)).state for i in late] == ["expired"] * 3
        receiver.reply = script(Reply(204))
        later = await b.enqueue(3, "inc_0", type="incident.clip_ready")  # of an incident that nobody was told of
        b.clock.now += 6
        await b.settle()
        assert [(await b.row(i)).state for i in (rest, later, fresh)] == ["expired", "expired", "delivered"]
        summaries = [each for each in receiver.received if b"incident.summary" in each.body]
        assert len({each.id for each in summaries}) == 1  # the first attempts failed; meanwhile it grew
        summary = json.loads(summaries[-1].body)["data"]["summary"]
        assert summary["reason"] == "expired"
        assert (summary["messages"], summary["held_back"]) == (5, 3)
        assert sorted(summary["incidents"]) == ["inc_0", "inc_1", "inc_2"]
        assert summary["since"] < summary["until"]

    with Receiver(script(Reply(500))) as receiver:
        run(url, tmp_path, work, webhook_record(receiver.url()))


def test_outbox_of_a_sink_is_bounded_and_what_is_too_much_is_told(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(outbox_upkeep, "MAX_PENDING", 5)

    async def work(b: Bench) -> None:
        ids = [await b.enqueue(1, f"inc_{i}") for i in range(9)]
        other = await b.enqueue(1, None, sink_id=OTHER)
        await b.settle()
        assert [(await b.row(i)).state for i in ids] == ["expired"] * 4 + ["delivered"] * 5
        assert (await b.row(other)).state == "delivered"
        (summary,) = (json.loads(e.body)["data"] for e in receiver.received if b"incident.summary" in e.body)
        assert summary["summary"]["held_back"] == 4

    with Receiver() as receiver:
        run(url, tmp_path, work, webhook_record(receiver.url()), webhook_record(receiver.url("/other"), OTHER))


def test_messages_of_a_sink_that_is_gone_are_given_up(url: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        row_id = await b.enqueue()
        assert await b.sinks.delete(SINK)
        await b.settle()
        row = await b.row(row_id)
        assert (row.state, row.last_error) == ("expired", "the sink was removed")

    run(url, tmp_path, work, webhook_record("http://127.0.0.1:9/"))


def test_old_rows_are_pruned_and_ids_never_come_again(url: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        ids = [await b.enqueue(n) for n in range(1, 6)]
        await b.settle()
        now = START + 8 * DAY_S
        assert await b.database.write(lambda session: outbox_upkeep.prune(session, now)) == 4
        assert await b.enqueue(6) > max(ids)

    with Receiver() as receiver:
        run(url, tmp_path, work, webhook_record(receiver.url()))


def test_lease_that_ran_out_is_taken_by_another_and_the_first_may_not_finish_it(url: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        await b.enqueue()
        first = await b.database.write(lambda s: outbox.lease(s, SINK, START, 60.0, 5))
        assert await b.database.write(lambda s: outbox.lease(s, SINK, START + 60, 60.0, 5)) == []
        (second,) = await b.database.write(lambda s: outbox.lease(s, SINK, START + 61, 60.0, 5))
        assert second.row.id == first[0].row.id
        assert not await b.database.write(lambda s: outbox.delivered(s, first[0], START + 62, 200))
        assert await b.database.write(lambda s: outbox.delivered(s, second, START + 62, 200))

    run(url, tmp_path, work, webhook_record("http://127.0.0.1:9/"))


def test_two_workers_never_hold_the_same_message(postgres_url: str, url: str, tmp_path: Path):
    if not url.startswith("postgresql"):
        pytest.skip("SQLite has one worker")

    async def work(b: Bench) -> None:
        for n in range(40):
            await b.enqueue(1, f"inc_{n}")

        def lease(session: Any) -> list[int]:
            rows = outbox.lease(session, SINK, START, 60.0, 20)
            time.sleep(0.2)  # both transactions are open at once
            return [leased.row.id for leased in rows]

        taken = await asyncio.gather(b.database.read(lease), b.database.read(lease))
        assert sorted([*taken[0], *taken[1]]) == sorted(set(taken[0]) | set(taken[1]))
        assert len(taken[0]) == len(taken[1]) == 20

    run(url, tmp_path, work, webhook_record("http://127.0.0.1:9/"))


class Slow:
    """Keeps each message until it is let go; counts how many it had at once."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.most = self.now = self.cancelled = 0
        self.incidents: list[str | None] = []

    async def open(self) -> None: ...

    async def close(self, removed: bool) -> None: ...

    async def send(self, message: OutboxMessage) -> Outcome:
        assert message.incident_id not in self.incidents
        self.incidents.append(message.incident_id)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
            self.incidents.remove(message.incident_id)
        return Delivered()


def slow_record(number: int) -> SinkRecord:
    return SinkRecord(f"snk_{number:016x}", "slow", f"Slow {number}", {}, created_at=START + number)


def test_messages_under_way_are_bounded_for_all_and_for_a_sink(sqlite: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        for number in range(1, 5):
            for incident in range(6):
                for n in (1, 2):
                    await b.enqueue(n, f"inc_{number}_{incident}", sink_id=slow_record(number).id)
        for _ in range(3):
            await b.dispatcher._round()
            await asyncio.sleep(0)
        assert sum(slow.most for slow in slows) == SLOTS
        assert max(slow.most for slow in slows) == SINK_SLOTS
        for slow in slows:
            slow.let_go.set()
        await b.settle()
        page = await deliveries.list_deliveries(b.database, DeliveryFilter(states=("delivered",)), None, 100)
        assert len(page.items) == 48

    slows: list[Slow] = []

    def make(*_: Any) -> Slow:
        slows.append(Slow())
        return slows[-1]

    run(sqlite, tmp_path, work, *(slow_record(number) for number in range(1, 5)), senders={"slow": make})


def test_end_comes_within_two_seconds_and_gives_leases_back(sqlite: str, tmp_path: Path):
    slow: list[Slow] = []

    async def work(b: Bench) -> None:
        row_id = await b.enqueue(1, sink_id=slow_record(1).id)
        await b.dispatcher.open()
        while not (slow and slow[-1].now):
            await asyncio.sleep(0.01)
        begin = time.monotonic()
        await b.dispatcher.close()
        assert time.monotonic() - begin < 2
        row = await b.row(row_id)
        assert (row.state, row.attempts, row.lease_until) == ("pending", 0, None)
        assert slow[-1].cancelled == 1

    def make(*_: Any) -> Slow:
        slow.append(Slow())
        return slow[-1]

    run(sqlite, tmp_path, work, slow_record(1), senders={"slow": make})


def test_sender_that_raises_is_a_failed_attempt(sqlite: str, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    class Broken(Slow):
        async def send(self, message: OutboxMessage) -> Outcome:
            raise RuntimeError("scripted")

    async def work(b: Bench) -> None:
        row_id = await b.enqueue(1, sink_id=slow_record(1).id)
        await b.settle()
        row = await b.row(row_id)
        assert (row.state, row.attempts, row.last_error) == ("pending", 1, "an error of the service; its log says more")

    run(sqlite, tmp_path, work, slow_record(1), senders={"slow": lambda *_: Broken()})
    assert "scripted" in caplog.text


def test_sink_that_cannot_start_or_end_stops_no_other(sqlite: str, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    class EndsBadly(Slow):
        async def close(self, removed: bool) -> None:
            raise RuntimeError("scripted end")

    def make(record: SinkRecord, _: Any) -> Slow:
        if record.id == slow_record(3).id:
            raise RuntimeError("scripted start")
        return EndsBadly()

    async def work(b: Bench) -> None:
        waits = await b.enqueue(1, sink_id=slow_record(3).id)
        fine = await b.enqueue(1)
        await b.sinks.delete(slow_record(2).id)
        await b.dispatcher.changed()
        await b.settle()
        assert [(await b.row(i)).state for i in (waits, fine)] == ["pending", "delivered"]

    with Receiver() as receiver:
        records = webhook_record(receiver.url()), slow_record(2), slow_record(3)
        run(sqlite, tmp_path, work, *records, senders={"slow": make})
    said = [record.getMessage() for record in caplog.records]
    assert said.count(f"sink {slow_record(3).id} cannot be used") == 1
    assert f"sink {slow_record(2).id} did not end well" in said


def test_doorbell_is_sooner_than_the_poll(sqlite: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        await b.dispatcher.open()
        await asyncio.sleep(0.05)
        begin = time.monotonic()
        await b.enqueue()
        b.dispatcher.ring()
        while not receiver.received:
            await asyncio.sleep(0.005)
        assert receiver.received[0].at - begin < 0.7

    with Receiver() as receiver:
        run(sqlite, tmp_path, work, webhook_record(receiver.url()))


def test_message_that_is_too_large_or_no_json_is_refused(sqlite: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        with pytest.raises(ValueError, match="expected at most 19000 bytes of data in a message, got 20008"):
            await b.enqueue(data={"a": "x" * 20_000})
        with pytest.raises(ValueError, match="JSON"):
            await b.enqueue(data={"a": float("nan")})

    run(sqlite, tmp_path, work, webhook_record("http://127.0.0.1:9/"))


def test_dead_message_is_retried_by_hand(url: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        row_id = await b.enqueue()
        await b.settle()
        await b.sinks.change(webhook_record(receiver.url()))
        again = await deliveries.retry(b.database, row_id, b.clock.now)
        assert again is not None and (again.state, again.attempts) == ("pending", 0)
        await b.dispatcher.changed()
        await b.settle()
        assert (await b.row(row_id)).state == "delivered"
        with pytest.raises(RuntimeError, match="this one is delivered"):
            await deliveries.retry(b.database, row_id, b.clock.now)
        assert await deliveries.retry(b.database, 999, b.clock.now) is None

    with Receiver(script(Reply(410), Reply(204))) as receiver:
        run(url, tmp_path, work, webhook_record(receiver.url()))


def test_deliveries_are_listed_newest_first_in_pages(url: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        ids = [await b.enqueue(n, f"inc_{n}") for n in range(5)]
        everything = DeliveryFilter()
        first = await deliveries.list_deliveries(b.database, everything, None, 3)
        assert [record.id for record in first.items] == ids[:1:-1]
        cursor = outbox_cursor(first.next_cursor)
        second = await deliveries.list_deliveries(b.database, everything, cursor, 3)
        assert ([record.id for record in second.items], second.next_cursor) == (ids[1::-1], None)
        one = await deliveries.list_deliveries(b.database, DeliveryFilter((), (SINK,), ("inc_2",)), None, 3)
        assert [record.id for record in one.items] == [ids[2]]

    run(url, tmp_path, work, webhook_record("http://127.0.0.1:9/"))


def outbox_cursor(text: str | None) -> Any:
    from service.storage.records import Cursor

    assert text is not None
    return Cursor.decode(text)


def test_enqueue_is_part_of_the_callers_transaction(url: str, tmp_path: Path):
    async def work(b: Bench) -> None:
        def fail(session: Any) -> None:
            outbox.enqueue(session, NewMessage(SINK, "incident.started", {}, INCIDENT), START)
            raise RuntimeError("scripted")

        with pytest.raises(RuntimeError):
            await b.database.write(fail)
        page = await deliveries.list_deliveries(b.database, DeliveryFilter(), None, 10)
        assert page.items == ()

    run(url, tmp_path, work, webhook_record("http://127.0.0.1:9/"))

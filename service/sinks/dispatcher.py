"""Takes messages out of the outbox and has them sent: at least once, in order within (sink, incident), never across.

The database is the truth, looked at once a second; ``ring`` only makes it sooner. What a lease holds is sent by one
process; one that is killed leaves leases, which run out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from service.counters import Measures
from service.prometheus import CounterKeeper, Measured
from service.sinks.sender import Delivered, Gone, OutboxMessage, Outcome, Retry, Sender
from service.sinks.senders import Senders
from service.storage import outbox, outbox_upkeep
from service.storage.database import Database, StoreError
from service.storage.outbox import Failure, Leased, NewMessage
from service.subscription import rung

log = logging.getLogger(__name__)

POLL_S = 1.0
SLOTS = 8  # messages under way
SINK_SLOTS = 3  # of one sink; one where the last attempt failed, so that a dead receiver holds up no other
SEND_S = 30.0  # the longest that a sender may take
LEASE_S = 60.0  # more than SEND_S and what the database takes
CLOSE_S = 1.0  # what is under way may end
REFRESH_S = 5.0
PRUNE_S = 60.0
TEST = "test.ping"
COUNTERS = ("outbox_dead_total", "outbox_expired_total", "outbox_pruned_total", "outbox_leases_lost_total")


@dataclass(frozen=True, slots=True)
class Tried:
    """A message that was sent at once. ``ms``: how long it took."""

    delivery_id: int
    outcome: Outcome
    ms: int


class Dispatcher:
    """One a process. ``clock`` is Unix time; ``sole`` is True where no other process can use the same outbox."""

    def __init__(
        self,
        database: Database,
        senders: Senders,
        clock: Callable[[], float] = time.time,
        *,
        sole: bool = True,
        lease_s: float = LEASE_S,
    ) -> None:
        self._database = database
        self._senders = senders
        self._clock = clock
        self._sole = sole
        self._lease_s = lease_s
        self._bell = asyncio.Event()
        self._tasks: dict[asyncio.Task[None], Leased] = {}
        self._failing: set[str] = set()
        self._loop: asyncio.Task[None] | None = None
        self._keeper = CounterKeeper()
        self._measures = Measures()
        for name in COUNTERS:
            self._measures.count(name, 0)
        self._by_sink: dict[str, tuple[Measures, CounterKeeper]] = {}
        self._own: dict[str, CounterKeeper] = {}  # of what senders count themselves
        self._refresh_at = self._prune_at = 0.0

    async def open(self) -> None:
        """May raise StoreError."""
        if self._sole and (lost := await self._database.write(outbox.release_all)):
            log.info("%d messages were being sent when the service ended; they are sent again", lost)
        await self._senders.refresh()
        self._loop = asyncio.create_task(self._run(), name="outbox")

    async def close(self) -> None:
        """Within two seconds; what could not be finished is left for the next start."""
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_S / 2)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=CLOSE_S)
        await self._senders.close()

    def ring(self) -> None:
        """There is something new: after the commit of whoever enqueued it."""
        self._bell.set()

    async def changed(self) -> None:
        """A sink was added, changed or removed."""
        await self._senders.refresh()
        self.ring()

    # -- the loop

    async def _run(self) -> None:
        while True:
            try:
                await self._round()
            except StoreError as error:
                log.error("the outbox waits for the database: %s", error)
            except Exception:  # the task's outermost frame: one bad row must not end all delivery
                log.exception("the outbox goes on after an error")
            await rung(self._bell, POLL_S)
            self._bell.clear()

    async def _round(self) -> None:
        await self._keep_house()
        now = self._clock()
        look = await self._database.read(lambda session: outbox_upkeep.look(session, now))
        self._measures.gauge("outbox_pending", look.pending)
        self._measures.gauge("outbox_oldest_seconds", 0.0 if look.oldest_at is None else max(0.0, now - look.oldest_at))
        self._measures.gauge("sinks_disabled", look.given_up)
        if look.stale:
            self._count("outbox_expired_total", await self._database.write(lambda s: outbox_upkeep.expire(s, now)))
            self._bell.set()
        wanted = self._wanted(look.due)
        if wanted:
            for leased in await self._database.write(lambda session: self._lease(session, wanted, now)):
                self._start(leased)

    async def _keep_house(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._refresh_at:
            self._refresh_at = now_s + REFRESH_S
            await self._senders.refresh()
        if now_s >= self._prune_at:
            self._prune_at = now_s + PRUNE_S
            now = self._clock()
            self._count("outbox_pruned_total", await self._database.write(lambda s: outbox_upkeep.prune(s, now)))

    def _wanted(self, due: Sequence[str]) -> dict[str, int]:
        """→ sink → how many messages it may have now. A sink without a sender waits: it may be mended."""
        busy = Counter(leased.row.sink_id for leased in self._tasks.values())
        free, wanted = SLOTS - len(self._tasks), {}
        for sink_id in due:
            most = 1 if sink_id in self._failing else SINK_SLOTS
            count = min(free, most - busy[sink_id])
            if count > 0 and self._senders.get(sink_id) is not None:
                wanted[sink_id] = count
                free -= count
        return wanted

    def _lease(self, session: Session, wanted: dict[str, int], now: float) -> list[Leased]:
        return [
            leased
            for sink_id, most in wanted.items()
            for leased in outbox.lease(session, sink_id, now, self._lease_s, most)
        ]

    # -- one message

    def _start(self, leased: Leased) -> None:
        task = asyncio.create_task(self._deliver(leased), name=f"delivery {leased.row.id}")
        self._tasks[task] = leased
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self.ring()  # the next of its incident may be due
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a delivery ended with an error; its lease runs out", exc_info=error)

    async def _deliver(self, leased: Leased) -> None:
        sender = self._senders.get(leased.row.sink_id)
        try:
            if sender is None:  # removed since
                return await self._database.write(lambda session: outbox.release(session, leased))
            outcome, _ = await self._send(sender, leased)
        except asyncio.CancelledError:
            await self._database.write(lambda session: outbox.release(session, leased))
            raise
        await self._note(leased, outcome)

    async def _send(self, sender: Sender, leased: Leased) -> tuple[Outcome, float]:
        """→ the outcome, and how many seconds it took."""
        begin = time.monotonic()
        try:
            outcome = await asyncio.wait_for(sender.send(to_message(leased)), SEND_S)
        except asyncio.TimeoutError:
            outcome = Retry(f"not sent within {SEND_S:g} s")
        except Exception:  # the outermost frame of foreign code: a sender's error is a failed attempt
            log.exception("sink %s: a message could not be sent", leased.row.sink_id)
            outcome = Retry("an error of the service; its log says more")
        took_s = time.monotonic() - begin
        self._measure(leased.row.sink_id, outcome, took_s)
        return outcome, took_s

    async def _note(self, leased: Leased, outcome: Outcome) -> None:
        now, sink_id = self._clock(), leased.row.sink_id
        if isinstance(outcome, Delivered):
            self._failing.discard(sink_id)
            if not await self._database.write(
                lambda session: outbox.delivered(session, leased, now, outcome.status, outcome.note)
            ):
                self._count("outbox_leases_lost_total", 1)
            return
        self._failing.add(sink_id)
        failure = _failure(outcome)
        result = await self._database.write(lambda session: outbox.failed(session, leased, now, failure))
        if result is None:
            return self._count("outbox_leases_lost_total", 1)
        log.warning("sink %s, %s: %s", sink_id, to_message(leased).name, failure.error)
        self._count("outbox_dead_total", int(result.dead))
        if result.disabled is not None:
            log.error("sink %s is disabled: %s", sink_id, result.disabled)
            self._refresh_at = 0.0

    async def test(self, sink_id: str, sender: Sender) -> Tried:
        """Sends a test message now, once, past everything that waits. A failure leaves the sink as it is."""
        now = self._clock()
        data = {"text": "Messages of this sink arrive."}
        new = NewMessage(sink_id, TEST, data)
        leased = await self._database.write(lambda s: outbox.enqueue_leased(s, new, now, self._lease_s))
        outcome, took_s = await self._send(sender, leased)
        done = self._clock()
        if isinstance(outcome, Delivered):
            await self._database.write(lambda s: outbox.delivered(s, leased, done, outcome.status, outcome.note))
        else:
            failure = _failure(outcome)
            await self._database.write(lambda s: outbox.give_up(s, leased, failure))
        return Tried(leased.row.id, outcome, round(1000 * took_s))

    # -- measures

    def measured(self) -> list[Measured]:
        """→ what ``prometheus.exposition`` takes."""
        sinks = [
            ("", {"sink": sink_id}, measures.snapshot(), keeper)
            for sink_id, (measures, keeper) in self._by_sink.items()
        ]
        own = [
            ("", {"sink": sink_id}, snapshot, self._own.setdefault(sink_id, CounterKeeper()))
            for sink_id, snapshot in self._senders.measured().items()
        ]
        return [("", {}, self._measures.snapshot(), self._keeper), *sinks, *own]

    def forget(self, sink_id: str) -> None:
        """Of a sink that was removed."""
        self._by_sink.pop(sink_id, None)
        self._own.pop(sink_id, None)
        self._failing.discard(sink_id)

    def _count(self, name: str, amount: int) -> None:
        self._measures.count(name, amount)

    def _measure(self, sink_id: str, outcome: Outcome, took_s: float) -> None:
        measures, _ = self._by_sink.setdefault(sink_id, (Measures(), CounterKeeper()))
        measures.count(f"deliveries_total:{type(outcome).__name__.lower()}")
        measures.observe("delivery", took_s)


def to_message(leased: Leased) -> OutboxMessage:
    row = leased.row
    return OutboxMessage(
        row.id, row.sink_id, row.incident_id, row.n, row.type, row.created_at, leased.data, row.stream_id, row.attempts
    )


def _failure(outcome: Retry | Gone) -> Failure:
    if isinstance(outcome, Gone):
        return Failure(outcome.error, outcome.status, gone=True)
    return Failure(outcome.error, outcome.status, outcome.after_s)

"""Reads the message log through the engine and keeps what it decides: nothing is lost or done twice by a kill.

Incidents, messages to sinks, the cursor and the engine's state change in one transaction. The websocket's messages of
incidents are in that state too, as *unpublished*, until the engine has read them back from the log: a start publishes
those that are not there. The hub's call is a doorbell only; once a second the log is looked at anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.alerts.changes import Change, Changed
from service.alerts.engine import step, tick
from service.alerts.rows import (
    LinkMaker,
    absolute,
    incident_messages,
    incident_rows,
    outbox_messages,
    plain_links,
    to_incident,
)
from service.alerts.rule import Rules, to_rule
from service.alerts.state import MAX_UNPUBLISHED, State, decode, encode
from service.hub import Hub
from service.storage import alert_log
from service.storage.alert_log import Commit, CursorMoved
from service.storage.database import Database, StoreError
from service.storage.incidents import IncidentRecord
from service.storage.outbox import NewMessage
from service.storage.rules import RuleRecord, all_rules
from service.subscription import rung

log = logging.getLogger(__name__)

POLL_S = 1.0
READ_AT_ONCE = 100
COMMIT_EVERY = 1000  # messages that change nothing: so many are read again after a kill
RETRY_S = 1.0

Message = Mapping[str, Any]


class AlertRunner:
    """One engine over one log. Runs on the event loop; ``seq`` is the number of the last message it read.

    ``signed`` makes the links in messages to sinks, whose readers are not logged in; ``base`` is what they begin with.
    """

    def __init__(
        self,
        database: Database,
        hub: Hub,
        clock: Callable[[], float] = time.time,
        signed: LinkMaker = plain_links,
        read_at_once: int = READ_AT_ONCE,
        base: str = "",
    ) -> None:
        self._database, self._hub, self._clock, self._signed = database, hub, clock, signed
        self._base = base
        self._read_at_once = read_at_once
        self._rules = Rules(())
        self._stale = False  # the stored rules are others
        self._state = State()
        self._revision = 0
        self.seq = 0
        self._stored_seq = 0
        self._counters = dict.fromkeys(COUNTERS, 0)
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.caught_up = asyncio.Event()  # set once all that happened while nobody read is decided
        self.on_change: list[Callable[[Change], None]] = []  # called after it is stored; must not wait
        self.on_outbox: list[Callable[[], None]] = []  # called when the outbox has something new; must not wait

    async def open(self) -> None:
        """Goes on where the last one stopped."""
        async with self._lock:
            await self._load_rules()
            await self._recover()
        self._hub.on_sent.append(self.ring)
        self._task = asyncio.create_task(self._run_forever(), name="alerts")

    async def close(self) -> None:
        """What is not read yet is read by the next start."""
        if self.ring in self._hub.on_sent:
            self._hub.on_sent.remove(self.ring)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def ring(self) -> None:
        """There may be something new."""
        self._wake.set()

    async def rules_changed(self) -> None:
        """After a change of the stored rules: what was until now is decided by the old ones."""
        self._stale = True
        async with self._lock:
            with contextlib.suppress(CursorMoved):  # the loop recovers, and loads them
                await self._turn()

    async def clip_ready(self, record: IncidentRecord, path: str) -> None:
        """Stores and tells that an incident's clip is there."""
        now = self._clock()
        ready = Change("clip_ready", now, replace(to_incident(record), n=record.n + 1))
        row = {"id": record.id, "n": record.n + 1, "clip_path": path, "clip_state": "ready"}
        async with self._lock:
            await self._keep(self._state, self.seq, (ready,), [row])

    async def clip_missing(self, record: IncidentRecord, reason: str) -> None:
        row = {"id": record.id, "clip_state": "missing", "clip_reason": reason}
        async with self._lock:
            await self._keep(self._state, self.seq, (), [row])

    # -- the loop

    async def _run_forever(self) -> None:
        while True:
            try:
                async with self._lock:
                    await self._turn()
            except CursorMoved as error:
                log.warning("%s: read anew", error)
                await self._recover_later()
            except StoreError as error:
                self._counters["alert_failures_total"] += 1
                log.error("alerts wait for the database: %s", error)
                await asyncio.sleep(RETRY_S)
            except Exception:  # the task's outermost frame: alerts must not end silently
                self._counters["alert_failures_total"] += 1
                log.exception("alerts failed, trying again")
                await asyncio.sleep(RETRY_S)
            await rung(self._wake, POLL_S)
            self._wake.clear()

    async def _turn(self) -> None:
        """All there is to read, then the time. What was until now is decided by the rules that were until now."""
        await self._read_to_end()
        if self._stale:
            await self._pass_time()
            await self._load_rules()
        await self._pass_time()
        self.caught_up.set()

    async def _recover_later(self) -> None:
        with contextlib.suppress(StoreError):
            async with self._lock:
                await self._recover()

    async def _read_to_end(self) -> None:
        while True:
            after = self.seq
            batch = await self._database.read(lambda s, after=after: alert_log.read(s, after, self._read_at_once))  # type: ignore[misc]
            if batch:
                await self._take(batch)
            if len(batch) < self._read_at_once:
                return

    async def _take(self, batch: Sequence[Message]) -> None:
        state, changes = self._state, list[Changed]()
        self._note_gaps(batch)
        for message in batch:
            if message["type"] == "incident":
                state = _published(state, message)
                continue
            state, more = self._step(state, message)
            changes += more
        seq = batch[-1]["seq"]
        if changes or seq - self._stored_seq >= COMMIT_EVERY:
            await self._keep(state, seq, changes)
        else:  # read again after a kill, with the same result
            self._state, self.seq = state, seq

    def _step(self, state: State, message: Message) -> tuple[State, tuple[Changed, ...]]:
        """A message that cannot be understood is passed over, not read for ever."""
        try:
            return step(state, message, self._rules, self._clock())
        except (ValueError, KeyError, TypeError, AttributeError):
            self._counters["alert_messages_not_understood_total"] += 1
            log.exception("message %s is left out by the alerts", message.get("seq"))
            return state, ()

    def _note_gaps(self, batch: Sequence[Message]) -> None:
        """The log was pruned before it was read, or messages could not be stored."""
        first, last = batch[0]["seq"], batch[-1]["seq"]
        missed = last - self.seq - len(batch)
        if missed > 0:
            self._counters["alert_messages_missed_total"] += missed
            log.error("alerts: %d messages between %d and %d are not in the log (any more)", missed, self.seq, last)
        if first > self.seq + 1:  # those that were published may have been among them: rather none than twice
            self._state = replace(self._state, unpublished=())

    async def _pass_time(self) -> None:
        state, changes = tick(self._state, self._rules, self._clock())
        if changes:
            await self._keep(state, self.seq, changes)
        else:
            self._state = state

    # -- what is kept

    async def _keep(
        self, state: State, seq: int, changes: Sequence[Changed], rows: Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        """The one transaction, then what follows from it. Raises StoreError, CursorMoved; nothing is changed then."""
        messages = incident_messages(changes, plain_links)
        state = self._with_unpublished(state, messages)
        given = incident_rows(changes) if rows is None else rows
        told = await self._database.write(lambda session: self._write(session, state, seq, changes, given))
        self._state, self.seq, self._stored_seq = state, seq, seq
        self._revision += 1
        for message in messages:
            await self._hub.publish_incident(message)
        self._report(changes, told)

    def _write(
        self,
        session: Any,
        state: State,
        seq: int,
        changes: Sequence[Changed],
        rows: Sequence[Mapping[str, Any]],
    ) -> list[NewMessage]:
        outgoing: list[NewMessage] = []
        if changes:
            messages = outbox_messages(changes, alert_log.addresses(session), self._signed)
            outgoing = [absolute(message, self._base) for message in messages]
        work = Commit(self._revision, seq, encode(state), rows, outgoing)
        alert_log.commit(session, work, self._clock())
        return outgoing

    def _with_unpublished(self, state: State, messages: Sequence[dict[str, Any]]) -> State:
        waiting = (*state.unpublished, *messages)
        lost = max(0, len(waiting) - MAX_UNPUBLISHED)
        self._counters["alert_messages_unpublished_total"] += lost
        return replace(state, unpublished=waiting[lost:])

    def _report(self, changes: Sequence[Changed], told: Sequence[NewMessage]) -> None:
        for change in changes:
            if isinstance(change, Change):
                self._counters["incidents_total"] += change.kind == "started"
                for listener in self.on_change:
                    listener(change)
        self._counters["alert_messages_total"] += len(told)
        for ring in self.on_outbox if told else ():
            ring()

    # -- start

    async def _recover(self) -> None:
        """What is stored counts. Messages of incidents that did not get into the log are published now, in order."""
        await self._hub.flush()
        kept = await self._database.write(alert_log.load)
        state = decode(kept.state)
        self._revision, self.seq = kept.revision, kept.seq
        self._stored_seq = kept.seq
        for message in await self._database.read(lambda session: alert_log.read_incidents(session, kept.seq)):
            state = _published(state, message)
        self._state = state
        for message in state.unpublished:
            await self._hub.publish_incident(message)

    async def _load_rules(self) -> None:
        self._stale = False  # before they are read: a change meanwhile counts
        try:
            records = await self._database.read(all_rules)
        except StoreError:
            self._stale = True
            raise
        self._rules = Rules([rule for record in records if (rule := self._readable(record)) is not None])

    def _readable(self, record: RuleRecord) -> Any:
        try:
            return to_rule(record)
        except (ValueError, KeyError, TypeError):
            log.exception("rule %s cannot be read and is left out", record.id)
            return None

    def measures(self) -> dict[str, Any]:
        """→ a snapshot like ``Measures.snapshot``, for the metrics."""
        open_ones = sum(len(stream.incidents) for stream in self._state.streams.values())
        counters = {**self._counters, "alert_state_dropped_total": self._state.dropped}
        gauges = {"incidents_open": open_ones, "alerts_behind": max(0, self._hub.seq - self.seq)}
        return {"counters": counters, "gauges": gauges, "histograms": {}}


def _published(state: State, message: Message) -> State:
    """It was read back from the log."""
    found = (message["incident_id"], message["n"])
    left = tuple(each for each in state.unpublished if (each["incident_id"], each["n"]) != found)
    return state if len(left) == len(state.unpublished) else replace(state, unpublished=left)


COUNTERS = (
    "incidents_total",
    "alert_messages_total",
    "alert_messages_missed_total",
    "alert_messages_not_understood_total",
    "alert_messages_unpublished_total",
    "alert_failures_total",
)

"""The hub of a cluster's leader: nothing is sent that is not stored, and nothing is ended that goes on elsewhere.

On one machine labels go on while the database is away. Here another API may lead by then and give the same numbers
to other messages: so publishers wait, and the nodes keep what they have to tell.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from typing import Any

from sqlalchemy.orm import Session

from service.hub import RETRY_S, Hub, Numbered
from service.storage.cluster.nodes import Taken, put_taken
from service.storage.database import StoreError
from service.storage.records import EventRecord
from service.storage.store import Store
from service.subscription import Message
from service.wire_messages import ended_after_crash

log = logging.getLogger(__name__)

# From which row of which node's spool the message comes that a task publishes now; it is stored with the message.
SOURCE: ContextVar[tuple[str, Taken] | None] = ContextVar("SOURCE", default=None)


class StrictHub(Hub):
    """``given``: the number of the newest message; it is stored once ``seq`` has reached it."""

    def __init__(self, store: Store, queue_limit: int = 256, tracks_hz: float = 10.0) -> None:
        super().__init__(store, queue_limit, tracks_hz)
        self._sources: dict[int, tuple[str, Taken]] = {}  # by number, until stored
        self._known: dict[str, EventRecord] = {}  # actions that began under the leader before

    async def open(self) -> None:
        """Goes on where the leader before was: nodes run on, so what was open may be so still."""
        self.seq = self._given = await self._store.last_seq()
        self._known = {event.id: event for event in await self._store.open_events()}
        for event in self._known.values():
            told = {**ended_after_crash(event), "kind": "updated", "end_s": None}
            self._open_events[event.id] = told
        self._task = asyncio.create_task(self._deliver_forever(), name="hub")

    @property
    def given(self) -> int:
        return self._given

    def open_streams(self) -> frozenset[str]:
        """→ streams in which an action goes on, as far as is known."""
        return frozenset(str(message["stream_id"]) for message in self._open_events.values())

    def _ended(self, message: Numbered) -> Message:
        event = self._known.get(message["event_id"])
        if event is not None and message["stream_id"] not in self._last_seen:
            return ended_after_crash(event)
        return super()._ended(message)

    async def _give_number(self, message: Message) -> Numbered:
        numbered = await super()._give_number(message)
        source = SOURCE.get()
        if source is not None:
            self._sources[numbered["seq"]] = source
        return numbered

    async def _keep(self, batch: list[Numbered]) -> None:
        """Until they are stored: whoever has to tell more waits meanwhile, on its own machine."""
        taken = dict(self._sources.pop(message["seq"]) for message in batch if message["seq"] in self._sources)
        while batch:
            try:
                return await self._store.append_with(batch, lambda session: _also(session, taken))
            except StoreError as error:
                self._counters["store_failures_total"] += 1
                log.error("%d messages wait to be stored, trying again: %s", len(batch), error)
            except Exception:  # the task's outermost frame: one bad message must not end all delivery
                self._counters["messages_lost_total"] += len(batch)
                log.exception("%d messages cannot be stored", len(batch))
                return None
            await asyncio.sleep(RETRY_S)
        return None

    def measures(self) -> dict[str, Any]:
        found = super().measures()
        return {**found, "gauges": {**found["gauges"], "messages_unstored": self._given - self.seq}}


def _also(session: Session, taken: dict[str, Taken]) -> None:
    put_taken(session, taken)

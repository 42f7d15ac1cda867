"""The sinks as they run: one Sender for each that is enabled, made anew where its sink has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.sinks.kinds import FACTORIES
from service.sinks.sender import Factory, MeasuredSender, Sender, SenderContext
from service.storage.sinks import SinkRecord, SinkStore

log = logging.getLogger(__name__)

CLOSE_S = 1.0


class Senders:
    """All methods run on the event loop."""

    def __init__(self, sinks: SinkStore, context: SenderContext, factories: Mapping[str, Factory] = FACTORIES) -> None:
        self._sinks = sinks
        self._context = context
        self._factories = factories
        self._running: dict[str, tuple[SinkRecord, Sender]] = {}
        self._broken: dict[str, SinkRecord] = {}  # said once
        self._lock = asyncio.Lock()

    async def refresh(self) -> None:
        """Brings what runs in step with the database. May raise StoreError."""
        async with self._lock:
            wanted = {record.id: record for record in await self._sinks.all() if record.enabled}
            for sink_id, (record, _) in tuple(self._running.items()):
                if sink_id not in wanted or _essence(wanted[sink_id]) != _essence(record):
                    await self._end(sink_id, removed=sink_id not in wanted)
            for record in wanted.values():
                if record.id not in self._running:
                    await self._start(record)
            self._broken = {sink_id: record for sink_id, record in self._broken.items() if sink_id in wanted}

    async def close(self) -> None:
        async with self._lock:
            await asyncio.gather(*(self._end(sink_id, removed=False) for sink_id in tuple(self._running)))

    def get(self, sink_id: str) -> Sender | None:
        running = self._running.get(sink_id)
        return None if running is None else running[1]

    def measured(self) -> dict[str, Mapping[str, Any]]:
        """→ sink → what its sender has to show, of those that have."""
        running = {sink_id: sender for sink_id, (_, sender) in self._running.items()}
        return {sink_id: each.measured() for sink_id, each in running.items() if isinstance(each, MeasuredSender)}

    def make(self, record: SinkRecord) -> Sender:
        """→ a sender that is not opened: for a test of a sink that is disabled. Raises ValueError."""
        factory = self._factories.get(record.kind)
        if factory is None:
            raise ValueError(f"nobody sends for sinks of the kind {record.kind}")
        return factory(record, self._context)

    async def _start(self, record: SinkRecord) -> None:
        try:
            sender = self.make(record)
            await sender.open()
        except ValueError as error:
            if record.id not in self._broken or _essence(self._broken[record.id]) != _essence(record):
                log.error("sink %s cannot be used: %s", record.id, error)
            self._broken[record.id] = record
            return
        except Exception:  # foreign code, the outermost frame: one sink that does not start must stop no other
            if record.id not in self._broken:
                log.exception("sink %s cannot be used", record.id)
            self._broken[record.id] = record
            return
        self._running[record.id] = (record, sender)

    async def _end(self, sink_id: str, removed: bool) -> None:
        _, sender = self._running.pop(sink_id)
        try:
            await asyncio.wait_for(sender.close(removed), CLOSE_S)
        except asyncio.TimeoutError:
            log.warning("sink %s did not end within %g s", sink_id, CLOSE_S)
        except Exception:  # likewise
            log.exception("sink %s did not end well", sink_id)


def _essence(record: SinkRecord) -> SinkRecord:
    """What a sender is made of: a failure makes no new one."""
    return replace(record, failing_since=None, disabled_reason="")

"""The seam between the outbox and whatever brings its messages to somebody: one Sender a sink."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from service.counters import Measures
from service.hub import Hub
from service.settings import Settings
from service.sinks.mqtt_alerts import AlertSwitch
from service.storage.database import Database
from service.storage.sinks import SinkRecord
from service.storage.store import Store
from service.supervisor_protocol import Supervisor


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One message for one sink. ``id`` is the same at every attempt; ``n`` counts within (sink, incident).

    ``type``: incident.started, incident.updated, incident.ended, incident.clip_ready, incident.summary, stream.failed,
    stream.recovered, sink.disabled, test.ping. ``created_at`` is Unix time; ``data`` what is told, ready for JSON.
    """

    id: int
    sink_id: str
    incident_id: str | None
    n: int
    type: str
    created_at: float
    data: Mapping[str, Any]
    stream_id: str | None = None
    attempts: int = 0  # before this one

    @property
    def name(self) -> str:
        """What receivers tell repetitions by."""
        return f"msg_{self.id}"


@dataclass(frozen=True, slots=True)
class Delivered:
    """It arrived. ``note`` where not all is well."""

    status: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """It did not arrive, or nobody knows. ``after_s``: the receiver's wish; ``error`` is shown, without secrets."""

    error: str
    status: int | None = None
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The receiver wants nothing any more: the sink is disabled."""

    error: str
    status: int | None = None


Outcome = Delivered | Retry | Gone


class Sender(Protocol):
    """Brings messages to one sink. Methods run on the event loop and do not block it.

    ``send`` is called for several messages at once, never for two of one incident. It may be cancelled.
    """

    async def open(self) -> None:
        """Returns at once: what has to be connected is connected by a task."""

    async def send(self, message: OutboxMessage) -> Outcome:
        """One attempt, within SEND_S of the dispatcher. What it raises is logged and taken for a Retry."""

    async def close(self, removed: bool) -> None:
        """Within a second. ``removed``: the sink was deleted or disabled, it leaves nothing behind where it can."""


@runtime_checkable
class MeasuredSender(Protocol):
    """A Sender that has something to show under ``/metrics``."""

    def measured(self) -> Mapping[str, Any]:
        """→ a snapshot, as of ``counters.Measures``; names begin with the sink's kind."""


async def no_snapshot(_: str) -> bytes | None:
    return None


@dataclass(frozen=True, slots=True)
class SenderContext:
    """What senders may work with besides their sink. ``snapshot``: an incident's id → its JPEG, None without one."""

    settings: Settings
    store: Store
    database: Database
    hub: Hub
    supervisor: Supervisor
    measures: Measures = field(default_factory=Measures)
    snapshot: Callable[[str], Awaitable[bytes | None]] = no_snapshot
    alerts: AlertSwitch | None = None  # what a broker's commands act on


# A changed sink gets a new Sender; the old one is closed first. Raises ValueError for what it cannot work with.
Factory = Callable[[SinkRecord, SenderContext], Sender]

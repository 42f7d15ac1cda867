"""Alerts of a stream as a switch: what a broker shows of it, and the commands that move it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from service.storage import mqtt as table
from service.storage.database import Database

MAX_SUSPEND_MIN = 7 * 24 * 60  # a week
MAX_COMMAND = 16  # bytes


class CommandRefused(ValueError):
    """A command that cannot be; the message says what was expected and what came."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """Whether the rules of a stream tell anybody; at ``suspended_until`` (Unix time) they do again by themselves."""

    on: bool
    suspended_until: float | None = None


class AlertSwitch(Protocol):
    """Arms and disarms what watches a stream: the rules that name it, whole, also where they name others besides."""

    async def state(self, stream_id: str) -> AlertState: ...

    async def set(self, stream_id: str, on: bool) -> None:
        """Off until it is set on again."""

    async def suspend(self, stream_id: str, until: float | None) -> None:
        """Off until then (Unix time); None: on again now."""


class RuleSwitch:
    """An AlertSwitch over the database: off and suspended are a snooze of the rules that watch the stream.

    ``on_switched`` is called after each change with the stream and until when its rules are silent, None: no more.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self.on_switched: list[Callable[[str, float | None], Awaitable[None]]] = []

    async def state(self, stream_id: str) -> AlertState:
        """Off where no enabled rule watches the stream."""
        snoozes = await self._database.read(lambda session: table.snoozes(session, stream_id))
        now = self._clock()
        if not snoozes or any(until is None or until <= now for until in snoozes):
            return AlertState(on=bool(snoozes))
        until = min(until for until in snoozes if until is not None)
        return AlertState(False, None if until >= table.FOREVER else until)

    async def set(self, stream_id: str, on: bool) -> None:
        await self.suspend(stream_id, None if on else table.FOREVER)

    async def suspend(self, stream_id: str, until: float | None) -> None:
        await self._database.write(lambda session: table.snooze(session, stream_id, until))
        for listener in self.on_switched:
            await listener(stream_id, until)


async def command(switch: AlertSwitch, stream_id: str, verb: str, payload: bytes, now: float) -> None:
    """Does what came under ``<stream_id>/alerts/<verb>``. Raises CommandRefused."""
    text = _text(payload)
    if verb == "set":
        await switch.set(stream_id, _on_off(text))
    elif verb == "suspend":
        minutes = _minutes(text)
        await switch.suspend(stream_id, now + 60 * minutes if minutes else None)
    else:
        raise CommandRefused(f"expected alerts/set or alerts/suspend, got alerts/{verb[:20]}")


def _text(payload: bytes) -> str:
    if len(payload) > MAX_COMMAND:
        raise CommandRefused(f"expected at most {MAX_COMMAND} bytes, got {len(payload)}")
    return payload.decode("ascii", "replace").strip()


def _on_off(text: str) -> bool:
    if text not in ("ON", "OFF"):
        raise CommandRefused(f"alerts/set: expected ON or OFF, got {text!r}")
    return text == "ON"


def _minutes(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and int(text) <= MAX_SUSPEND_MIN):
        raise CommandRefused(f"alerts/suspend: expected 0 to {MAX_SUSPEND_MIN} minutes, got {text!r}")
    return int(text)

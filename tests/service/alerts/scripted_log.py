"""A scripted message log and its clock: what streams say, at seconds from a beginning, through the engine itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.alerts.changes import Change, Changed, StreamTold, Summary
from service.alerts.engine import step, tick
from service.alerts.rule import Rule, Rules
from service.alerts.state import State, decode, encode
from service.wire_messages import parse_rfc3339, rfc3339

BEGIN = parse_rfc3339("2026-05-04T12:00:00Z")  # a Monday
GATE, YARD = "str_000000000000000a", "str_000000000000000b"


def act(
    at: float,
    kind: str = "started",
    event: str = "evt_1",
    *,
    track: int = 7,
    action: str = "Fighting",
    confidence: float = 0.9,
    zones: Sequence[str] = (),
    stream: str = GATE,
    recent: Sequence[float] = (),
) -> dict[str, Any]:
    """An action message ``at`` seconds after BEGIN; media time is the same."""
    return {
        "type": "action",
        "event_id": event,
        "stream_id": stream,
        "track_id": track,
        "action": action,
        "kind": kind,
        "confidence": confidence,
        "start_s": float(at),
        "end_s": float(at) if kind == "ended" else None,
        "captured_at": rfc3339(BEGIN + at),
        "model": "surveillance",
        "zones": list(zones),
        "clips": {"count": len(recent), "share": 1.0, "recent": list(recent)},
    }


def see(at: float, people: int, stream: str = GATE, **zones: Sequence[int]) -> dict[str, Any]:
    """A presence message; a zone's value are the tracks in it."""
    named = {name: {"people": len(tracks), "tracks": list(tracks)} for name, tracks in zones.items()}
    return {
        "type": "presence",
        "stream_id": stream,
        "captured_at": rfc3339(BEGIN + at),
        "time_s": float(at),
        "people": people,
        "zones": named,
    }


def say(state: str, stream: str = GATE, code: str | None = None) -> dict[str, Any]:
    return {"type": "stream", "stream_id": stream, "state": state, "code": code, "reason": "scripted"}


def rule(**changes: Any) -> Rule:
    """Fighting at 0.8 and more, without cooldown, unless changed."""
    values: dict[str, Any] = {
        "id": "rul_000000000000000a",
        "name": "Fight",
        "kind": "action",
        "severity": "alert",
        "actions": {"Fighting": 0.8},
        "cooldown_s": 0.0,
        "sinks": ("snk_a",),
    }
    return Rule(**{**values, **changes})


class Played:
    """What the engine made of a script; through JSON after each message, as if the service started anew each time."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = Rules(rules)
        self.state = State()
        self.changes: list[Changed] = []

    def take(self, *messages: dict[str, Any], now: float = 0.0) -> Played:
        for message in messages:
            self._keep(step(self.state, message, self.rules, BEGIN + now))
        return self

    def wait(self, until: float) -> Played:
        """Seconds after BEGIN that are decided then; the engine's tick comes a second later."""
        self._keep(tick(self.state, self.rules, BEGIN + until + 1))
        return self

    def change_rules(self, *rules: Rule) -> Played:
        self.rules = Rules(rules)
        return self

    def _keep(self, outcome: tuple[State, tuple[Changed, ...]]) -> None:
        self.state = decode(encode(outcome[0]))
        assert self.state == outcome[0]
        self.changes += outcome[1]

    @property
    def incidents(self) -> list[Change]:
        return [change for change in self.changes if isinstance(change, Change)]

    @property
    def told(self) -> list[tuple[str, float]]:
        """→ (kind, seconds after BEGIN) of every change of an incident."""
        return [(change.kind, round(change.at - BEGIN, 3)) for change in self.incidents]

    @property
    def starts(self) -> list[float]:
        return [at for kind, at in self.told if kind == "started"]

    @property
    def summaries(self) -> list[Summary]:
        return [change for change in self.changes if isinstance(change, Summary)]

    @property
    def streams_told(self) -> list[tuple[str, int]]:
        return [(change.kind, change.n) for change in self.changes if isinstance(change, StreamTold)]

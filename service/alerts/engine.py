"""The engine: what is known, one message, the rules → what is known then, and what somebody is to be told.

Pure: the same messages in the same order make the same incidents, however often they are read again. Time is that of
the messages; ``tick`` lets it pass where none come. Before a message counts, everything is decided that fell due until
then (``settling.py``), in the order in which it fell due.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.alerts.changes import Changed, StreamTold
from service.alerts.conditions import holding, is_about
from service.alerts.desk import Desk
from service.alerts.rule import Rules
from service.alerts.scene import take_action, take_presence, take_stream
from service.alerts.settling import enrich, settle, settle_hours, settle_quiet
from service.alerts.state import MAX_CONDITIONS, Condition, State, StreamState
from service.wire_messages import parse_rfc3339

Message = Mapping[str, Any]
Outcome = tuple[State, tuple[Changed, ...]]

TICK_SLACK_S = 1.0  # time passes this much later by the clock than by messages, which take a while to come
SET_BACK_S = 10.0  # a message that is this much earlier than the last one: somebody set the clock
_READ = frozenset({"action", "presence", "stream"})


def step(state: State, message: Message, rules: Rules, now: float) -> Outcome:
    """One message of the log. ``now`` (Unix time) dates those that have no time of their own."""
    if message["type"] not in _READ:
        return state, ()
    desk = Desk(state, rules)
    _renew(desk)
    stream_id = str(message["stream_id"])
    if message["type"] == "stream":
        _hear_of_stream(desk, stream_id, message, now)
    else:
        _see(desk, stream_id, message)
    return desk.done()


def tick(state: State, rules: Rules, now: float) -> Outcome:
    """Lets the time pass until a second before Unix time ``now``."""
    desk, until = Desk(state, rules), now - TICK_SLACK_S
    _renew(desk)
    for stream_id, known in state.streams.items():
        if until > known.clock or known.incidents:
            settle(desk, stream_id, max(until, known.clock))
    settle_hours(desk, until)
    desk.forget_idle(until)
    return desk.done()


def _renew(desk: Desk) -> None:
    """After a change of the rules all that holds is looked at anew."""
    if desk.fingerprint == desk.rules.fingerprint:
        return
    desk.fingerprint = desk.rules.fingerprint
    for stream_id in desk.stream_ids:
        _look(desk, stream_id)


def _see(desk: Desk, stream_id: str, message: Message) -> None:
    # An end may tell of long ago: after a crash it is when its action was told of last.
    dated = message.get("kind") != "ended"
    stream, at = _advance(desk, stream_id, parse_rfc3339(message["captured_at"]), dated)
    if message["type"] == "presence":
        desk.dropped += take_presence(stream, message, at)
        _look(desk, stream_id)
    else:
        track = take_action(stream, message)
        if track is None:
            desk.dropped += 1
        else:
            _look(desk, stream_id, track)
    settle(desk, stream_id, at)
    settle_hours(desk, at)


def _advance(desk: Desk, stream_id: str, at: float, dated: bool) -> tuple[StreamState, float]:
    """→ the stream, all decided up to ``at``, and the moment that the message counts for: time does not go back.

    ``dated``: the message says what time it is, so that it may show a clock that was set back.
    """
    stream = desk.stream(stream_id, at)
    if dated and at < stream.clock - SET_BACK_S:
        _set_back(stream, at - stream.clock)
    settle(desk, stream_id, max(at, stream.clock))
    return stream, stream.clock


def _set_back(stream: StreamState, by_s: float) -> None:
    """The clock was set back: what lasted so long has lasted as long still."""
    stream.clock += by_s
    for key, condition in stream.conditions.items():
        stream.conditions[key] = replace(condition, since=condition.since + by_s)
    for key, incident in stream.incidents.items():
        quiet = None if incident.quiet_since is None else incident.quiet_since + by_s
        stream.incidents[key] = replace(incident, told_at=incident.told_at + by_s, quiet_since=quiet)
    for key, until in stream.cooldowns.items():
        stream.cooldowns[key] = until + by_s


def _hear_of_stream(desk: Desk, stream_id: str, message: Message, now: float) -> None:
    at = parse_rfc3339(message["at"]) if "at" in message else now  # older versions did not say
    stream = desk.stream(stream_id, at)
    if take_stream(stream, message):
        _look(desk, stream_id)
        settle(desk, stream_id, stream.clock)
    failed = message["state"] == "failed"
    if failed is not stream.failed and (failed or message["state"] == "running"):
        stream.failed, stream.told = failed, stream.told + 1
        kind, about = ("failed" if failed else "recovered"), (message["code"], message["reason"])
        desk.changes.append(StreamTold(kind, stream_id, at, stream.told, *about))  # type: ignore[arg-type]


def _look(desk: Desk, stream_id: str, track: str | None = None) -> None:
    """Brings the conditions in step with what is known now, of one person or of all."""
    stream = desk.stream(stream_id)
    found: dict[str, Condition] = {}
    for rule in desk.rules.of(stream_id):
        found.update(holding(rule, stream, stream.clock, track))
    for key in [key for key, old in stream.conditions.items() if key not in found and is_about(old, track)]:
        del stream.conditions[key]
    for key, condition in found.items():
        known = stream.conditions.get(key)
        if known is not None:
            same = {"since": known.since, "start_s": known.start_s, "incident_id": known.incident_id}
            stream.conditions[key] = replace(condition, **same)  # type: ignore[arg-type] # of their own kinds
            enrich(stream, stream.conditions[key])
        elif len(stream.conditions) < MAX_CONDITIONS:
            stream.conditions[key] = condition
        else:
            desk.dropped += 1
    settle_quiet(desk, stream_id)

"""What a rule would have done with the stored past: the engine over the log, and nothing kept of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from service.alerts.changes import Change, Changed, Summary
from service.alerts.engine import TICK_SLACK_S, step, tick
from service.alerts.rule import Rule, Rules
from service.alerts.state import Incident, State
from service.storage import alert_log
from service.wire_messages import rfc3339

WARM_UP_S = 600.0  # before the span: who does what when it begins
MAX_MESSAGES = 200_000
MAX_LISTED = 500
_PAGE = 1000

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DryRunResult:
    """Incidents with the number of messages that each sink would have got of each. ``log_since``: RFC 3339."""

    incidents: tuple[tuple[Incident, int], ...]
    more: int
    messages: int
    messages_read: int
    log_since: str | None
    truncated: bool


class DryRunner:
    """One rule over one span. The rule counts as silent before it, so that nothing goes on from there."""

    def __init__(self, rule: Rule, since: float, until: float) -> None:
        self._rules = Rules([replace(rule, enabled=True, snoozed_until=since)])
        self._rule = rule
        self._until = until
        self._first, self._last = rfc3339(since - WARM_UP_S), rfc3339(until)
        self._state = State()
        self._incidents: dict[str, tuple[Incident, int]] = {}
        self._messages = self._read = 0
        self._oldest: str | None = None
        self._truncated = False

    def run(self, session: Session) -> DryRunResult:
        for message in self._of_span(session):
            self._read += 1
            state, changes = step(self._state, message, self._rules, self._until)
            self._keep(state, changes)
        self._keep(*tick(self._state, self._rules, self._until + TICK_SLACK_S))
        listed = tuple(self._incidents.values())
        more = max(0, len(listed) - MAX_LISTED)
        return DryRunResult(listed[:MAX_LISTED], more, self._messages, self._read, self._oldest, self._truncated)

    def _of_span(self, session: Session) -> Iterator[Message]:
        """Times are compared as text: all of the log is written in one form."""
        for message in self._of_log(session):
            at = message.get("captured_at") or message.get("at")
            self._oldest = self._oldest or at
            if message["type"] == "incident" or not self._rule.covers(message["stream_id"]):
                continue
            if at is None or self._first <= at <= self._last:
                yield message

    def _of_log(self, session: Session) -> Iterator[Message]:
        after = read = 0
        while page := alert_log.read(session, after, _PAGE):
            yield from page
            after, read = page[-1]["seq"], read + len(page)
            if read >= MAX_MESSAGES:
                self._truncated = True
                return

    def _keep(self, state: State, changes: tuple[Changed, ...]) -> None:
        self._state = state
        for change in changes:
            if isinstance(change, Change):
                told = 0 if change.incident.muted else 1
                _, before = self._incidents.get(change.incident.id, (None, 0))
                self._incidents[change.incident.id] = (change.incident, before + told)
                self._messages += told
            elif isinstance(change, Summary):
                self._messages += 1

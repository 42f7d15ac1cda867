"""The difference between what a broker should hold and what it holds: a pure value that gives the next publishes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.sinks.mqtt_state import Retained

ROW = "#"  # in a remembered row that is no topic of its own
NODE = ""  # the group of what belongs to no stream


@dataclass(frozen=True, slots=True)
class Publish:
    """A retained payload to be sent; an empty one clears the topic. ``group``: whose it is, None: nobody's any more."""

    topic: str
    payload: bytes
    order: int
    group: str | None = None
    rows: tuple[str, ...] = ()


class RetainedTopics:
    """Topics come in groups (a stream's id, or NODE), which are replaced whole.

    ``known`` are the rows of the table of published topics, with their groups: those that no group wants any more are
    to be cleared. The newest payload of a topic wins; one that was never sent counts in ``superseded``.
    """

    def __init__(self, known: Mapping[str, str | None] | None = None) -> None:
        self.known = dict(known or {})
        self.superseded = 0
        self._wanted: dict[str, Retained] = {}
        self._groups: dict[str, frozenset[str]] = {}
        self._sent: dict[str, bytes] = {}
        self._sent_at: dict[str, float] = {}
        self._changed: set[str] = set()
        self._closed = False

    def want(self, group: str, topics: Mapping[str, Retained]) -> None:
        """Replaces what a group wants; nothing after ``close``."""
        if self._closed:
            return
        changed = {topic for topic, wanted in topics.items() if self._wanted.get(topic) != wanted}
        self.superseded += sum(self._waits(topic) for topic in changed)
        self._leave(self._groups.get(group, frozenset()) - topics.keys())
        self._groups[group] = frozenset(topics)
        self._wanted.update(topics)
        self._changed |= changed

    def _waits(self, topic: str) -> bool:
        wanted = self._wanted.get(topic)
        return wanted is not None and wanted.payload is not None and topic in self._changed

    def keep_only(self, groups: Iterable[str]) -> None:
        """Groups that are not named are wanted no more."""
        for gone in self._groups.keys() - set(groups):
            self._leave(self._groups.pop(gone))

    def close(self) -> None:
        """Nothing is wanted any more, whatever is asked for from now on."""
        self.keep_only(())
        self._closed = True

    def _leave(self, topics: Iterable[str]) -> None:
        for topic in topics:
            del self._wanted[topic]
            self._changed.add(topic)

    def send_all(self) -> None:
        """Another connection: the broker may have lost everything."""
        self._sent.clear()
        self._sent_at.clear()
        self._changed = self._wanted.keys() | {row for row in self.known if ROW not in row}

    def send_again(self, topic: str) -> None:
        """Somebody else wrote to it."""
        if topic in self._wanted:
            self._sent.pop(topic, None)
            self._changed.add(topic)

    def is_strange(self, topic: str) -> bool:
        """Whether it is neither wanted nor remembered here."""
        return ROW not in topic and topic not in self._wanted and topic not in self.known

    def due(self, now: float) -> list[Publish]:
        """→ what is to be sent now, in order; each is ``done`` once it was sent."""
        publishes = [self._publish(topic) for topic in sorted(self._changed) if self._due_at(topic) <= now]
        return sorted((publish for publish in publishes if publish is not None), key=lambda publish: publish.order)

    def next_due(self) -> float | None:
        """→ when something that waits for its time is to be sent."""
        return min(map(self._due_at, self._changed), default=None)

    def _due_at(self, topic: str) -> float:
        wanted = self._wanted.get(topic)
        if wanted is None or topic not in self._sent_at:
            return 0.0
        return self._sent_at[topic] + wanted.period_s

    def _publish(self, topic: str) -> Publish | None:
        """→ None, and the topic is no longer looked at, where there is nothing to do."""
        wanted = self._wanted.get(topic)
        if wanted is None:
            if topic in self.known or topic in self._sent:
                return Publish(topic, b"", -1)
        elif wanted.payload is not None and self._sent.get(topic) != wanted.payload:
            return Publish(topic, wanted.payload, wanted.order, self._group(topic), wanted.rows)
        self._changed.discard(topic)
        return None

    def _group(self, topic: str) -> str:
        return next(group for group, topics in self._groups.items() if topic in topics)

    def unknown_rows(self, publishes: Iterable[Publish]) -> dict[str, str | None]:
        """→ rows, with their groups, that have to be remembered before these are sent."""
        return {
            row: publish.group or None
            for publish in publishes
            if publish.group is not None
            for row in (publish.topic, *publish.rows)
            if row not in self.known
        }

    def done(self, publish: Publish, now: float) -> list[str]:
        """It was sent. → rows to be forgotten."""
        topic = publish.topic
        wanted = self._wanted.get(topic)
        if publish.payload:
            self._sent[topic], self._sent_at[topic] = publish.payload, now
            if wanted is not None and wanted.payload == publish.payload:
                self._changed.discard(topic)
            return self._forget(row for row in self._rows_of(topic) if row not in publish.rows) if publish.rows else []
        self._sent.pop(topic, None)
        if wanted is not None:
            return []  # wanted again meanwhile: it is still in ``_changed``
        self._changed.discard(topic)
        return self._forget([*self._rows_of(topic), *({topic} & self.known.keys())])

    def _rows_of(self, topic: str) -> list[str]:
        return [row for row in self.known if row.startswith(topic + ROW)]

    def _forget(self, rows: Iterable[str]) -> list[str]:
        gone = list(rows)
        for row in gone:
            del self.known[row]
        return gone

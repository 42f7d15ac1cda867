"""Where one step of the engine is worked out: a copy of the state, of each stream only once it is touched."""

from __future__ import annotations

from service.alerts.changes import Changed
from service.alerts.rule import Rules
from service.alerts.state import MAX_STREAMS, State, StreamState


class Desk:
    """``done`` makes a State of it again; the one it was made of stays as it was."""

    def __init__(self, state: State, rules: Rules) -> None:
        self.rules = rules
        self.hours = dict(state.hours)
        self.number = state.number
        self.fingerprint = state.fingerprint
        self.dropped = state.dropped
        self.changes: list[Changed] = []
        self._unpublished = state.unpublished
        self._streams = dict(state.streams)
        self._own: set[str] = set()

    @property
    def stream_ids(self) -> tuple[str, ...]:
        return tuple(self._streams)

    def stream(self, stream_id: str, since: float = 0.0) -> StreamState:
        """→ the stream, to be worked on; a new one knows nothing, since Unix time ``since``."""
        if stream_id not in self._own:
            known = self._streams.get(stream_id)
            if known is None:
                self._make_room()
            self._streams[stream_id] = StreamState(since) if known is None else known.copy()
            self._own.add(stream_id)
        return self._streams[stream_id]

    def _make_room(self) -> None:
        """Gives up the one that was heard of last longest ago."""
        if len(self._streams) >= MAX_STREAMS:
            oldest = min(self._streams, key=lambda stream_id: self._streams[stream_id].clock)
            del self._streams[oldest]
            self._own.discard(oldest)
            self.dropped += 1

    def forget_idle(self, at: float) -> None:
        """Streams of which there is nothing to remember: deleted ones, those that do not run."""
        for stream_id, stream in list(self._streams.items()):
            cools = any(until > at for until in stream.cooldowns.values())
            if stream.idle and stream.people_count is None and not stream.failed and not cools:
                del self._streams[stream_id]

    def done(self) -> tuple[State, tuple[Changed, ...]]:
        state = State(self._streams, self.hours, self.number, self.fingerprint, self.dropped, self._unpublished)
        return state, tuple(self.changes)

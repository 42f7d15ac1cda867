"""A busy day: so many events of several cameras, as the messages that tell of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from service.wire_messages import rfc3339

LABELS = ("Fighting", "Standing", "Walking", "Other")
_LENGTHS_S = (3.0, 8.0, 20.0, 45.0, 110.0)


def many_events(count: int, streams: Sequence[str], since: float, span_s: float) -> Iterator[dict[str, Any]]:
    """A beginning and an end each, numbered from 1; spread over the span, each person with a few actions in a row."""
    for index in range(count):
        began = since + index * span_s / count
        length_s = _LENGTHS_S[index % len(_LENGTHS_S)]
        told = {
            "type": "action",
            "event_id": f"evt_{index:016x}",
            "stream_id": streams[index % len(streams)],
            "track_id": 1 + index // (3 * len(streams)),
            "action": LABELS[index * 7 % len(LABELS)],
            "confidence": 0.5 + index % 50 / 100,
            "start_s": began - since,
            "model": "surveillance",
        }
        yield {**told, "seq": 2 * index + 1, "kind": "started", "end_s": None, "captured_at": rfc3339(began)}
        end = {"kind": "ended", "end_s": began - since + length_s, "captured_at": rfc3339(began + length_s)}
        yield {**told, "seq": 2 * index + 2, **end}

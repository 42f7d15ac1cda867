"""When a stream says who is in view: what rules about absence, dwelling and numbers of people are decided by.

The message is numbered and stored like those of actions, so its rate is bounded: one at a change, never two within
``LEAST_S``, and one at least each ``MOST_S`` while pictures come, so that silence is known from nobody being there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pipeline.entities import FrameResult
from service.wire_messages import to_presence_message

LEAST_S = 1.0
MOST_S = 10.0
_WHEN = ("captured_at", "time_s")  # what differs also where nobody came or went


class PresenceTeller:
    """Asked at every frame. ``clock``: monotonic seconds."""

    def __init__(self, stream_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream_id = stream_id
        self._clock = clock
        self._told: dict[str, Any] = {}
        self._told_s = float("-inf")

    def due(self, result: FrameResult) -> dict[str, Any] | None:
        """→ the message that is due at this frame, if one is."""
        now = self._clock()
        if now - self._told_s < LEAST_S:
            return None
        message = to_presence_message(self._stream_id, result)
        who = {name: value for name, value in message.items() if name not in _WHEN}
        if who == self._told and now - self._told_s < MOST_S:
            return None
        self._told, self._told_s = who, now
        return message

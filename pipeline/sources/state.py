"""The life of a source, and the only moves it may make."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum


class SourceState(str, Enum):
    CONNECTING = "connecting"
    RUNNING = "running"
    RECONNECTING = "reconnecting"
    STOPPED = "stopped"
    FAILED = "failed"  # a live source still tries again, slowly; a file has ended


OnState = Callable[[SourceState, "str | None", str], None]

_MOVES = {
    SourceState.CONNECTING: {
        SourceState.RUNNING,
        SourceState.RECONNECTING,
        SourceState.STOPPED,
        SourceState.FAILED,
    },
    SourceState.RUNNING: {SourceState.RECONNECTING, SourceState.STOPPED, SourceState.FAILED},
    # The reason can change while trying: refused at first, then a wrong password.
    SourceState.RECONNECTING: {
        SourceState.RECONNECTING,
        SourceState.RUNNING,
        SourceState.STOPPED,
        SourceState.FAILED,
    },
    SourceState.FAILED: {SourceState.FAILED, SourceState.RUNNING, SourceState.RECONNECTING, SourceState.STOPPED},
    SourceState.STOPPED: set(),
}


class SourceLife:
    """Holds the state and tells ``on_state`` each change as ``(state, code, reason)``; starts as connecting."""

    def __init__(self, on_state: OnState) -> None:
        self._on_state = on_state
        self._now: tuple[SourceState, str | None, str] = (SourceState.CONNECTING, None, "connecting")
        self._lock = threading.Lock()

    @property
    def state(self) -> SourceState:
        return self._now[0]

    def announce(self) -> None:
        """Tell the present state, as the first message."""
        self._on_state(*self._now)

    def move(self, state: SourceState, code: str | None, reason: str) -> None:
        """Raises RuntimeError for a move that is not part of a source's life. Repeating the same is no news."""
        with self._lock:
            if (state, code, reason) == self._now:
                return
            if state not in _MOVES[self.state]:
                raise RuntimeError(f"a source cannot go from {self.state.value} to {state.value}")
            self._now = (state, code, reason)
        self._on_state(state, code, reason)

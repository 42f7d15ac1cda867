"""The life of a stream as the API tells it, and the only moves it may make.

A stream outlives its processes and sources: a crashed process is RECONNECTING, the next one begins at CONNECTING. The
source's own life within one process is ``pipeline.sources.state``.
"""

from __future__ import annotations

from enum import Enum

from service.errors_base import ServiceError


class StreamState(str, Enum):
    CONNECTING = "connecting"
    RUNNING = "running"
    RECONNECTING = "reconnecting"
    STOPPED = "stopped"
    FAILED = "failed"  # a camera is tried again, slowly


class IllegalMove(ServiceError, RuntimeError):
    """A state that cannot follow the present one: somebody's report is not to be believed."""


_MOVES = {
    StreamState.CONNECTING: {StreamState.RUNNING, StreamState.RECONNECTING, StreamState.STOPPED, StreamState.FAILED},
    StreamState.RUNNING: {StreamState.RECONNECTING, StreamState.STOPPED, StreamState.FAILED},
    StreamState.RECONNECTING: {StreamState.CONNECTING, StreamState.RUNNING, StreamState.STOPPED, StreamState.FAILED},
    StreamState.FAILED: {StreamState.CONNECTING, StreamState.RUNNING, StreamState.RECONNECTING, StreamState.STOPPED},
    # A process that crashes while it ends: its file is played again.
    StreamState.STOPPED: {StreamState.RECONNECTING, StreamState.FAILED},
}


def check_move(before: StreamState, after: StreamState) -> None:
    """Raises IllegalMove. To stay in a state is always allowed: its reason may change."""
    if after is not before and after not in _MOVES[before]:
        raise IllegalMove(f"a stream cannot go from {before.value} to {after.value}")

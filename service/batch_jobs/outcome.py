"""What the end of a job's attempt means: as AWS Batch is told to take it (``commands/batch/plan.py``)."""

from __future__ import annotations

import signal
from enum import Enum

from service.errors_base import ServiceError

STATUS_AGAIN = 75  # as ``batch run`` ends where another attempt may go on
# As where a machine is taken away: somebody else's hand, or the kernel's where memory is short.
TAKEN_AWAY = (-signal.SIGKILL, -signal.SIGTERM)


class RayGone(ServiceError, ConnectionError):
    """What runs the jobs is no more: the same command goes on where they were."""


class End(str, Enum):
    DONE = "done"
    AGAIN = "again"  # another attempt goes on where this one stopped
    FAILED = "failed"  # another attempt would fail the same way


def end_of(status: int) -> End:
    """``status``: of a process, below 0 where a signal ended it."""
    if status == 0:
        return End.DONE
    return End.AGAIN if status == STATUS_AGAIN or status in TAKEN_AWAY else End.FAILED


def words_of(status: int) -> str:
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"

"""SIGTERM, by which AWS Batch and Kubernetes say that a machine goes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from models.training.batch.halt import Halt


@contextmanager
def halting() -> Iterator[Halt]:
    """→ what SIGTERM asks inside; a second one changes nothing."""
    halt = Halt()

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        halt.ask()

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield halt
    finally:
        signal.signal(signal.SIGTERM, before)

"""A process that is told to go: at once where nothing would be lost, else after the batch that it learns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(BaseException):
    """No error of a training's, so that nothing in it takes this for one."""


class Halt:
    """``asked``: whether somebody wants the process to go."""

    def __init__(self) -> None:
        self.asked = False
        self._waits = False

    def ask(self) -> None:
        """Raises Terminated, but inside ``after_the_batch``."""
        self.asked = True
        if not self._waits:
            raise Terminated

    @contextmanager
    def after_the_batch(self) -> Iterator[None]:
        """Inside, whoever learns looks at ``asked`` itself. Raises Terminated at the end where nobody did."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
        if self.asked:
            raise Terminated

"""A doorbell in this process: somebody's rights have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Changes:
    """Rung with the id of whoever is concerned; None: everybody may be. Whoever hears it reads rights anew."""

    def __init__(self) -> None:
        self._bells: set[asyncio.Event] = set()

    @contextmanager
    def subscribed(self) -> Iterator[asyncio.Event]:
        """→ an event that is set at each change; to be cleared by who waits for it."""
        bell = asyncio.Event()
        self._bells.add(bell)
        try:
            yield bell
        finally:
            self._bells.discard(bell)

    def notify(self, principal_id: str | None = None) -> None:
        for bell in self._bells:
            bell.set()

"""Makes finished segments of closed files, in order, on a thread of its own.

Reading a file once more and syncing it may take seconds where the disk is busy. The pictures of these seconds would
wait, then be dropped, if the thread that encodes did it.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from service.recording.segment_files import commit, salvage
from service.storage.segment import Segment

log = logging.getLogger(__name__)

MOST_WAITING = 4  # closed segments; with more, the disk is too slow and the encoder waits


class Finisher:
    """``done`` is called with every finished segment, ``failed`` with what the disk said; both on this thread."""

    def __init__(self, done: Callable[[Segment], None], failed: Callable[[Exception], None]) -> None:
        self._done, self._failed = done, failed
        self._closed: queue.Queue[Path | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="recorder-finish", daemon=True)
        self._thread.start()

    def take(self, path: Path) -> None:
        """The segment ``path`` is closed. Waits while MOST_WAITING others do."""
        self._closed.put(path)

    def close(self) -> None:
        """Returns when all are finished, or left for the next start."""
        self._closed.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (path := self._closed.get()) is not None:
            try:
                self._done(commit(path))
            except (OSError, ValueError) as error:
                self.rescue(path)
                self._failed(error)

    def rescue(self, path: Path) -> None:
        """Keeps what plays of a segment that could not be finished as it should."""
        try:
            segment = salvage(path)
        except (OSError, ValueError) as error:
            log.error("%s is left for the next start: %s", path.name, error)
            return
        if segment is not None:
            self._done(segment)

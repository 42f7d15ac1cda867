"""Reads a source in a thread, as a stream process does, and remembers what came out of it and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from pipeline.entities import Frame
from pipeline.errors import SourceError
from pipeline.sources.url import SourcePolicy, SourceUrl
from pipeline.sources.video_source import SourceOptions, SourceState, VideoSource
from tests.support.service import PATIENCE


@dataclass(frozen=True)
class Change:
    state: SourceState
    code: str | None
    reason: str
    at_s: float


class Watcher:
    """``with Watcher(url) as watched``: iterates until left; ``wait`` blocks until something is true or fails."""

    def __init__(self, url: SourceUrl | str, options: SourceOptions | None = None) -> None:
        parsed = SourceUrl.parse(url, SourcePolicy()) if isinstance(url, str) else url
        self.source = VideoSource(parsed, options or SourceOptions(), self._on_state)
        self.frames: list[Frame] = []
        self.changes: list[Change] = []
        self.error: SourceError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _on_state(self, state: SourceState, code: str | None, reason: str) -> None:
        self.changes.append(Change(state, code, reason, time.monotonic()))

    def _run(self) -> None:
        try:
            self.frames.extend(self.source)
        except SourceError as error:
            self.error = error

    def wait(self, what: Callable[[Watcher], bool], timeout_s: float = 10.0) -> None:
        end_s = time.monotonic() + PATIENCE * timeout_s
        while not what(self):
            assert time.monotonic() < end_s, (
                f"not in {PATIENCE * timeout_s} s; states: {self.changes}, frames: {len(self.frames)}"
            )
            time.sleep(0.02)

    def wait_code(self, code: str, timeout_s: float = 10.0) -> Change:
        """Until a state change carries ``code``. → that change."""
        self.wait(lambda watched: any(change.code == code for change in watched.changes), timeout_s)
        return next(change for change in self.changes if change.code == code)

    def wait_state(self, state: SourceState, timeout_s: float = 10.0) -> None:
        """Until the source is in ``state`` now."""
        self.wait(lambda watched: watched.source.state is state, timeout_s)

    def stop(self) -> float:
        """Stop and wait for the iteration to end. → seconds that took (10 when it never did)."""
        began_s = time.monotonic()
        self.source.stop()
        self._thread.join(10.0)
        return time.monotonic() - began_s

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

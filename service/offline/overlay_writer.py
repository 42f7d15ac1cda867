"""The overlay video of a file, drawn and encoded in a thread of its own beside the work that finds people."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

from pipeline.entities import FrameResult
from pipeline.overlay import draw
from service.recording.segment_writer import SegmentWriter

WAITING = 8  # frames between the two threads; ``put`` waits when there are so many


class OverlayWriter:
    """``put`` every result in order, then ``close``, or ``abandon`` where nothing shall be kept."""

    def __init__(self, path: Path, size_hw: tuple[int, int], buffer_size: int) -> None:
        self._writer = SegmentWriter(path, size_hw)
        self._buffer_size = buffer_size
        self._queue: queue.Queue[FrameResult | None] = queue.Queue(WAITING)
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="overlay", daemon=True)
        self._thread.start()

    def put(self, result: FrameResult) -> None:
        """Waits for room. Raises what went wrong with an earlier frame."""
        while self._problem is None:
            try:
                self._queue.put(result, timeout=0.5)
                return
            except queue.Full:
                continue
        raise self._problem

    def close(self) -> None:
        """Everything is written. Raises what went wrong; what is there plays up to that point."""
        self._end()
        self._writer.close()
        if self._problem is not None:
            raise self._problem

    def abandon(self) -> None:
        self._end()
        self._writer.abandon()

    def _end(self) -> None:
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=0.5)
                break
            except queue.Full:
                continue
        self._thread.join()

    def _run(self) -> None:
        try:
            while (result := self._queue.get()) is not None:
                minutes, seconds = divmod(result.frame.time_s, 60)
                image = draw(result, self._buffer_size, f"{int(minutes):02d}:{seconds:05.2f}")
                self._writer.write(image, result.frame.time_s)
        except Exception as error:  # noqa: BLE001 - the thread's outermost frame: told at the next put, or at the end
            self._problem = error

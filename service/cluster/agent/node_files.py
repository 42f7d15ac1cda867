"""Recorded files of one node: read in pieces, discarded on order, and told of where nobody has told of them yet."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from service.cluster.links.messages import Piece
from service.recording.reconcile import WRITERS_S, alone_with, segments_without_row
from service.recording.segment_files import discard
from service.storage.segment import Segment

log = logging.getLogger(__name__)

MAX_PIECE = 1 << 20


class NodeFiles:
    """``told``: paths, relative to the folder, that were told of; ``tell`` tells of one more."""

    def __init__(
        self, folder: Path, told: Callable[[], frozenset[str]], tell: Callable[[Segment], Awaitable[object]]
    ) -> None:
        self._folder = folder.resolve()
        self._told = told
        self._tell = tell

    async def repair_all(self) -> None:
        """What a former process left: before any stream runs."""
        for folder in sorted(path for path in self._folder.glob("*") if path.is_dir()):
            await self.repair(folder.name, WRITERS_S)

    async def repair(self, stream_id: str, wait_s: float = 0.0) -> None:
        """Finishes what a process left open, and tells of what nobody was told of."""
        folder = self._folder / stream_id
        try:
            if not await asyncio.to_thread(folder.is_dir):
                return
            known = {self._folder / path for path in self._told()}
            async with alone_with(folder, asyncio.get_running_loop().time() + wait_s) as alone:
                found = await asyncio.to_thread(lambda: list(segments_without_row(folder, known, alone)))
        except OSError as error:
            log.error("recordings of stream %s are left for the next start: %s", stream_id, error)
            return
        for segment in found:
            await self._tell(replace(segment, stream_id=stream_id))

    def read(self, path: str, offset: int, size: int) -> Piece:
        """Raises ValueError for what is no place in the folder of recordings."""
        try:
            with self._inside(path).open("rb") as file:
                total, written = file.seek(0, 2), os.fstat(file.fileno()).st_mtime
                file.seek(offset)
                return Piece(file.read(min(size, MAX_PIECE)), total, written)
        except FileNotFoundError:
            return Piece(b"", -1)

    def discard(self, path: str) -> None:
        """Raises OSError where the disk does not let go of it, or is not there itself; ValueError as ``read``."""
        file = self._inside(path)
        if not self._folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the folder of recordings is not there", str(self._folder))
        if file.parent.is_dir():
            discard(file)

    def _inside(self, path: str) -> Path:
        found = (self._folder / path).resolve()
        if not found.is_relative_to(self._folder) or found == self._folder:
            raise ValueError(f"expected a path within the folder of recordings, got {path}")
        return found

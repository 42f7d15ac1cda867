"""What an API has fetched of recordings that are not its own: a cache on its disk, bounded, least used first to go."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from service.errors_base import Unavailable

CACHE_BYTES = 4_000_000_000
ASK_AGAIN_S = 30
_PART = ".fetch"
_MB = 1_000_000


class FetchedFiles:
    """``<folder>/<stream>/<file>``. ``floor_bytes`` stay free on the disk. What is used now, nobody takes away."""

    def __init__(self, folder: Path, floor_bytes: int, most_bytes: int = CACHE_BYTES) -> None:
        self._folder = folder
        self._floor_bytes, self._most_bytes = floor_bytes, most_bytes
        self._pins: Counter[Path] = Counter()

    def forget_parts(self) -> None:
        """Fetches that were broken off."""
        for part in self._folder.glob(f"*/*{_PART}"):
            part.unlink(missing_ok=True)

    @staticmethod
    def part_of(path: Path) -> Path:
        """→ where a file lies until it is whole."""
        return path.with_name(path.name + _PART)

    @contextlib.contextmanager
    def pinned(self, paths: Collection[Path]) -> Iterator[None]:
        self._pins.update(paths)
        try:
            yield
        finally:
            self._pins.subtract(paths)
            self._pins = +self._pins

    def sizes(self) -> dict[Path, int]:
        """→ the size of each file, those that were used longest ago first."""
        found: list[tuple[float, Path, int]] = []
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):  # one that is renamed or deleted meanwhile
                status = path.stat()
                if path.suffix != _PART and not path.name.startswith(".") and path.is_file():
                    found.append((status.st_atime, path, status.st_size))
        return {path: size for _, path, size in sorted(found)}

    def is_crowded(self, need: int) -> bool:
        return sum(self.sizes().values()) + need > self._most_bytes or self._free() - need < self._floor_bytes

    def make_room(self, need: int, mine: Mapping[Path, int]) -> None:
        """``mine``: the files that were fetched, in the order in which they may go. Raises Unavailable where the disk
        has no room for ``need`` bytes all the same.
        """
        total = sum(mine.values())
        for path, size in mine.items():
            if total + need <= self._most_bytes and self._free() - need >= self._floor_bytes:
                return
            if path not in self._pins:
                path.unlink(missing_ok=True)
                total -= size
        free = self._free()
        if free - need < self._floor_bytes:
            raise Unavailable(
                f"the disk of this API has no room for a recording from elsewhere: {free // _MB} MB are free, "
                f"{(self._floor_bytes + need) // _MB} MB are needed",
                ASK_AGAIN_S,
            )

    def keep(self, part: Path, path: Path, mtime: float) -> None:
        """It is whole: an answer's tag is made of its time, which is that of the node's own file."""
        os.utime(part, (time.time(), mtime or time.time()))
        part.rename(path)

    def _free(self) -> int:
        return shutil.disk_usage(self._folder.parent).free

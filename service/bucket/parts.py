"""What everything about the bucket works with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.store.protocol import Store
from service.bucket.hands import Hands
from service.bucket.standing import Standing
from service.storage.objects import INCIDENTS, RECORDINGS, ObjectRecord, ObjectStore


@dataclass(frozen=True)
class Parts:
    """``hands``: for work that nobody waits for, one call at a time, niced. ``floor_bytes`` stay free on the disk.

    ``buffer_s``: what is recorded for incidents only is sent once it is so old; most of it is gone by then.
    ``clock``: Unix time; ``monotonic``: seconds, for what is done from time to time.
    """

    store: Store
    objects: ObjectStore
    data_dir: Path
    standing: Standing
    hands: Hands
    floor_bytes: int
    buffer_s: float
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    def path(self, record: ObjectRecord) -> Path:
        """→ of the local copy, whether there is one or not."""
        return self.data_dir / record.path

    def relative(self, path: Path) -> str | None:
        """→ by what rows know this file; None where it is not one of ours. Both folders may be links to other disks."""
        for name in (RECORDINGS, INCIDENTS):
            for folder in (self.data_dir / name, (self.data_dir / name).resolve()):
                if path.absolute().is_relative_to(folder):
                    return f"{name}/{path.absolute().relative_to(folder).as_posix()}"
        return None

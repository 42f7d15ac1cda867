"""The state of one job in a store: a checkpoint an epoch, ``LATEST``, which names the newest, and ``DONE``.

    runs/gym/fold-1/epoch-0007.ckpt     last.npz, and best.npz where there is one, as a ZIP
    runs/gym/fold-1/LATEST              key of the training, and its newest checkpoints with their sha256, newest first
    runs/gym/fold-1/DONE                what came out of it

A checkpoint is there, and looked at, before ``LATEST`` names it; ``LATEST`` is only written over what this attempt has
read, so that of two attempts at once one fails. The last two checkpoints stay: a damaged newest one costs an epoch.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.errors import NotStoredError, StoreDamagedError, StoreError, TrainingError
from models.store.protocol import NEW, Store
from models.training.run.state import BEST_FILE, LAST_FILE
from pipeline.files import file_sha256

LATEST_FILE, DONE_FILE, PREDICTIONS_FILE = "LATEST", "DONE", "predictions.json"
KEPT = 2


@dataclass(frozen=True, slots=True)
class Kept:
    """One checkpoint, after ``epochs`` epochs and ``steps`` batches of the next."""

    epochs: int
    steps: int
    object: str
    size: int
    sha256: str

    def __str__(self) -> str:
        return f"epoch {self.epochs}" + (f" and {self.steps} batches" if self.steps else "")


class RemoteState:
    """``prefix``: of the job's objects. ``key`` names the training: another's state is refused, not gone on with."""

    def __init__(self, store: Store, prefix: str, key: str, tell: Callable[[str], None]) -> None:
        self._store = store
        self._prefix = prefix
        self._key = key
        self._tell = tell
        self._tag = NEW
        self._kept: tuple[Kept, ...] = ()

    def done(self) -> dict[str, Any] | None:
        """→ what ``finish`` has written, if anything. Raises TrainingError where another training ended here."""
        found = self._read(DONE_FILE)
        return None if found is None else found[0]

    def restore(self, folder: Path) -> Kept | None:
        """Fill ``folder`` with the newest checkpoint that is whole → which that is, None: there is none.

        Raises TrainingError for the state of another training, StoreError where the store cannot be asked.
        """
        found = self._read(LATEST_FILE)
        if found is None:
            return None
        listed, self._tag = found
        kept = tuple(Kept(**each) for each in listed["checkpoints"])
        for place, each in enumerate(kept):
            if self._is_restored(each, folder):
                self._kept = kept[place:]
                return each
        self._tell(f"none of the {len(kept)} checkpoints of {self._prefix} can be used: it starts anew")
        return None

    def save(self, folder: Path, epochs: int, steps: int = 0) -> None:
        """Keep what ``folder`` holds. Raises StoreError: a job must not go on unsaved."""
        packed = folder / "checkpoint.zip"
        _pack(folder, packed)
        name = f"epoch-{epochs:04d}" + (f"-{steps:06d}" if steps else "")
        kept = Kept(epochs, steps, f"{name}.ckpt", packed.stat().st_size, file_sha256(packed))
        self._store.put(f"{self._prefix}/{kept.object}", packed, kept.sha256)
        before = tuple(each for each in self._kept if each.object != kept.object)
        self._kept = (kept, *before[: KEPT - 1])
        listed = {"key": self._key, "checkpoints": [asdict(each) for each in self._kept]}
        written = self._store.put_bytes(f"{self._prefix}/{LATEST_FILE}", _json(listed), over=self._tag)
        self._tag = written.tag
        packed.unlink()
        for old in before[KEPT - 1 :]:
            self._forget(old)

    def finish(self, content: Mapping[str, Any]) -> None:
        """From now on another attempt has nothing to do."""
        self._store.put_bytes(f"{self._prefix}/{DONE_FILE}", _json({"key": self._key, **content}))

    def _read(self, name: str) -> tuple[dict[str, Any], str] | None:
        place = f"{self._prefix}/{name}"
        try:
            content, stored = self._store.read(place)
        except NotStoredError:
            return None
        try:
            found = json.loads(content)
            key = found["key"]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{place} is damaged: {error}; remove it to start anew") from error
        if key != self._key:
            raise TrainingError(f"{place} belongs to another configuration or data set; take another --output")
        return found, stored.tag

    def _is_restored(self, kept: Kept, folder: Path) -> bool:
        packed = folder / "checkpoint.zip"
        try:
            self._store.fetch(f"{self._prefix}/{kept.object}", packed, kept.sha256)
            with zipfile.ZipFile(packed) as archive:
                for name in (LAST_FILE, BEST_FILE):
                    if name in archive.namelist():
                        archive.extract(name, folder)
        except (
            NotStoredError,
            StoreDamagedError,
            zipfile.BadZipFile,
        ) as error:  # others are no reason to lose an epoch
            self._tell(f"the checkpoint {kept.object} cannot be used: {error}")
            return False
        finally:
            packed.unlink(missing_ok=True)
        return True

    def _forget(self, kept: Kept) -> None:
        try:
            self._store.delete(f"{self._prefix}/{kept.object}")
        except StoreError as error:  # it is only in the way
            self._tell(f"an old checkpoint stays: {error}")


def _pack(folder: Path, packed: Path) -> None:
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in (LAST_FILE, BEST_FILE):
            if (folder / name).is_file():
                archive.write(folder / name, name)


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()

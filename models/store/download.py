"""One file out of a store, in as many requests as it takes, whole and of the right hash or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from models.errors import NotStoredError, StoreDamagedError, StoreUnavailableError
from models.store.protocol import Step, Store, Stored
from pipeline.files import file_sha256

_IDLE_TRIES = 4  # requests that brought nothing


@dataclass(frozen=True, slots=True)
class Download:
    """``name``: of the object, for people. What came lies beside ``target`` under the hash until it is whole."""

    store: Store
    name: str
    key: str
    target: Path
    sha256: str

    def run(self, step: Step) -> None:
        """Raises StoreDamagedError, and what ``Store.fetch`` raises; what came by then stays for the next try."""
        there = self.store.head(self.key)
        if there is None:
            raise NotStoredError(f"{self.name} is not there")
        self.target.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):  # what lay there from earlier may be another's
            self._receive(there, step)
            found = file_sha256(self._part)
            if found == self.sha256:
                self._part.replace(self.target)
                return
            self._part.unlink()
            step(-there.size)
        raise StoreDamagedError(f"{self.name} is damaged: its sha256 is {found}, expected {self.sha256}")

    @property
    def _part(self) -> Path:
        return self.target.with_name(f".{self.target.name[:100]}.{self.sha256[:16]}.part")

    def _receive(self, there: Stored, step: Step) -> None:
        idle = 0
        with self._part.open("ab") as file:
            if file.tell() > there.size:
                file.truncate(0)
            step(file.tell())
            while (done := file.tell()) < there.size:
                try:
                    for block in self.store.stream(self.key, done, there.size - 1):
                        file.write(block)
                        step(len(block))
                except StoreUnavailableError:
                    idle = idle + 1 if file.tell() == done else 0
                    if idle == _IDLE_TRIES:
                        raise
            file.flush()
            os.fsync(file.fileno())

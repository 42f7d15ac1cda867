"""What every store can do. Keys are parts between slashes below the place that the store was opened at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from models.errors import StoreError

MAX_READ_BYTES = 64 << 20  # of what is read into memory
NEW = ""  # in the place of a tag: nothing may be there yet
Step = Callable[[int], None]  # how many bytes more are done


@dataclass(frozen=True, slots=True)
class Stored:
    """One object. ``tag`` changes with everything that is written there; ``sha256`` (hex) is empty where the store was
    not told.
    """

    key: str
    size: int
    tag: str
    sha256: str = ""


def nobody(done: int) -> None:
    """For whoever wants to know nothing."""


class Store(Protocol):
    """Everything raises StoreUnavailableError where trying later may help, else StoreError."""

    def put(self, key: str, source: Path, sha256: str, step: Step = nobody) -> Stored:
        """Keep a file whose hash is ``sha256``; it is there, and whole, when this returns.

        Raises StoreDamagedError where the file has another hash.
        """

    def put_bytes(self, key: str, content: bytes, over: str | None = None) -> Stored:
        """``over``: the tag that must be there now, or ``NEW``; None: whatever is. Raises StoreConflictError."""

    def read(self, key: str, limit: int = MAX_READ_BYTES) -> tuple[bytes, Stored]:
        """Raises NotStoredError."""

    def fetch(self, key: str, target: Path, sha256: str, step: Step = nobody) -> None:
        """Write ``target`` whole, going on with what an interrupted fetch left beside it.

        Raises NotStoredError, and StoreDamagedError where what is there has another hash.
        """

    def stream(self, key: str, first: int, last: int, tag: str = "") -> Iterator[bytes]:
        """Bytes ``first`` to ``last``, both included, in blocks. ``tag``: of what they must be of, where one is given.

        Raises NotStoredError before the first, and StoreConflictError where something else is there.
        """

    def head(self, key: str) -> Stored | None:
        """None where there is nothing."""

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Everything below ``prefix``, by key; hashes are left out."""

    def delete(self, key: str) -> None:
        """Nothing there is as good as done."""


def checked(key: str) -> str:
    """→ ``key``. Raises StoreError for one that leads out of its place."""
    parts = PurePosixPath(key).parts
    if not parts or key.startswith("/") or ".." in parts or "\\" in key or "\0" in key or "//" in key:
        raise StoreError(f"expected a key such as runs/gym/LATEST, got {key!r}")
    return key

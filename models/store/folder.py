"""A folder as a store: for one machine, for shared disks, and for trying things out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from models.errors import NotStoredError, StoreConflictError, StoreDamagedError, StoreError
from models.store.protocol import MAX_READ_BYTES, NEW, Step, Stored, checked, nobody
from pipeline.files import locked, write_atomically

_BLOCK = 1 << 20


class FolderStore:
    """A ``Store``. Conditions are kept by a lock beside the file."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, source: Path, sha256: str, step: Step = nobody) -> Stored:
        with _telling(key):
            target = self._made(key)
            write_atomically(target, lambda file: _copy(source, file, sha256, step))
            return self._stored(key, target, sha256)

    def put_bytes(self, key: str, content: bytes, over: str | None = None) -> Stored:
        with _telling(key):
            target = self._made(key)
            with locked(target.with_name(f".{target.name}.lock")):
                there = self.head(key)
                if over is not None and (there.tag if there else NEW) != over:
                    raise StoreConflictError(f"{target} is not what was to be replaced: somebody else wrote it")
                write_atomically(target, content)
            return self._stored(key, target, hashlib.sha256(content).hexdigest())

    def read(self, key: str, limit: int = MAX_READ_BYTES) -> tuple[bytes, Stored]:
        there = self._there(key)
        if there.size > limit:
            raise StoreError(f"{self._path(key)} has {there.size} bytes, at most {limit} were expected")
        with _telling(key):
            content = self._path(key).read_bytes()
        return content, Stored(key, len(content), there.tag, hashlib.sha256(content).hexdigest())

    def fetch(self, key: str, target: Path, sha256: str, step: Step = nobody) -> None:
        self._there(key)
        with _telling(key):
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, lambda file: _copy(self._path(key), file, sha256, step))

    def stream(self, key: str, first: int, last: int, tag: str = "") -> Iterator[bytes]:
        there = self._there(key)
        if tag and there.tag != tag:
            raise StoreConflictError(f"{self._path(key)} is not what was meant: somebody else wrote it")
        with _telling(key), self._path(key).open("rb") as file:
            file.seek(first)
            left = last - first + 1
            while left > 0 and (block := file.read(min(_BLOCK, left))):
                left -= len(block)
                yield block

    def head(self, key: str) -> Stored | None:
        path = self._path(key)
        with _telling(key):
            return self._stored(key, path) if path.is_file() else None

    def list(self, prefix: str = "") -> Iterator[Stored]:
        top = self._root / checked(prefix) if prefix else self._root
        for path in sorted(top.rglob("*")):
            key = path.relative_to(self._root).as_posix()
            if path.is_file() and not any(part.startswith(".") for part in key.split("/")):
                yield self._stored(key, path)

    def delete(self, key: str) -> None:
        with _telling(key):
            self._path(key).unlink(missing_ok=True)

    def _there(self, key: str) -> Stored:
        found = self.head(key)
        if found is None:
            raise NotStoredError(f"{self._path(key)} is not there")
        return found

    def _path(self, key: str) -> Path:
        return self._root / checked(key)

    def _made(self, key: str) -> Path:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @staticmethod
    def _stored(key: str, path: Path, sha256: str = "") -> Stored:
        found = path.stat()
        return Stored(key, found.st_size, f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}", sha256)


def _copy(source: Path, target: IO[bytes], sha256: str, step: Step) -> None:
    digest = hashlib.sha256()
    with source.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            target.write(block)
            step(len(block))
    if digest.hexdigest() != sha256:
        raise StoreDamagedError(f"{source} has the sha256 {digest.hexdigest()}, expected {sha256}")


@contextmanager
def _telling(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise StoreError(f"{key}: {where}{error.strerror or os.strerror(error.errno or 5)}") from error

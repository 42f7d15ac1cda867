"""What a long step has done already, one JSON object a line, so that it goes on after a kill where it was.

A line counts only once it is complete: a last line without its line break is what a kill left, and is cut off.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from models.errors import DatasetError
from pipeline.files import write_atomically


class Journal:
    """``with Journal(path, options) as journal``: ``done`` maps key → entry; ``note`` adds one and writes it at once,
    from any thread.

    ``options`` must be the same each time: an unlike journal raises DatasetError, since its results would be mixed
    with others (``restart=True`` begins anew instead). An entry is found again only while its ``stamp`` is the same.
    """

    def __init__(self, path: Path, options: Mapping[str, Any], *, restart: bool = False) -> None:
        self._path = path
        self._options = dict(options)
        self._restart = restart
        self.done: dict[str, dict[str, Any]] = {}
        self._stream: IO[bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Journal:
        lines = self._read()
        if lines and self._matches(lines[0]):
            self.done = {entry["key"]: entry for entry in lines[1:]}
        else:
            self._write_new()
        self._stream = self._path.open("ab")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def found(self, key: str, stamp: str) -> dict[str, Any] | None:
        """The entry noted for ``key``, None where there is none or it was made of another file."""
        entry = self.done.get(key)
        return entry if entry is not None and entry["stamp"] == stamp else None

    def note(self, key: str, stamp: str, **content: Any) -> None:
        """Add or replace an entry; on disk when this returns."""
        if self._stream is None:
            raise RuntimeError("a journal is written inside its with block")
        entry = {"key": key, "stamp": stamp, **content}
        with self._lock:
            self.done[key] = entry
            self._stream.write(_line(entry))
            self._stream.flush()

    def _matches(self, first: dict[str, Any]) -> bool:
        if first == {"options": self._options}:
            return True
        if self._restart:
            return False
        raise DatasetError(
            f"{self._path} was begun with other options: {json.dumps(first.get('options'))}, now "
            f"{json.dumps(self._options)}; take another folder, or delete this one"
        )

    def _read(self) -> list[dict[str, Any]]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self._path, len(whole))
        try:
            return [dict(json.loads(line)) for line in whole.splitlines()]
        except ValueError as error:
            raise DatasetError(f"{self._path} is damaged: {error}; delete it to begin anew") from error

    def _write_new(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, _line({"options": self._options}))


def stamp_of(path: Path) -> str:
    """What changes when a file's content does: size and time of change. Raises OSError when it is not there."""
    state = path.stat()
    return f"{state.st_size}:{state.st_mtime_ns}"


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"

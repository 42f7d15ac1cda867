"""What a recording's sidecar says of people: its lines of type ``tracks``, one for every analysed frame."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)  # what reading a packed file raises that is cut off or changed
_MARK = '"type":"tracks"'


@dataclass(frozen=True, slots=True)
class Seen:
    """One person in one frame: box x1, y1, x2, y2 in parts of the picture, and the label, if there is one."""

    track_id: int
    box: tuple[float, float, float, float]
    action: str | None = None


@dataclass(frozen=True, slots=True)
class TracksLine:
    """One frame, at media time ``time_s``."""

    time_s: float
    people: tuple[Seen, ...]


def read_tracks(path: Path) -> Iterator[TracksLine]:
    """In the order of the file, compressed or not. A file that was damaged ends where it is. Raises OSError."""
    with contextlib.suppress(*DAMAGED, UnicodeDecodeError), open_sidecar(path) as file:
        for text in file:
            line = _line(text) if _MARK in text else None
            if line is not None:
                yield line


def open_sidecar(path: Path) -> IO[str]:
    """Its lines as text, compressed or not. Raises OSError."""
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def _line(text: str) -> TracksLine | None:
    try:
        message = json.loads(text)
        return TracksLine(float(message["time_s"]), tuple(map(_seen, message["tracks"])))
    except (ValueError, KeyError, TypeError):  # the last line of a process that was killed
        return None


def _seen(track: dict[str, Any]) -> Seen:
    x1, y1, x2, y2 = map(float, track["box"])
    return Seen(int(track["track_id"]), (x1, y1, x2, y2), track.get("action"))

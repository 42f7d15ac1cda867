"""What the process that makes a case is told, and what it tells: plain values, and JSON of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece:
    """One recorded file. ``started_at`` and ``ended_at`` are Unix time, ``start_s`` the media time of its first frame.

    ``drawn``: boxes and labels are in its pictures already.
    """

    path: Path
    events_path: Path | None
    started_at: float
    ended_at: float
    start_s: float
    size_hw: tuple[int, int]
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class CameraJob:
    """One camera of a case. ``pieces`` in the order of time; ``keep``: ids of people who are not pixelated."""

    stream_id: str
    name: str
    pieces: tuple[Piece, ...]
    keep: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """How the pictures are to be shown, and what else is to be in the case."""

    overlay: bool = False
    pixelate_others: bool = False
    cvat: bool = False


@dataclass(frozen=True, slots=True)
class CaseJob:
    """One case. ``folder`` is its own: the process works there and leaves ``case.zip``. Times are Unix time.

    ``events`` and ``incidents`` are bodies as the REST API gives them; ``timezone`` is a name of the IANA database.
    """

    id: str
    name: str
    folder: Path
    begin: float
    end: float
    cameras: tuple[CameraJob, ...]
    wish: Wish
    made_by: str
    made_at: float
    software: str
    timezone: str = "UTC"
    events: tuple[Mapping[str, Any], ...] = ()
    events_left_out: int = 0
    incidents: tuple[Mapping[str, Any], ...] = ()
    min_free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """The case is there. ``sha256`` of the whole ZIP."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Report:
    """``done``: part of the work, 0..1. ``made``: in the last one."""

    done: float
    made: Made | None = None


def pack(value: object) -> bytes:
    """→ one line of JSON, without its end."""
    return msgspec.json.encode(value, enc_hook=str)


def unpack(line: bytes, kind: type[T]) -> T:
    """Raises ValueError for what is none of this kind."""
    return msgspec.json.decode(line, type=kind, dec_hook=_path)


def _path(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"expected no {kind.__name__} in a job")

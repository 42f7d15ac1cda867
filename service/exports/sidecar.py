"""What lies beside a recorded file, line by line, with the moment of each line in Unix time of the file's pictures."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from service.exports.job import Piece
from service.recording.sidecar import open_sidecar
from service.wire_messages import parse_rfc3339

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """One message. ``at``: of what it tells, on the clock of the recording's pictures."""

    at: float
    message: Mapping[str, Any]

    @property
    def is_tracks(self) -> bool:
        return self.message.get("type") == "tracks"


def read_lines(piece: Piece) -> list[Line]:
    """In the order of the file. One that is damaged is read as far as it goes; none where there is no sidecar."""
    if piece.events_path is None:
        return []
    lines: list[Line] = []
    try:
        with open_sidecar(piece.events_path) as file:
            lines.extend(_lines(file, piece))
    except (OSError, EOFError, ValueError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        log.warning("%s is read up to line %d: %s", piece.events_path.name, len(lines), error)
    return lines


def _lines(file: IO[str], piece: Piece) -> Iterator[Line]:
    for text in file:
        message = json.loads(text)
        at = _at(message, piece)
        if at is not None:
            yield Line(at, message)


def _at(message: Any, piece: Piece) -> float | None:
    """By media time, which is what tells which picture a line is about; of messages without one by the time of day."""
    if not isinstance(message, dict):
        return None
    if isinstance(message.get("time_s"), int | float):
        return piece.started_at + float(message["time_s"]) - piece.start_s
    if isinstance(message.get("captured_at"), str):
        return parse_rfc3339(message["captured_at"])
    return None

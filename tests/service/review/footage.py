"""A recording of one person as a white square that moves over grey, with the sidecar that says where it is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.entities import Image
from service.recording.segment_files import new_segment_path, sidecar_of
from service.recording.segment_writer import SegmentWriter

SIZE = (120, 160)
SIDE = 24
TRACK = 7


def square_at(time_s: float) -> tuple[float, float]:
    """→ left and top of the square in pixels."""
    return 20 + 12 * time_s, 40 + 4 * time_s


def picture(time_s: float) -> Image:
    image = np.full((*SIZE, 3), 90, np.uint8)
    left, top = (round(each) for each in square_at(time_s))
    image[top : top + SIDE, left : left + SIDE] = 250
    return image


def box_at(time_s: float) -> list[float]:
    (left, top), (height, width) = square_at(time_s), SIZE
    return [left / width, top / height, (left + SIDE) / width, (top + SIDE) / height]


def record(
    folder: Path,
    started_at: float,
    start_s: float,
    seconds: float,
    rate: int = 25,
    seen: Callable[[float], bool] = lambda _: True,
    overlay: bool = False,
) -> Path:
    """A finished segment; ``seen``: at which media times the person is told of, every second picture. → the video."""
    folder.mkdir(parents=True, exist_ok=True)
    path = new_segment_path(folder, started_at)
    writer = SegmentWriter(path, SIZE, "ultrafast", 18, overlay)
    lines: list[dict[str, Any]] = []
    for index in range(round(seconds * rate)):
        time_s = start_s + index / rate
        writer.write(picture(time_s), time_s)
        if index % 2 == 0:
            people = [{"track_id": TRACK, "box": box_at(time_s), "action": "Walking"}] if seen(time_s) else []
            lines.append({"type": "tracks", "time_s": round(time_s, 3), "tracks": people})
    writer.close()
    write_sidecar(sidecar_of(path), lines)
    return path


def write_sidecar(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    text = "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()))

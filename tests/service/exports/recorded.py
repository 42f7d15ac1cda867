"""Recorded cameras as a case finds them: real segments whose pictures and sidecars a test knows to the pixel.

A grey room with fine stripes; each person is a square of small checks that moves. Who is hidden has lost the checks, a
room that is hidden its stripes.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.entities import Image
from service.exports.job import Piece
from service.recording.segment_writer import SegmentWriter
from service.wire_messages import rfc3339

SIZE_HW = (240, 320)
BEGIN = 1_777_863_600.0  # 2026-05-04T03:00:00Z
RATE = 10
SIDE = 40  # pixels
COLOURS = {1: (220, 30, 30), 2: (30, 30, 220)}
TOP = {1: 40, 2: 140}

Box = tuple[float, float, float, float]


def left_of(track_id: int, at: float) -> int:
    """→ x in pixels of a person at ``at`` seconds after BEGIN."""
    return round(20 * at + 20) if track_id == 1 else round(260 - 20 * at)


def box_of(track_id: int, at: float) -> Box:
    height, width = SIZE_HW
    x, y = left_of(track_id, at), TOP[track_id]
    return x / width, y / height, (x + SIDE) / width, (y + SIDE) / height


def room() -> Image:
    """uint8 (240, 320, 3) RGB: stripes of 4 pixels."""
    image = np.full((*SIZE_HW, 3), 90, np.uint8)
    image[:, (np.arange(SIZE_HW[1]) // 4) % 2 == 0] = 150
    return image


def picture(at: float, people: Sequence[int] = (1, 2)) -> Image:
    image = room()
    for track_id in people:
        x, y = left_of(track_id, at), TOP[track_id]
        image[y : y + SIDE, x : x + SIDE] = person(track_id)
    return image


def person(track_id: int) -> Image:
    """uint8 (40, 40, 3) RGB: checks of 5 pixels, bright and dark."""
    dark = np.add.outer(np.arange(SIDE) // 5, np.arange(SIDE) // 5) % 2 == 0
    return np.where(dark[:, :, None], np.uint8(0), np.array(COLOURS[track_id], np.uint8))


def tracks_line(at: float, start_s: float, known: Sequence[int] = (1, 2), **changes: Any) -> dict[str, Any]:
    """``at`` seconds after BEGIN; ``start_s``: media time at BEGIN."""
    tracks = [
        {
            **{"track_id": one, "box": list(box_of(one, at)), "state": "confirmed", "buffer": 32, "buffer_size": 64},
            **{"action": "Walking", "confidence": 0.9, "scores": {"Walking": 0.9}, "provisional": False},
            **{"model": "surveillance", "zones": []},
        }
        for one in known
    ]
    line = {"type": "tracks", "stream_id": "str_a", "frame_index": round(at * RATE), "time_s": round(start_s + at, 3)}
    return {**line, "captured_at": rfc3339(BEGIN + at), "age_ms": 1, "detected": True, "tracks": tracks, **changes}


Lines = Callable[[float], Mapping[str, Any] | None]  # seconds after BEGIN → the line of that picture, if there is one


def record(folder: Path, begin_s: float, seconds: float, lines: Lines | None = None, **coding: Any) -> Piece:
    """One segment, from ``begin_s`` after BEGIN on, ten pictures a second with a keyframe each second."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{begin_s:08.2f}.mp4"
    writer = SegmentWriter(path, coding.pop("size_hw", SIZE_HW), preset="ultrafast", crf=10, overlay=False, **coding)
    moments = [begin_s + index / RATE for index in range(round(seconds * RATE))]
    for at in moments:
        writer.write(picture(at), at)
    writer.close()
    said = [line for at in moments if (line := (lines or known_always)(at)) is not None]
    sidecar = path.with_suffix(".jsonl.gz")
    with gzip.open(sidecar, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in said)
    began = BEGIN + begin_s
    return Piece(path, sidecar, began, began + seconds, MEDIA_S + begin_s, SIZE_HW)


MEDIA_S = 500.0  # media time at BEGIN


def known_always(at: float) -> dict[str, Any]:
    return tracks_line(at, MEDIA_S)


def decoded(path: Path) -> tuple[list[float], list[NDArray[np.uint8]]]:
    """→ seconds in the file, and pictures, uint8 (H, W, 3) RGB."""
    with av.open(str(path)) as container:
        frames = [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    return [at for at, _ in frames], [image for _, image in frames]


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.video[0]) if packet.size]


def shows(image: Image, track_id: int, at: float) -> bool:
    """Whether the person's checks can be seen."""
    x, y = left_of(track_id, at), TOP[track_id]
    channel = int(np.argmax(COLOURS[track_id]))
    inside = image[y + 2 : y + SIDE - 2, x + 2 : x + SIDE - 2, channel]
    return bool(inside.astype(float).std() > 60)


def striped(image: Image, box: tuple[int, int, int, int]) -> bool:
    """Whether the room's stripes can be seen in a part of the picture, x1 y1 x2 y2."""
    x1, y1, x2, y2 = box
    rows = image[y1:y2, x1:x2].astype(int).mean(axis=2)
    return bool(np.abs(np.diff(rows, axis=1)).max() > 25)


def damage(sidecar: Path) -> None:
    """Its second half is no deflate any more, which zlib says and not gzip."""
    text, packer = gzip.decompress(sidecar.read_bytes()), zlib.compressobj(wbits=31)
    half = packer.compress(text[: len(text) // 2]) + packer.flush(zlib.Z_FULL_FLUSH)
    sidecar.write_bytes(half + b"\xff" * 64)

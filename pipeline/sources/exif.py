"""How a JPEG says that its camera was held: the orientation in its EXIF block (CIPA DC-008, tag 0x0112)."""

from __future__ import annotations

import struct

from pipeline.sources.picture import UPRIGHT, Turn

_HEAD = b"Exif\0\0"
_SOUGHT_BYTES = 65536  # the block comes first, and is no larger
_ORIENTATION = 0x0112
_ENTRY = 12  # bytes of a tag: number, type, count, value
_TURNS = {
    1: UPRIGHT,
    2: Turn(mirrored_x=True),
    3: Turn(mirrored_x=True, mirrored_y=True),
    4: Turn(mirrored_y=True),
    5: Turn(transposed=True),
    6: Turn(transposed=True, mirrored_x=True),
    7: Turn(transposed=True, mirrored_x=True, mirrored_y=True),
    8: Turn(transposed=True, mirrored_y=True),
}


def jpeg_turn(jpeg: bytes) -> Turn:
    """What makes the picture upright; none where it says nothing that can be understood."""
    at = jpeg.find(_HEAD, 0, _SOUGHT_BYTES)
    tiff = jpeg[at + len(_HEAD) :] if at >= 0 else b""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return UPRIGHT
    try:
        return _TURNS.get(_orientation(tiff, order), UPRIGHT)
    except struct.error:  # the block ends before what it announces
        return UPRIGHT


def _orientation(tiff: bytes, order: str) -> int:
    """→ 0 where the block has none. Raises struct.error where it is cut off."""
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, start)
    for entry in range(start + 2, start + 2 + count * _ENTRY, _ENTRY):
        tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
        if tag == _ORIENTATION:
            return int(value)
    return 0

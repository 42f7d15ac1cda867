"""A window of the sample's street in which one person walks to and fro, for as long as a test needs."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tests.support.places import STREET

WINDOW_HW = (288, 320)
LEFT_TOP = (96, 288)
ALONE = range(34, 86)  # frames in which nobody else is in the window
TURN = 2 * len(ALONE)  # frames, ten a second: there and back
EMPTY = 40  # frames without anybody, at the end


def write_walker(path: Path, turns: int = 6) -> Path:
    """One person for ``turns`` × 10.4 s, then the empty street for 4 s; H.264 without B-frames. → path.

    A processor without AVX-512 needs seconds for a person's clip, and an event needs two clips of one person. With
    one who stays, tests of the shipped network prove the way from pixels to labels, whatever the processor can do.
    """
    street = street_window()
    there = [street[index] for index in ALONE]
    background = np.median(street[::5], axis=0).astype(np.uint8)
    _encode(path, [*(there + there[::-1]) * turns, *[background] * EMPTY])
    return path


@cache
def street_window() -> NDArray[np.uint8]:
    """→ uint8 (200, 288, 320, 3) RGB: the sample's window."""
    (height, width), (left, top) = WINDOW_HW, LEFT_TOP
    with av.open(str(STREET)) as source:
        pictures = (frame.to_ndarray(format="rgb24") for frame in source.decode(video=0))
        return np.stack([picture[top : top + height, left : left + width] for picture in pictures])


def _encode(path: Path, pictures: Sequence[NDArray[np.uint8]]) -> None:
    with av.open(str(path), "w") as out:
        options = {"crf": "18", "bf": "0", "g": "10", "preset": "veryfast"}
        stream = out.add_stream("libx264", rate=10, options=options)
        (stream.height, stream.width), stream.pix_fmt = WINDOW_HW, "yuv420p"
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        out.mux(stream.encode())

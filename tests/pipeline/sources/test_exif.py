"""JPEG pictures of cameras that were held sideways or mirror."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.exif import jpeg_turn
from pipeline.sources.picture import UPRIGHT
from tests.support.http_camera import HttpCamera
from tests.support.media import jpeg
from tests.support.watcher import Watcher


def held(body: bytes, orientation: int, order: str = "<") -> bytes:
    """The same JPEG with an EXIF block that says so, after another tag."""
    tiff = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(
        order + "IHHHIHHHHIHHI", 8, 2, 0x0100, 3, 1, 160, 0, 0x0112, 3, 1, orientation, 0, 0
    )
    block = b"Exif\0\0" + tiff
    return body[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + body[2:]


@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_shown_as_opencv_shows_it(orientation: int, order: str) -> None:
    picture = held(jpeg(0, (48, 64)), orientation, order)
    expected = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    stored = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert stored is not None
    np.testing.assert_array_equal(jpeg_turn(picture).apply(stored), expected)


def test_camera_held_sideways_is_read_upright(tmp_path: Path) -> None:
    with (
        HttpCamera(tmp_path, snapshot=lambda request: held(jpeg(request), 6)) as server,
        Watcher(server.url("/snapshot")) as watched,
    ):
        watched.wait(lambda w: len(w.frames) > 0)
    frame = watched.frames[0]
    assert frame.size_hw == (160, 120)
    red, _, blue = frame.image[10, 60].astype(int)
    assert red > blue + 80  # the red left half is on top


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    assert jpeg_turn(held(jpeg(0), orientation)) == UPRIGHT


@given(block=st.binary(max_size=80), order=st.sampled_from([b"II*\0", b"MM\0*", b""]), keep=st.integers(0, 120))
def test_any_block_is_survived(block: bytes, order: bytes, keep: int) -> None:
    jpeg_turn((b"\xff\xd8\xff\xe1\0\x40Exif\0\0" + order + block)[:keep]).apply(np.zeros((2, 3, 3), np.uint8))

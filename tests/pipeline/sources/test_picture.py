"""Pictures as they are to be seen: upright, not mirrored, with square pixels."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.entities import Image
from pipeline.sources.picture import UPRIGHT, Turn, square_size
from tests.pipeline.sources.test_file import concatenate, read_all, track_matrix
from tests.support.media import picture, write_video

ONE = 1 << 16
RIGHT_ANGLED = [
    (a, b, c, d)
    for a, b, c, d in itertools.product((-1, 0, 1), repeat=4)
    if abs(a * d - b * c) == 1 and abs(a) + abs(b) + abs(c) + abs(d) == 2
]


def matrix(a: float, b: float, c: float, d: float) -> tuple[int, ...]:
    return (round(a * ONE), round(b * ONE), 0, round(c * ONE), round(d * ONE), 0, 0, 0, 1 << 30)


def shown(image: Image, a: int, b: int, c: int, d: int) -> NDArray[np.uint8]:
    """Pixel for pixel what ISO 14496-12 says: the point (x, y) is seen at (ax + cy, bx + dy)."""
    height, width = image.shape[:2]
    seen = {(a * x + c * y, b * x + d * y): image[y, x] for x in range(width) for y in range(height)}
    left, top = min(x for x, _ in seen), min(y for _, y in seen)
    out = np.zeros((height, width, 3) if a else (width, height, 3), np.uint8)
    for (x, y), pixel in seen.items():
        out[y - top, x - left] = pixel
    return out


@pytest.mark.parametrize("numbers", RIGHT_ANGLED, ids=str)
def test_turned_and_mirrored_pictures_are_shown_as_their_matrix_says(numbers: tuple[int, int, int, int]) -> None:
    image = np.random.default_rng(3).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    turned = Turn.from_matrix(matrix(*numbers)).apply(image)
    np.testing.assert_array_equal(turned, shown(image, *numbers))
    assert turned.flags.c_contiguous


def test_there_are_eight_of_them() -> None:
    assert len(RIGHT_ANGLED) == 8


@pytest.mark.parametrize("numbers", [(0, 0, 0, 0), (1, 0, 0, 0), (0, 0, 0, 1), (1, 1, 1, 1), (0, 1, 0, 1)])
def test_matrix_that_flattens_the_picture_counts_as_none(numbers: tuple[int, int, int, int]) -> None:
    assert Turn.from_matrix(matrix(*numbers)) == UPRIGHT


def test_scale_of_a_matrix_is_no_turn() -> None:
    assert Turn.from_matrix(matrix(2, 0, 0, 0.5)) == UPRIGHT


def test_picture_held_askew_is_turned_about_its_centre() -> None:
    angle = math.radians(30)
    turn = Turn.from_matrix(matrix(math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle)))
    assert turn.angle_deg == pytest.approx(30, abs=0.1)
    image = np.zeros((101, 101, 3), np.uint8)
    image[48:53, 80:85] = 255  # right of the centre: 30° clockwise from there is below it
    rows, columns = np.nonzero(turn.apply(image)[..., 0])
    assert (rows.mean(), columns.mean()) == pytest.approx((50 + 32 * math.sin(angle), 50 + 32 * math.cos(angle)), abs=1)


@given(numbers=st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 9))
def test_any_matrix_gives_a_picture(numbers: tuple[int, ...]) -> None:
    image = np.full((4, 6, 3), 9, np.uint8)
    turned = Turn.from_matrix(numbers).apply(image)
    assert turned.shape in ((4, 6, 3), (6, 4, 3))
    assert turned.dtype == np.uint8


def with_matrix(path: Path, *numbers: int) -> Path:
    data = path.read_bytes()
    at = data.index(track_matrix(1, 0, 0, 1), data.index(b"tkhd"))
    path.write_bytes(data[:at] + track_matrix(*numbers) + data[at + 36 :])
    return path


@pytest.mark.parametrize(
    ("numbers", "upright"),
    [
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
        ((0, 0, 0, 0), lambda image: image),
    ],
    ids=["left-right", "upside-down", "transposed", "zero"],
)
def test_mirrored_recording_is_read_as_it_is_shown(tmp_path: Path, numbers: tuple[int, ...], upright: object) -> None:
    frame = read_all(with_matrix(write_video(tmp_path / "v.mp4", frames=3), *numbers))[0]
    expected = upright(picture(0, (120, 160)))  # type: ignore[operator]
    assert frame.image.shape == expected.shape
    assert np.median(np.abs(frame.image.astype(int) - expected)) < 12


@pytest.mark.parametrize(
    ("size_wh", "aspect", "square_wh"),
    [
        ((352, 576), Fraction(2), (704, 576)),
        ((960, 1080), Fraction(2), (1920, 1080)),
        ((1920, 540), Fraction(1, 2), (1920, 1080)),
        ((720, 576), Fraction(64, 45), (1024, 576)),
        ((720, 480), Fraction(8, 9), (720, 540)),
        ((640, 480), None, (640, 480)),
        ((640, 480), Fraction(0), (640, 480)),
        ((641, 481), Fraction(1), (641, 481)),
        ((854, 480), Fraction(1280, 1281), (854, 480)),  # rounding of an encoder
        ((640, 480), Fraction(65535, 1), (640, 480)),  # what no camera has
        ((4096, 2304), Fraction(2), (4096, 1152)),  # stretched it would be more than is allowed
        ((4096, 2304), Fraction(1, 2), (2048, 2304)),
    ],
)
def test_size_with_square_pixels(size_wh: tuple[int, int], aspect: Fraction | None, square_wh: tuple[int, int]) -> None:
    assert square_size(size_wh, aspect, 4096 * 2304) == square_wh


@given(
    size_wh=st.tuples(st.integers(1, 4096), st.integers(1, 2304)),
    aspect=st.builds(Fraction, st.integers(-5, 2**31 - 1), st.integers(1, 2**31 - 1)),
)
def test_no_pixel_aspect_makes_a_picture_larger_than_allowed(size_wh: tuple[int, int], aspect: Fraction) -> None:
    width, height = square_size(size_wh, aspect, 4096 * 2304)
    assert width >= 1 and height >= 1
    assert width * height <= 4096 * 2304 + max(width, height)  # an even size may be one pixel more


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_squashed_video_has_people_of_natural_shape(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"v.{suffix}", frames=3, size_hw=(120, 80), pixel_aspect=Fraction(2))
    frame = read_all(path)[0]
    assert frame.size_hw == (120, 160)
    assert np.median(np.abs(frame.image.astype(int) - picture(0, (120, 160)))) < 12


def test_squashed_and_turned_video_is_stretched_before_it_is_turned(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=3, size_hw=(120, 80), pixel_aspect=Fraction(2))
    assert read_all(with_matrix(path, 0, 1, -1, 0))[0].size_hw == (160, 120)


def test_pixel_aspect_that_changes_in_mid_stream_is_a_new_epoch(tmp_path: Path) -> None:
    times_s = [0.8 + n / 25 for n in range(20)]
    parts = (
        write_video(tmp_path / "a.ts", frames=20),
        write_video(tmp_path / "b.ts", frames=20, pixel_aspect=Fraction(2), times_s=times_s),
    )
    frames = read_all(concatenate(tmp_path / "v.ts", *parts))
    assert [frame.size_hw for frame in frames] == [(120, 160)] * 20 + [(120, 320)] * 20
    assert [frame.epoch for frame in frames] == [0] * 20 + [1] * 20

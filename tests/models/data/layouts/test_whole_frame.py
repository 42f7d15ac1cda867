"""Whole-frame clips: the square, the media-time grid, pieces of long videos, videos that are refused."""

from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.data.layouts.whole_frame import WholeFrameCutter, central_square
from models.errors import DatasetError
from tests.models.data.trees import moving, scene, write_broken, write_video

SMALL = WholeFrameCutter(size=32, short_side=36)


def test_central_square_equals_resizing_the_short_side_and_cutting_the_centre() -> None:
    image = scene(1, 480, 600)
    expected = cv2.resize(image, (80, 64), interpolation=cv2.INTER_AREA)[4:60, 12:68].astype(float)
    got = central_square(image, 56, 64).astype(float)
    assert got.shape == (56, 56, 3)
    assert np.abs(got - expected).mean() < 2.0
    assert np.abs(got[:, ::-1] - expected).mean() > 10.0


@pytest.mark.parametrize(("shape"), [(48, 64), (64, 48)])
def test_central_square_leaves_no_padding(shape: tuple[int, int]) -> None:
    white = np.full((*shape, 3), 255, np.uint8)
    assert (central_square(white, 32, 32) == 255).all()


@pytest.mark.parametrize(("fps", "frames"), [(10, 20), (25, 50), (50, 100)])
def test_cut_any_rate_samples_the_same_media_time(tmp_path: Path, fps: int, frames: int) -> None:
    (piece,) = SMALL.cut(write_video(tmp_path / "video.mp4", frames, fps))
    assert piece.clip.dtype == np.uint8
    assert piece.clip.shape[1:] == (32, 32, 3)
    assert abs(len(piece.clip) - 50) <= 2  # two seconds; the last frame's own time is not sampled twice
    assert (piece.start_s, piece.end_s) == (0.0, pytest.approx(len(piece.clip) / 25))


def test_cut_slow_camera_repeats_its_pictures(tmp_path: Path) -> None:
    (piece,) = SMALL.cut(write_video(tmp_path / "video.mp4", 20, 5))
    steps = np.abs(np.diff(piece.clip.astype(int), axis=0)).sum(axis=(1, 2, 3)) > 0
    assert len(piece.clip) == 5 * 19 + 1  # up to the last frame
    assert steps.sum() <= 19


def test_cut_shows_the_video_and_not_something_else(tmp_path: Path) -> None:
    (piece,) = SMALL.cut(write_video(tmp_path / "video.mp4", 30, 25, seed=4))
    expected = [central_square(picture, 32, 36) for picture in moving(4, 30)]
    assert len(piece.clip) == 30
    assert np.abs(piece.clip[[0, 15, 29]].astype(float) - np.stack(expected)[[0, 15, 29]]).mean() < 12


def test_cut_long_video_becomes_pieces_that_lose_nothing(tmp_path: Path) -> None:
    cutter = WholeFrameCutter(size=32, short_side=36, piece_s=1.0)
    path = write_video(tmp_path / "video.mp4", 85, 25)
    pieces = list(cutter.cut(path))
    assert [len(piece.clip) for piece in pieces] == [25, 25, 35]
    assert [(piece.start_s, piece.end_s) for piece in pieces] == [(0.0, 1.0), (1.0, 2.0), (2.0, 3.4)]
    (whole,) = SMALL.cut(path)
    assert np.array_equal(np.concatenate([piece.clip for piece in pieces]), whole.clip)


@pytest.mark.parametrize(("frames", "kept"), [(24, False), (25, True)])
def test_cut_video_under_a_second_is_refused(tmp_path: Path, frames: int, kept: bool) -> None:
    cutter = WholeFrameCutter(size=32, short_side=36, min_s=1.0)
    path = write_video(tmp_path / "video.avi", frames, 25)
    if kept:
        assert len(next(cutter.cut(path)).clip) == frames
    else:
        with pytest.raises(DatasetError, match=r"0\.96 s long, under 1 s"):
            next(cutter.cut(path))


def test_cut_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be decoded"):
        next(SMALL.cut(write_broken(tmp_path / "video.avi")))


def test_cut_given_up_early_leaves_no_thread_behind(tmp_path: Path) -> None:
    import threading

    before = threading.active_count()
    cutter = WholeFrameCutter(size=32, short_side=36, piece_s=1.0)
    pieces = cutter.cut(write_video(tmp_path / "video.mp4", 200, 25))
    assert isinstance(pieces, Generator)
    next(pieces)
    pieces.close()
    for thread in threading.enumerate():
        if thread.name.startswith("source "):
            thread.join(5)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "options",
    [
        {"size": 37, "short_side": 36},
        {"size": 31, "short_side": 36},
        {"min_s": 11.0},
        {"rate_hz": 0.0},
        {"min_s": -1.0},
    ],
)
def test_config_senseless_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(DatasetError, match="expected"):
        WholeFrameCutter(**options)  # type: ignore[arg-type]

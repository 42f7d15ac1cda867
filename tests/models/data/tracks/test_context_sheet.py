from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from models.data.tracks.context_sheet import (
    ContextConfig,
    Moment,
    animation,
    context_sheet,
    read_moments,
    scene_square,
    write_context_sheets,
)
from models.data.tracks.labels_csv import LabelRow, empty_rows
from models.data.tracks.track_folders import VideoTracks
from models.errors import DatasetError
from pipeline.entities import Floats
from tests.models.data.working_folder import make_work, quiet
from tests.support.media import write_video

RED = (255, 40, 40)


def box(*sides: float) -> Floats:
    return np.array(sides, np.float32)


def write(videos: tuple[VideoTracks, ...], folder: Path, config: ContextConfig, failed: list[str]) -> tuple[Path, ...]:
    return write_context_sheets(videos, empty_rows(videos), folder, config, quiet, failed)


def test_scene_lies_inside_the_picture_and_reaches_beyond_the_person() -> None:
    left, top, side = scene_square([box(0, 100, 40, 180)], (480, 640))
    assert (left, side) == (0, 240) and top == pytest.approx(20)
    assert scene_square([box(600, 400, 640, 480)], (480, 640)) == (400, 240, 240)


def test_scene_holds_every_place_that_the_person_takes() -> None:
    left, top, side = scene_square([box(10, 200, 50, 280), box(500, 220, 540, 300)], (480, 640))
    assert left <= 10 and left + side >= 540
    assert top <= 200 and top + side >= 300 and side <= 640


def test_scene_of_somebody_far_away_is_half_of_the_picture() -> None:
    assert scene_square([box(300, 200, 304, 210)], (480, 640))[2] == 240


def test_scene_that_is_wider_than_the_picture_is_high_stands_over_evenly() -> None:
    left, top, side = scene_square([box(0, 0, 640, 200)], (200, 640))
    assert (left, top, side) == (0, -220, 640)


def test_moments_show_the_person_boxed_and_its_crop(tmp_path: Path) -> None:
    _, videos = make_work(tmp_path, {"a": {1: range(11, 51)}})
    ((row, moments, shown),) = read_moments(videos[0], empty_rows(videos), ContextConfig(4, tile=120))
    assert (row.track, [item.frame for item in moments]) == (1, [11, 24, 37, 50])
    assert moments == shown
    assert moments[0].time_s == pytest.approx(0.4, abs=0.01)
    assert {item.scene.shape for item in moments} | {item.crop.shape for item in moments} == {(120, 120, 3)}
    # the scene is 160 pixels of the picture wide, from (0, -20): the person at (40, 20), 30 x 60, starts at (30, 30)
    near = {place: np.abs(moments[0].scene[place].astype(int) - RED).sum() < 60 for place in ((50, 30), (50, 40))}
    assert near == {(50, 30): True, (50, 40): False}
    assert np.abs(moments[0].crop.astype(int) - RED).sum(axis=2).min() > 60, "no box on the crop"


def test_moments_follow_the_row_and_leave_out_what_has_no_frames(tmp_path: Path) -> None:
    _, videos = make_work(tmp_path, {"a": {1: range(1, 61), 2: range(1, 5)}})
    rows = [LabelRow("a", 1, 1, 20), LabelRow("a", 1, 30, 60), LabelRow("a", 2, 50, 60), LabelRow("a", 9, 1, 60)]
    found = list(read_moments(videos[0], rows, ContextConfig(3)))
    assert [(row.start, [item.frame for item in shown]) for row, _, shown in found] == [
        (1, [1, 11, 20]),
        (30, [30, 45, 60]),
    ]


def test_sheet_has_scene_above_crop_in_rows_of_eight() -> None:
    def tile(value: int) -> np.ndarray:
        return np.full((40, 40, 3), value, np.uint8)

    moments = [Moment(number, number / 25, tile(10 * number), tile(10 * number + 5)) for number in range(1, 11)]
    sheet = context_sheet(moments, "who")
    assert sheet.shape == (28 + 4 * 40, 8 * 40, 3)
    middles = [[int(sheet[28 + 40 * row + 10, 40 * column + 30, 0]) for column in range(8)] for row in range(4)]
    assert middles[0] == [10, 20, 30, 40, 50, 60, 70, 80]
    assert middles[1] == [15, 25, 35, 45, 55, 65, 75, 85]
    assert middles[2] == [90, 100, *[255] * 6]
    assert middles[3] == [95, 105, *[255] * 6]


def test_write_makes_sheets_and_keeps_fresh_ones(tmp_path: Path) -> None:
    _, videos = make_work(tmp_path, {"a": {1: range(1, 41), 2: [3]}, "b": {7: range(5, 30)}})
    sheets = write(videos, tmp_path / "context", ContextConfig(), [])
    assert [str(path.relative_to(tmp_path / "context")) for path in sheets] == [
        "a/00001_000001-000040.png",
        "a/00002_000003-000003.png",
        "b/00007_000005-000029.png",
    ]
    picture = cv2.imread(str(sheets[0]))
    assert picture is not None and picture.shape == (28 + 2 * 200, 8 * 200, 3)
    assert not list((tmp_path / "context").glob("*/*.gif"))
    future = sheets[0].stat().st_mtime + 1000
    os.utime(sheets[0], (future, future))
    write(videos, tmp_path / "context", ContextConfig(), [])
    assert sheets[0].stat().st_mtime == future


def test_write_animates_at_true_speed(tmp_path: Path) -> None:
    _, videos = make_work(tmp_path, {"a": {1: range(1, 51)}})  # 1.96 s at 25 a second
    (sheet,) = write(videos, tmp_path / "context", ContextConfig(4, animated=True, tile=64), [])
    with PIL.Image.open(sheet.with_suffix(".gif")) as gif:
        frames = getattr(gif, "n_frames", 1)
        assert gif.size == (128, 64)
        assert frames == 25
        assert (frames - 1) * gif.info["duration"] == pytest.approx(1960, abs=60)
    sheet.with_suffix(".gif").unlink()
    write(videos, tmp_path / "context", ContextConfig(4, animated=True, tile=64), [])
    assert sheet.with_suffix(".gif").is_file()


def test_animation_of_a_long_range_is_short_and_quick() -> None:
    tiles = [np.full((32, 32, 3), shade, np.uint8) for shade in range(0, 240, 4)]
    data = animation([Moment(number, 10.0 * number, tile, tile) for number, tile in enumerate(tiles)])
    with PIL.Image.open(io.BytesIO(data)) as gif:
        assert gif.info["duration"] == 100


def test_animation_of_one_moment_is_a_picture() -> None:
    tile = np.zeros((32, 32, 3), np.uint8)
    with PIL.Image.open(io.BytesIO(animation([Moment(1, 0.0, tile, tile)]))) as gif:
        assert getattr(gif, "n_frames", 1) == 1


def test_lost_and_shortened_videos_are_told_and_the_others_done(tmp_path: Path) -> None:
    _, videos = make_work(tmp_path, {"a": {1: range(1, 41)}, "b": {1: range(1, 41)}, "c": {1: range(1, 41)}})
    (tmp_path / "a.mp4").unlink()
    write_video(tmp_path / "b.mp4", 30)
    failed: list[str] = []
    sheets = write(videos, tmp_path / "context", ContextConfig(), failed)
    assert [path.parent.name for path in sheets] == ["c"]
    assert f"there is no file {tmp_path / 'a.mp4'}" in failed[0] and "put the video back" in failed[0]
    assert "ends before frame 40" in failed[1] and "b.mp4" in failed[1]


def test_settings_without_sense_are_refused() -> None:
    with pytest.raises(DatasetError, match="expected 1 moment or more of 32 pixels or more, got 0 of 200"):
        ContextConfig(0)

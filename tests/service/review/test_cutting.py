"""Crops out of recordings: of the right person, at the right place, as many as a network reads and a second beside."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.clips import ClipConfig
from service.recording.segment_files import sidecar_of
from service.review.cutting import Footage, NoClip, Window, cut_crops
from tests.service.review.footage import TRACK, record

CONFIG = ClipConfig(size=64)
BEGIN = 1_790_000_000.0
WINDOW = Window.around(3.0, 4.0, CONFIG)  # 1.22 … 5.78 s


def footage(*videos: tuple[Path, float]) -> list[Footage]:
    return [Footage(video, sidecar_of(video), start_s) for video, start_s in videos]


def off_centre(crops: NDArray[np.uint8]) -> float:
    """→ pixels of the crop that the white square's middle is off, at most."""
    offs = []
    for crop in crops:
        rows, columns = np.nonzero(crop[..., 0] > 170)
        offs += [abs(rows.mean() + 0.5 - 32), abs(columns.mean() + 0.5 - 32)]
    return max(offs)


def test_crops_are_centred_on_the_person_with_a_second_beside_what_is_read(tmp_path: Path):
    crops = cut_crops(footage((record(tmp_path, BEGIN, 0.0, 8), 0.0)), TRACK, WINDOW, CONFIG)
    assert crops.shape == (64 + 2 * 25, 64, 64, 3) and crops.dtype == np.uint8
    assert off_centre(crops) < 2.0, "the square is 29 of 120 rows, so this is less than one pixel of the picture"


def test_clip_goes_on_over_the_border_of_two_recordings(tmp_path: Path):
    one = record(tmp_path, BEGIN, 10.0, 3)
    two = record(tmp_path, BEGIN + 3, 13.0, 4)
    window = Window.around(13.0, 13.2, CONFIG)
    crops = cut_crops(footage((one, 10.0), (two, 13.0)), TRACK, window, CONFIG)
    assert len(crops) == 114


def test_slow_camera_repeats_its_pictures_as_it_does_while_it_is_watched(tmp_path: Path):
    crops = cut_crops(footage((record(tmp_path, BEGIN, 0.0, 8, rate=10), 0.0)), TRACK, WINDOW, CONFIG)
    assert 110 <= len(crops) <= 114
    different = sum(not np.array_equal(a, b) for a, b in pairwise(crops))
    assert 20 <= different <= 46, "ten a second, of which some look alike"


def test_person_who_leaves_ends_the_clip_and_a_short_one_is_played_back_and_forth(tmp_path: Path):
    video = record(tmp_path, BEGIN, 0.0, 8, seen=lambda time_s: 3.0 <= time_s < 4.0)
    crops = cut_crops(footage((video, 0.0)), TRACK, WINDOW, CONFIG)
    assert len(crops) == 64
    assert np.array_equal(crops[-1], cut_crops(footage((video, 0.0)), TRACK, WINDOW, CONFIG)[-1])
    assert off_centre(crops) < 2.0


def test_person_who_was_away_meanwhile_is_cut_on_the_side_of_the_middle(tmp_path: Path):
    video = record(tmp_path, BEGIN, 0.0, 8, seen=lambda time_s: time_s < 1.6 or time_s > 3.0)
    assert 64 <= len(cut_crops(footage((video, 0.0)), TRACK, WINDOW, CONFIG)) <= 73


@pytest.mark.parametrize(
    ("track", "seconds", "words"),
    [(TRACK + 1, 8.0, "not in what was recorded"), (TRACK, 1.5, "is in 7 pictures"), (TRACK, 1.0, "not in what")],
)
def test_without_the_person_there_is_no_clip_and_why(tmp_path: Path, track: int, seconds: float, words: str):
    video = record(tmp_path, BEGIN, 0.0, seconds)
    with pytest.raises(NoClip, match=words):
        cut_crops(footage((video, 0.0)), track, WINDOW, CONFIG)


def test_file_that_cannot_be_read_is_no_clip(tmp_path: Path):
    video = record(tmp_path, BEGIN, 0.0, 8)
    video.write_bytes(video.read_bytes()[:100])
    with pytest.raises(NoClip, match="cannot be read"):
        cut_crops(footage((video, 0.0)), TRACK, WINDOW, CONFIG)

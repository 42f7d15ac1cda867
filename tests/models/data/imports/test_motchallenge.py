from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.imports.motchallenge import BoxTrack, fill_holes, read_mot
from models.errors import DatasetError


def mot(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "v.txt"
    path.write_text(text)
    return path


def test_read_gives_boxes_as_corners_by_person_and_frame(tmp_path: Path) -> None:
    tracks = read_mot(mot(tmp_path, "2,7,10,20,30,40,0.5,1,1\n1,7,1,2,3,4,0.5,1,1\n1,3,0,0,5,5,-1,-1,-1,-1\n"))
    assert [track.track_id for track in tracks] == [3, 7]
    assert tracks[1].boxes[2].tolist() == [10, 20, 40, 60]
    assert (sorted(tracks[1].boxes), tracks[1].last_frame) == ([1, 2], 2)


def test_read_leaves_out_what_the_benchmark_does_not_count(tmp_path: Path) -> None:
    rows = "1,1,0,0,5,5,0,1,1\n1,2,0,0,5,5,1,8,1\n1,3,0,0,5,5,1,7,1\n"  # confidence 0, a distractor, a static person
    assert [track.track_id for track in read_mot(mot(tmp_path, rows))] == [3]


def test_read_empty_file_has_nobody(tmp_path: Path) -> None:
    assert read_mot(mot(tmp_path, "\n")) == ()


def test_read_lists_every_bad_line(tmp_path: Path) -> None:
    rows = "1,1,0,0,5,5,1\nx,1,0,0,5,5,1\n0,1,0,0,5,5,1\n2,1,0,0,-5,5,1\n1,1,9,9,5,5,1\n3,1,0,nan,5,5,1\n4,1\n"
    with pytest.raises(DatasetError) as caught:
        read_mot(mot(tmp_path, rows))
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["2", "3", "4", "5", "6", "7"]


def test_read_many_bad_lines_shows_the_first_twenty(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="… and 30 more"):
        read_mot(mot(tmp_path, "x,\n" * 50))


def test_fill_holes_draws_straight_lines_over_short_ones_only() -> None:
    first, second, third = (np.array([x, 0, x + 10, 10], np.float32) for x in (0, 8, 100))
    track = fill_holes(BoxTrack(1, {1: first, 5: second, 20: third}), longest=10)
    assert track.filled == {2, 3, 4}
    assert track.boxes[3].tolist() == [4, 0, 14, 10]
    assert sorted(track.boxes) == [1, 2, 3, 4, 5, 20]


def test_read_frame_between_two_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"v\.txt:1: expected whole numbers as frame and id"):
        read_mot(mot(tmp_path, "1.5,1,0,0,5,5,1\n"))


CELLS = st.sampled_from(["1", "2", "3.0", "-1", "0", "1e308", "nan", "inf", "", " 7 ", "1_0", "x", '"', "\u0663"])


@given(st.lists(st.lists(CELLS, max_size=10).map(",".join), max_size=8).map("\n".join) | st.text(max_size=80))
def test_read_of_anything_gives_finite_boxes_or_a_data_set_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "v.txt"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            tracks = read_mot(path)
        except DatasetError as error:
            assert str(error)
            return
    for track in tracks:
        assert all(frame >= 1 and np.isfinite(box).all() for frame, box in track.boxes.items())

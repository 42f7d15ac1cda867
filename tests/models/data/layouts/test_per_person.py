"""Per-person clips of labelled videos, from given tracks: the right crops, on the grid, under the video's label."""

from pathlib import Path

import numpy as np
import pytest

from models.data.clip_file import read_clip
from models.data.layouts.folders import read_folders
from models.data.layouts.per_person import PerPersonCutter
from models.data.layouts.prepare import SCRATCH_FOLDER, PrepareConfig, Prepared, prepare
from models.data.layouts.whole_frame import Piece
from models.data.tracks.people import given_people
from models.errors import DatasetError
from pipeline.crops import crop_person
from tests.models.data.trees import moving, write_broken, write_video


def write_tracks(path: Path, people: dict[int, tuple[int, int, int, int]], frames: int) -> None:
    """MOTChallenge text: person N has the box (x, y, width, height) in the first ``frames`` / N frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{frame},{track},{x},{y},{w},{h},1,1,1"
        for track, (x, y, w, h) in people.items()
        for frame in range(1, frames // track + 1)
    ]
    path.write_text("\n".join(lines) + "\n")


def cutter(tmp_path: Path, videos: list[Path], **options: object) -> PerPersonCutter:
    people = given_people(tmp_path / "tracks", [video.resolve() for video in videos], 25)
    return PerPersonCutter(people, tmp_path / "data" / SCRATCH_FOLDER, size=32, **options)  # type: ignore[arg-type]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """40 frames; person 1 is in all of them, person 2 in 20."""
    write_tracks(tmp_path / "tracks" / "v.txt", {1: (4, 4, 16, 30), 2: (40, 10, 12, 24)}, 40)
    return write_video(tmp_path / "tree" / "walk" / "v.mp4", 40, seed=3)


def test_cut_gives_every_person_the_crops_of_the_service(tmp_path: Path, video: Path) -> None:
    pieces = list(cutter(tmp_path, [video]).cut(video))
    assert [(piece.track_id, len(piece.clip), piece.start_s, piece.end_s) for piece in pieces] == [
        (1, 40, 0.0, 1.6),
        (2, 20, 0.0, 0.8),
    ]
    picture = moving(3, 40)[10]
    for piece, box in zip(pieces, ((4, 4, 20, 34), (40, 10, 52, 34)), strict=True):
        expected = crop_person(picture, np.array(box, np.float32), 32, 0.2)
        assert np.abs(piece.clip[10].astype(float) - expected).mean() < 12


def test_cut_keeps_those_in_view_longest(tmp_path: Path, video: Path) -> None:
    assert [piece.track_id for piece in cutter(tmp_path, [video], most_people=1).cut(video)] == [1]
    assert [piece.track_id for piece in cutter(tmp_path, [video], min_s=1.0).cut(video)] == [1]


def test_cut_long_presence_becomes_several_clips(tmp_path: Path, video: Path) -> None:
    pieces = list(cutter(tmp_path, [video], piece_s=0.8).cut(video))
    assert [(piece.track_id, len(piece.clip), piece.start_s) for piece in pieces] == [
        (1, 20, 0.0),
        (1, 20, 0.8),
        (2, 20, 0.0),
    ]


def test_cut_nobody_long_enough_is_refused(tmp_path: Path, video: Path) -> None:
    with pytest.raises(DatasetError, match=r"nobody is in it for 2\.00 s"):
        list(cutter(tmp_path, [video], min_s=2.0).cut(video))


def run(tmp_path: Path, made: PerPersonCutter) -> Prepared:
    return prepare(read_folders(tmp_path / "tree"), tmp_path / "data", made, PrepareConfig(), lambda *_: None)


def test_prepare_per_person_makes_a_data_set_and_cleans_up(tmp_path: Path, video: Path) -> None:
    broken = write_broken(tmp_path / "tree" / "walk" / "w.mp4")
    write_tracks(tmp_path / "tracks" / "w.txt", {1: (4, 4, 16, 30)}, 40)
    done = run(tmp_path, cutter(tmp_path, [video, broken]))
    assert [(r.path.name, r.track_id, r.group, r.label, r.filled) for r in done.dataset.records] == [
        ("v.mp4", 1, "walk/v", "walk", 40),
        ("v.2.mp4", 2, "walk/v", "walk", 20),
    ]
    assert done.dataset.info.input.margin == 0.2
    assert read_clip(done.dataset.records[1].path).shape == (20, 32, 32, 3)
    assert [item.what for item in done.left_out] == ["walk/w.mp4"]
    assert not (tmp_path / "data" / SCRATCH_FOLDER).exists()


def test_prepare_again_cuts_videos_whose_tracks_changed(tmp_path: Path, video: Path) -> None:
    run(tmp_path, cutter(tmp_path, [video]))
    write_tracks(tmp_path / "tracks" / "v.txt", {1: (4, 4, 16, 30)}, 40)
    done = run(tmp_path, cutter(tmp_path, [video]))
    assert [record.track_id for record in done.dataset.records] == [1]
    assert [path.name for path in (tmp_path / "data" / "clips" / "walk").iterdir()] == ["v.mp4"]


def test_cut_given_up_early_removes_its_crops(tmp_path: Path, video: Path) -> None:
    made = cutter(tmp_path, [video])
    pieces = made.cut(video)
    assert isinstance(next(pieces), Piece)
    pieces.close()  # type: ignore[attr-defined]  # a generator
    assert list(made.scratch.iterdir()) == []


@pytest.mark.parametrize("options", [{"rate_hz": 0.0}, {"min_s": 11.0}, {"piece_s": 0.1}])
def test_config_senseless_is_refused(tmp_path: Path, video: Path, options: dict[str, float]) -> None:
    with pytest.raises(DatasetError, match="expected"):
        cutter(tmp_path, [video], **options)


def test_cut_of_a_video_without_tracks_says_so_in_its_own_words(tmp_path: Path, video: Path) -> None:
    other = write_video(tmp_path / "tree" / "walk" / "w.mp4", 10)
    with pytest.raises(DatasetError, match=r"^no tracks for .*w\.mp4: expected"):
        list(cutter(tmp_path, [video, other]).cut(other))

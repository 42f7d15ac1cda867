"""Which videos may be learnt from, and frames and labels of them on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.data.manifest import Split
from models.errors import DatasetError
from models.person_training.evaluation import TruePeople
from models.person_training.ground_truth import annotated_pictures, annotated_video
from models.person_training.pictures import collect_votes, labelled, read_votes, write_pictures
from models.person_training.teacher import Teacher, Votes
from models.person_training.videos import Picture, TrainingVideo, find_videos, store_frames
from pipeline.entities import Floats, Image
from tests.support.media import write_video

HEAD = "clip,label,source_group,split\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two groups in train and val, one clip with tracks, and one clip of no split."""
    folder = tmp_path / "data" / "cameras"
    (folder / "fight").mkdir(parents=True)
    (folder / "mot").mkdir()
    for name in ("one", "two", "three"):
        write_video(folder / "fight" / f"{name}.mp4", frames=20, size_hw=(64, 96), rate=10)
    (folder / "mot" / "one.txt").write_text("".join(f"{frame},1,10,5,20,40,0.9,1,1\n" for frame in range(1, 21)))
    (folder / "clips.csv").write_text(HEAD + "one,Fight,0,train\ntwo,Fight,1,val\nthree,Fight,2,test\n")
    return tmp_path / "data"


def test_find_videos_takes_train_and_val_with_their_tracks(data: Path) -> None:
    one, two = find_videos(data)
    assert (one.name, one.split, one.group) == ("one", Split.TRAIN, "cameras/0")
    assert one.tracks is not None
    assert (two.name, two.split, two.tracks) == ("two", Split.VAL, None)


def test_find_videos_adds_extra_ones_for_training(data: Path, tmp_path: Path) -> None:
    extra = write_video(tmp_path / "walk.mp4", frames=3)
    assert find_videos(data, [extra])[-1] == TrainingVideo(extra, "walk", Split.TRAIN)


def test_find_videos_lists_everything_that_is_wrong_at_once(data: Path) -> None:
    (data / "cameras" / "clips.csv").write_text(HEAD + "one,Fight,0,train\ntwo,Fight,0,val\nnone,Fight,3,train\n")
    with pytest.raises(DatasetError) as caught:
        find_videos(data, [data / "gone.mp4"])
    for problem in ("no video none", "gone.mp4 is missing", "group cameras/0 is in train and val"):
        assert problem in str(caught.value)


def test_find_videos_without_a_list_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no clips\.csv .*clip, source_group, split"):
        find_videos(tmp_path)


def test_store_frames_are_spread_and_carry_their_tracks(data: Path, tmp_path: Path) -> None:
    video = find_videos(data)[0]
    pictures = store_frames(video, tmp_path / "frames", seconds_between=0.5, limit=9)
    assert [picture.number for picture in pictures] == [4, 8, 12, 16]
    for picture in pictures:
        assert picture.path.name == f"one-{picture.number:06d}.jpg"
        np.testing.assert_array_equal(picture.tracked_xyxy, [[10, 5, 30, 45]])
        stored = cv2.imread(str(picture.path))
        assert stored is not None and stored.shape == (64, 96, 3)
    changed = {path: path.stat().st_mtime_ns for path in (tmp_path / "frames").iterdir()}
    assert len(changed) == 4
    store_frames(video, tmp_path / "frames", seconds_between=0.5, limit=9)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "frames").iterdir()} == changed


def test_store_frames_of_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(DatasetError, match="no readable video"):
        store_frames(TrainingVideo(tmp_path / "broken.mp4", "g", Split.TRAIN), tmp_path / "frames", 1, 5)


class ScriptedTeacher(Teacher):
    """Sees the tracked people surely, and one doubtful person in the corner; fails on the third picture if told to."""

    asked = 0
    fails_at = 99

    def look(self, image: Image, tracked_xyxy: Floats) -> Votes:
        type(self).asked += 1
        if type(self).asked == type(self).fails_at:
            raise KeyboardInterrupt
        boxes = np.concatenate([tracked_xyxy, [[60, 50, 70, 60]]]).astype(np.float32)
        sure = np.array([0.9] * len(tracked_xyxy) + [0.3], np.float32)
        return Votes(boxes, np.stack([sure, sure * 0.5], axis=1), np.zeros((len(boxes), 1), np.float32))


def test_votes_interrupted_are_taken_up_again_and_pictures_written(data: Path, tmp_path: Path) -> None:
    pictures: list[Picture] = []
    for video in find_videos(data):
        pictures += store_frames(video, tmp_path / "frames" / video.split.value, 0.5, 9)
    teacher, votes, target = ScriptedTeacher([]), tmp_path / "votes", tmp_path / "pictures"
    ScriptedTeacher.asked, ScriptedTeacher.fails_at = 0, 3
    with pytest.raises(KeyboardInterrupt):
        collect_votes(pictures, teacher, votes)
    assert len(list(votes.iterdir())) == 2
    collect_votes(pictures, teacher, votes)
    assert ScriptedTeacher.asked == 3 + len(pictures) - 2
    assert read_votes(votes, pictures[0]).main.shape == (2, 2)
    assert write_pictures(pictures, votes, target) == 4  # the val video has no tracks
    ((train_image, people), *_) = labelled(target, Split.TRAIN)
    np.testing.assert_allclose(people.boxes_xyxy, [[10, 5, 30, 45]], atol=0.01)
    assert np.abs(train_image[52:58, 62:68].astype(int) - 114).max() < 20  # covered, but for JPEG
    for image, val_people in labelled(target, Split.VAL):
        np.testing.assert_allclose(val_people.ignored_xyxy, [[60, 50, 70, 60]], atol=0.01)
        assert np.abs(image[52:58, 62:68].astype(int) - 114).max() > 60


def test_labelled_without_pictures_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no labelled pictures"):
        next(labelled(tmp_path, Split.VAL))


def test_annotated_video_gives_its_annotated_frames(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", frames=12, size_hw=(64, 96), rate=10)
    (tmp_path / "gt.txt").write_text(
        "1,1,10,5,20,40,1,-1,-1,-1\n11,1,12,5,20,40,1,-1,-1,-1\n11,2,50,5,9,9,1,-1,-1,-1\n"
    )
    found = list(annotated_video(video, tmp_path / "gt.txt"))
    assert [len(people.boxes_xyxy) for _, people in found] == [1, 2]
    assert all(len(people.ignored_xyxy) == 0 for _, people in found)
    (tmp_path / "gt.txt").write_text("40,1,10,5,20,40,1\n")
    with pytest.raises(DatasetError, match="ends before frame"):
        list(annotated_video(video, tmp_path / "gt.txt"))


def test_annotated_pictures_tell_people_from_ignored_ones(tmp_path: Path) -> None:
    (tmp_path / "MOT17-99" / "img1").mkdir(parents=True)
    (tmp_path / "MOT17-99" / "gt").mkdir()
    cv2.imwrite(str(tmp_path / "MOT17-99" / "img1" / "000001.jpg"), np.zeros((50, 80, 3), np.uint8))
    rows = ["1,1,1,2,3,4,1,1,1.0", "1,2,5,5,6,6,0,7,1.0", "1,3,9,9,6,6,0,3,1.0", "1,4,9,9,6,6,0,1,1.0"]
    (tmp_path / "MOT17-99" / "gt" / "gt.txt").write_text("\n".join(rows))
    ((image, people),) = annotated_pictures(tmp_path)
    assert image.shape == (50, 80, 3)
    np.testing.assert_array_equal(people.boxes_xyxy, [[1, 2, 4, 6]])
    np.testing.assert_array_equal(people.ignored_xyxy, [[5, 5, 11, 11]])
    assert isinstance(people, TruePeople)


def test_find_videos_tells_of_every_bad_row_of_a_table(data: Path) -> None:
    (data / "cameras" / "clips.csv").write_text(HEAD + "one,Fight,0,sometimes\n,Fight,0,val\nnone,Fight,3,train\n")
    with pytest.raises(DatasetError) as caught:
        find_videos(data)
    for problem in ("clips.csv:2: expected the split", "clips.csv:3: column clip", "clips.csv:4: no video none"):
        assert problem in str(caught.value)

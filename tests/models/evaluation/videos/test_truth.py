"""Annotation files of whole videos: read as they are, and every mistake named at once."""

from pathlib import Path

import numpy as np
import pytest

from models.data.manifest import Split
from models.errors import EvaluationError
from models.evaluation.videos.truth import Segment, find_videos, read_video_truths
from tests.support.places import SHARED

SURVEILLANCE = SHARED / "data" / "surveillance"
ACTIONS = "clip,track_id,start_frame,end_frame,label,source_group,split\n"
CLIPS = "clip,label,source_group,split\n"


def write(folder: Path, actions: str = "", clips: str = "", tracks: dict[str, str] | None = None) -> Path:
    (folder / "mot").mkdir(parents=True)
    if actions:
        (folder / "actions.csv").write_text(ACTIONS + actions)
    if clips:
        (folder / "clips.csv").write_text(CLIPS + clips)
    for name, text in (tracks or {}).items():
        (folder / "mot" / f"{name}.txt").write_text(text)
    return folder


def test_read_video_truths_joins_boxes_actions_and_labels(tmp_path: Path):
    tracks = {"a": "1,7,10,20,30,40,0.9,1,1\n1,8,0,0,5,5,1,1,1\n3,7,11,20,30,40,0.9,1,1\n", "b": ""}
    folder = write(tmp_path, "a,7,1,3,Walking,4,train\n", "a,NoFight,4,train\nb,Fight,5,val\n", tracks)
    found = read_video_truths([folder])
    a = found["a"]
    assert (a.group, a.split, a.label, a.segments) == ("4", Split.TRAIN, "NoFight", (Segment(7, 1, 3, "Walking"),))
    assert sorted(a.boxes) == [1, 3]
    ids, boxes = a.boxes[1]
    assert ids.tolist() == [7, 8]
    np.testing.assert_allclose(boxes[0], [10, 20, 40, 60])
    assert found["b"].boxes == {} and found["b"].segments == ()


def test_read_video_truths_names_all_that_is_wrong(tmp_path: Path):
    actions = "a,7,1,3,Walking,4,train\na,9,x,3,Walking,4,train\na,7,5,3,Walking,4,val\nc,1,1,2,Walking,1,sometimes\n"
    folder = write(tmp_path / "one", actions, "a,NoFight,4,train\n", {"a": "1,8,10,20,30,40,0.9,1,1\n", "c": "1,2\n"})
    other = write(tmp_path / "two")
    (other / "clips.csv").write_text("clip,label\na,b\n")
    with pytest.raises(EvaluationError) as caught:
        read_video_truths([folder, other])
    for part in (
        "lacks the columns source_group, split",
        "'x'",
        "got 5, 3",
        "'sometimes'",
        "in group and split",
        "people 7, who have no track",
    ):
        assert part in str(caught.value)
    with pytest.raises(EvaluationError, match=r"no actions\.csv or clips\.csv"):
        read_video_truths([tmp_path / "nowhere"])


def test_find_videos_wants_one_file_for_each_name(tmp_path: Path):
    for name in ("x/a.mp4", "x/b.avi", "y/b.mp4", "y/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_videos([tmp_path], ["a"]) == {"a": (tmp_path / "x" / "a.mp4").resolve()}
    with pytest.raises(EvaluationError, match=r"no video file for c .*several videos are called b"):
        find_videos([tmp_path], ["a", "b", "c"])
    assert list(find_videos([tmp_path, tmp_path / "x"], ["a"])) == ["a"], "a folder within another is no second file"


def test_read_video_truths_of_the_surveillance_videos():
    if not SURVEILLANCE.is_dir():
        pytest.skip("../shared/data/surveillance is not here")
    found = read_video_truths([SURVEILLANCE])
    labels = [segment.label for item in found.values() if item.split is Split.VAL for segment in item.segments]
    assert [labels.count(name) for name in ("Fighting", "Standing", "Walking", "Other")] == [30, 33, 9, 8]
    assert sum(item.label == "Fight" and item.split is Split.VAL for item in found.values()) == 34


def test_read_video_truths_names_a_row_that_says_no_video(tmp_path: Path):
    folder = write(tmp_path, ",7,1,3,Walking,4,train\n", "a,NoFight,4,train\n")
    (folder / "clips.csv").write_text("label,source_group,split,clip\nFight\n")
    with pytest.raises(EvaluationError) as caught:
        read_video_truths([folder])
    for file in ("actions", "clips"):
        assert f"{file}.csv:2: column clip: expected the name of a video" in str(caught.value)

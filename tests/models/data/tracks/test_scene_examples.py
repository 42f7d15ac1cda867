"""Labelled tracks of a real video → whole scenes with boxes and labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.data.clip_file import ClipFormat
from models.data.manifest import Split
from models.data.tracks.scene_examples import SceneExample, scene_examples
from models.data.tracks.track_folders import TRACKS_FOLDER, VideoFacts
from models.data.tracks.track_writer import TrackWriter
from models.errors import DatasetError
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource
from tests.models.data.scene_work import FRAMES, LEFT, RIGHT, SHAPE, STREET, box, make_scene_work, rows


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scene_work(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def examples(work: Path) -> list[SceneExample]:
    return list(scene_examples(work, rows(), SHAPE, hop=4))


def test_scene_examples_are_the_clips_that_the_service_would_cut(examples: list[SceneExample]) -> None:
    source = VideoSource(SourceUrl.from_path(STREET), SourceOptions(), lambda *_: None)
    frames = [frame.image for frame, _ in zip(source, range(FRAMES), strict=False)]
    source.stop()
    first = next(example for example in examples if example.track_id == RIGHT)
    assert first.stack().shape == (9, 32, 32, 3)
    # The first clip shows pictures 1 … 9; in its middle is picture 5.
    assert first.box == pytest.approx(box(RIGHT, 5) / (768, 576, 768, 576), abs=1e-5)
    assert first.pictures[4].mean() == pytest.approx(frames[4].mean(), abs=0.6)
    both = [example for example in examples if example.pictures is first.pictures]
    assert {example.label for example in both} == {"standing", "walking"}, "people of one scene share its pictures"


def test_scene_examples_have_the_label_of_the_range_that_holds_most_of_them(examples: list[SceneExample]) -> None:
    of_right = [(example.label, example.group, example.split) for example in examples if example.track_id == RIGHT]
    # Clips end at pictures 9, 12, 16 … 40. Those of 28 (one picture of range 1) and 32 (four of range 2) are left out.
    assert of_right == [("walking", "a", Split.TRAIN)] * 5 + [("walking", "b", Split.VAL)] * 2
    assert sum(example.track_id == LEFT for example in examples) == 9


def test_scene_examples_of_short_people_play_back_and_forth_where_they_are_asked_for(work: Path) -> None:
    asked = [example for example in scene_examples(work, rows(), SHAPE, hop=4, shortest=3) if example.track_id == LEFT]
    assert [example.frame for example in asked] == [3, 4, 8, *range(12, 41, 4)]
    one, two, three, *_ = asked[0].pictures
    assert [id(picture) for picture in asked[0].pictures] == [
        id(picture) for picture in (one, two, three, two, one, two, three, two, one)
    ]
    assert asked[0].box == pytest.approx(box(LEFT, 1) / (768, 576, 768, 576), abs=1e-5)


def test_scene_examples_of_a_lost_source_say_so(tmp_path: Path) -> None:
    facts = VideoFacts(
        source=str(tmp_path / "gone.mp4"), size_bytes=1, tracks_from="a", margin=0, size=8, format=ClipFormat.JPEG
    )
    with TrackWriter(tmp_path / TRACKS_FOLDER / "street", facts.format, 10.0) as writer:
        writer.finish(facts)
    with pytest.raises(DatasetError, match=r"gone\.mp4"):
        list(scene_examples(tmp_path, rows(), SHAPE))

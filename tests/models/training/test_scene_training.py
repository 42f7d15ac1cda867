"""Labelled tracks of a real video → scenes with boxes → a small Video Action Transformer → a folder that classifies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.classifier import ActionClassifier
from models.data.clip_file import ClipFormat
from models.data.manifest import Split
from models.data.tracks.labels_csv import LabelRow
from models.data.tracks.scene_examples import SceneExample, scene_examples
from models.data.tracks.track_folders import TRACKS_FOLDER, VideoFacts
from models.data.tracks.track_writer import TrackWriter
from models.errors import DatasetError, TrainingError
from models.runtimes.runner import Precision
from models.training.scene_training import SceneTraining, train_scenes
from models.weights.cards import ModelInput, read_card, verify
from pipeline.source import SourceOptions, VideoSource
from pipeline.source_url import SourceUrl
from tests.support.places import STREET

SHAPE = ModelInput(kind="scene", frames=9, height=32, width=32, rate_hz=10.0)
FRAMES, LEFT, RIGHT = 40, 1, 2


def box(track_id: int, frame: int) -> np.ndarray:
    """Two invented people: one stands at the left, one walks at the right."""
    left = 20.0 if track_id == LEFT else 500.0 + frame
    return np.array([left, 100, left + 100, 400], np.float32)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    facts = VideoFacts(
        source=str(STREET), size_bytes=1, tracks_from="a test", margin=0.2, size=8, format=ClipFormat.JPEG
    )
    crop = np.zeros((8, 8, 3), np.uint8)
    with TrackWriter(folder / TRACKS_FOLDER / "street", facts.format, 10.0) as writer:
        for frame in range(1, FRAMES + 1):
            for track_id in (LEFT, RIGHT):
                writer.add(track_id, frame, (frame - 1) / 10, crop, box(track_id, frame), 0.0)
        writer.finish(facts)
    return folder


def rows() -> list[LabelRow]:
    return [
        LabelRow("street", LEFT, label="standing", group="a"),
        LabelRow("street", RIGHT, 1, 20, "walking", "a", Split.TRAIN),
        LabelRow("street", RIGHT, 29, 40, "walking", "b", Split.VAL),
    ]


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


def test_scene_examples_of_a_lost_source_say_so(tmp_path: Path) -> None:
    facts = VideoFacts(
        source=str(tmp_path / "gone.mp4"), size_bytes=1, tracks_from="a", margin=0, size=8, format=ClipFormat.JPEG
    )
    with TrackWriter(tmp_path / TRACKS_FOLDER / "street", facts.format, 10.0) as writer:
        writer.finish(facts)
    with pytest.raises(DatasetError, match=r"gone\.mp4"):
        list(scene_examples(tmp_path, rows(), SHAPE))


def test_train_scenes_learns_who_is_who_and_writes_a_folder_that_classifies(
    examples: list[SceneExample], tmp_path: Path
) -> None:
    options = {"units": 16, "roi": 2, "layers": 1, "heads": 1, "dropout": 0.0}
    config = SceneTraining(SHAPE, "a test", "none", epochs=8, learning_rate=3e-3, options=options)
    folder = tmp_path / "scene"
    metrics = train_scenes(folder, examples, None, config)
    assert metrics["train/top1"] == 1.0
    assert metrics["val/top1"] == 1.0
    card = read_card(folder)
    verify(card)
    assert (card.kind, card.input, card.labels) == ("action_transformer", SHAPE, ("standing", "walking"))
    classifier = ActionClassifier.load(folder, "tensorflow", precision=Precision.F32)
    shown = [example for example in examples if example.pictures is examples[-1].pictures]
    found = classifier.predict(shown[0].stack()[None], np.stack([example.box for example in shown]))
    assert [classifier.labels[index] for index in found.argmax(-1)] == [example.label for example in shown]
    with pytest.raises(TrainingError, match="expected a new folder"):
        train_scenes(folder, examples, None, config)

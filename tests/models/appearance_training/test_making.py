"""The whole way on a few drawn people: videos and tracks in, a network that the encoder opens out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from models.appearance_training.card import read_appearance_card
from models.appearance_training.crops import Crops, cut
from models.appearance_training.judging import tell
from models.appearance_training.making import AppearanceRecipe, CardTexts, make
from models.appearance_training.training import Tuning, batches, targets
from models.appearance_training.views import small, tight, varied
from models.errors import ChecksumError, DatasetError, TrainingError
from models.weights.cards import list_models
from pipeline.appearance import AppearanceConfig, AppearanceEncoder
from pipeline.detector import PersonDetector
from tests.models.appearance_training.small_teacher import write_teacher

TEXTS = CardTexts("drawn people", "actoscope train-appearance")
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))


def nobody() -> PersonDetector:
    raise AssertionError("every video has tracks")


def write_video(folder: Path, name: str, frames: int = 6) -> None:
    """Three people in shirts of their own colour who walk side by side."""
    generator = np.random.default_rng(len(name))
    (folder / "mot").mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(folder / f"{name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 160))
    rows = []
    for frame in range(1, frames + 1):
        image = generator.integers(90, 130, (160, 320, 3), np.uint8)
        for person, colour in enumerate(COLOURS):
            left, top = 20 + 100 * person + 2 * frame, 30
            image[top : top + 50, left : left + 40] = colour
            image[top + 50 : top + 100, left : left + 40] = 30 * person
            rows.append(f"{frame},{person + 1},{left},{top},40,100,0.9,1,1")
        writer.write(image)
    writer.release()
    (folder / "mot" / f"{name}.txt").write_text("\n".join(rows))


@pytest.fixture
def recipe(tmp_path: Path) -> AppearanceRecipe:
    data = tmp_path / "data"
    for name in ("one", "other", "third"):
        write_video(data, name)
    (data / "clips.csv").write_text("clip,label,source_group,split\none,x,a,train\nother,x,b,train\nthird,x,c,val\n")
    write_teacher(tmp_path / "teacher.xml")
    tuning = Tuning(epochs=2, batch=12)
    return AppearanceRecipe(data, tmp_path / "teacher.xml", tmp_path / "work", frames_per_video=4, tuning=tuning)


def test_make_leaves_a_network_that_the_encoder_takes_by_default(recipe: AppearanceRecipe, tmp_path: Path) -> None:
    said: list[str] = []
    output = tmp_path / "weights" / "appearance"
    card = make(recipe, nobody, output, TEXTS, said.append)
    assert read_appearance_card(output) == card
    assert (card.height, card.width, card.dimension) == (160, 80, 16)
    assert card.metrics.crops == 12
    assert card.metrics.right >= card.start_metrics.right
    assert "36 crops of 9 tracks in 3 videos" in said
    encoder = AppearanceEncoder.load(None, AppearanceConfig(tmp_path, 1, tmp_path / "weights"))
    image = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    assert encoder.encode(image, np.array([[10, 10, 60, 120], [80, 20, 130, 150]], np.float32)).shape == (2, 16)
    assert list_models(tmp_path / "weights") == []


def test_make_again_takes_up_what_is_done(recipe: AppearanceRecipe, tmp_path: Path) -> None:
    said: list[str] = []
    first = make(recipe, nobody, tmp_path / "a", TEXTS, said.append)
    for video in recipe.data.glob("*.mp4"):
        video.write_bytes(b"")  # not read any more
    said.clear()
    assert make(recipe, nobody, tmp_path / "b", TEXTS, said.append).metrics == first.metrics
    assert "asking the teacher" not in said


def test_make_nobody_kept_out_is_a_training_error(recipe: AppearanceRecipe, tmp_path: Path) -> None:
    table = recipe.data / "clips.csv"
    table.write_text(table.read_text().replace(",val", ",train"))
    with pytest.raises(TrainingError, match="kept out"):
        make(recipe, nobody, tmp_path / "a", TEXTS, print)


def test_make_unreadable_video_is_a_dataset_error(recipe: AppearanceRecipe, tmp_path: Path) -> None:
    (recipe.data / "one.mp4").write_bytes(b"no video")
    with pytest.raises(DatasetError, match=r"one\.mp4"):
        make(recipe, nobody, tmp_path / "a", TEXTS, print)


def test_read_card_other_network_is_a_checksum_error(recipe: AppearanceRecipe, tmp_path: Path) -> None:
    make(recipe, nobody, tmp_path / "a", TEXTS, print)
    (tmp_path / "a" / "appearance.bin").write_bytes(b"other")
    with pytest.raises(ChecksumError, match=r"appearance\.bin"):
        read_appearance_card(tmp_path / "a")


def test_cut_box_lies_in_the_middle_with_its_margin() -> None:
    image = np.zeros((300, 300, 3), np.uint8)
    image[100:200, 120:170] = 255
    picture = cut(image, np.array([120, 100, 170, 200], np.float32))
    inner = tight(picture, (100, 50))
    assert inner[2:-2, 2:-2].min() > 200
    assert picture[:20].max() < 60
    assert picture[:, :10].max() < 60


def test_cut_large_person_is_averaged_not_sampled() -> None:
    image = np.zeros((1300, 700, 3), np.uint8)
    image[::2] = 255  # stripes of one pixel
    picture = cut(image, np.array([100, 100, 600, 1200], np.float32))
    assert picture.std() < 40


@pytest.mark.parametrize("seed", range(5))
def test_varied_has_the_asked_size_and_differs(seed: int) -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (256, 128, 3), np.uint8), (0, 0), 5)
    view = varied(picture, np.random.default_rng(seed), (160, 80))
    assert (view.shape, view.dtype) == ((160, 80, 3), np.uint8)
    assert (view != tight(picture, (160, 80))).any()


def test_small_loses_detail() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (256, 128, 3), np.uint8)
    assert small(picture, 40, (160, 80)).std() < 0.5 * tight(picture, (160, 80)).std()


def crops_of(people: list[int], videos: list[int], frames: list[int]) -> Crops:
    size = len(people)
    flags = np.zeros(size, bool)
    return Crops(np.zeros((size, 1, 1, 3), np.uint8), np.array(people), np.array(videos), np.array(frames), flags)


def test_tell_counts_nearest_in_other_frames_of_the_same_video() -> None:
    crops = crops_of([1, 2, 1, 2, 3], [0, 0, 0, 0, 1], [1, 1, 2, 2, 1])
    features = np.array([[1, 0], [0, 1], [1, 0], [1, 0], [1, 0]], np.float32)
    told = tell(features, crops)
    assert (told.crops, told.right) == (4, 0.5)  # both of the second person are taken for the first
    assert (told.same, told.other) == (0.5, 0.5)


def test_batches_give_every_crop_once_and_videos_together() -> None:
    crops = crops_of(list(range(30)), [i % 3 for i in range(30)], [1] * 30)
    found = list(batches(crops, np.arange(30), 10, np.random.default_rng(0)))
    assert sorted(np.concatenate(found).tolist()) == list(range(30))
    assert all(len(set(crops.videos[part])) == 1 for part in found)


def test_targets_lean_towards_the_tracks_mean() -> None:
    taught = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    wanted = targets(taught, np.array([1, 1, 2]), 0.5)
    assert wanted[0] @ wanted[1] > 0.5
    np.testing.assert_allclose(wanted[2], [0, 1], atol=1e-6)

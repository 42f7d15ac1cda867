from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.errors import DatasetError, EvaluationError
from models.evaluation.whole_video import BAND, GIF_SIDE, Answer, answers, gif, windows
from models.weights.cards import ModelInput
from tests.models.data.trees import write_broken, write_video

LABELS = ("dark", "bright")


class Scripted:
    """Says of the n-th window what the script says, and keeps what it was shown."""

    def __init__(self, script: list[list[float]], frames: int = 10, **given: Any) -> None:
        size = {"height": 32, "width": 32, "margin": 0.0, **given}
        self.card: Any = SimpleNamespace(name="scripted", input=ModelInput(frames=frames, **size))
        self.labels: tuple[str, ...] = LABELS
        self.script, self.shown = script, []  # type: tuple[list[list[float]], list[np.ndarray]]

    def predict(self, clips: np.ndarray) -> np.ndarray:
        self.shown.append(clips)
        return np.asarray([self.script[len(self.shown) - 1]], np.float32)


def counted(length: int) -> np.ndarray:
    """Pictures that hold their own number."""
    return np.arange(length, dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 2, 2, 3), np.uint8)


def test_windows_step_by_half_and_the_last_ends_with_the_clip() -> None:
    found = [(clip[:, 0, 0, 0].tolist(), new[:, 0, 0, 0].tolist()) for clip, new in windows(counted(11), 4)]
    assert [clip for clip, _ in found] == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [6, 7, 8, 9], [7, 8, 9, 10]]
    assert [number for _, new in found for number in new] == list(range(11))  # every picture is new once


def test_window_of_a_short_clip_is_played_back_and_forth() -> None:
    ((clip, new),) = windows(counted(3), 6)
    assert clip[:, 0, 0, 0].tolist() == [1, 2, 1, 0, 1, 2]
    assert len(new) == 3


def test_answer_is_the_mean_of_the_last_windows(tmp_path: Path) -> None:
    network = Scripted([[1, 0], [0, 1], [0, 1], [0, 1]])
    found = list(answers(network, write_video(tmp_path / "video.mp4", 25), last=2))
    assert [clips.shape for clips in network.shown] == [(1, 10, 32, 32, 3)] * 4
    assert [answer.chances.tolist() for answer in found] == [[1, 0], [0.5, 0.5], [0, 1], [0, 1]]
    assert sum(len(answer.pictures) for answer in found) == 25


def test_networks_and_videos_that_cannot_be_are_one_clear_error(tmp_path: Path) -> None:
    video = write_video(tmp_path / "video.mp4", 12)
    with pytest.raises(EvaluationError, match="scripted sees crops of 32×64: expected a network of square pictures"):
        next(answers(Scripted([[1, 0]], width=64), video, 1))
    with pytest.raises(DatasetError, match="cannot be decoded"):
        next(answers(Scripted([[1, 0]]), write_broken(tmp_path / "broken.mp4"), 1))


def test_gif_shows_every_second_picture_with_what_was_said_then() -> None:
    pictures = np.zeros((8, 32, 32, 3), np.uint8)
    said = [Answer(pictures, np.array([0.9, 0.1], np.float32)), Answer(pictures, np.array([0.2, 0.8], np.float32))]
    with Image.open(io.BytesIO(gif(said, LABELS, 25.0))) as found:
        assert found.size == (GIF_SIDE, GIF_SIDE + BAND)
        frames = []
        for number in range(found.n_frames):  # equal neighbours are one picture, shown longer
            found.seek(number)
            frames.append((np.asarray(found.convert("RGB"))[GIF_SIDE:], found.info["duration"]))
    assert sum(duration for _, duration in frames) == 8 * 80
    assert (frames[0][0] != frames[-1][0]).any() and (frames[0][0] < 128).any()

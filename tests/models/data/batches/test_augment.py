from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.batches.augment import ClipAugmenter, augment_clip, augment_flow
from models.data.batches.augment_config import (
    NO_AUGMENTATION,
    PROBABILITIES,
    AugmentConfig,
    ClipDraw,
    ColourDraw,
    LowLightDraw,
)
from models.data.batches.flow import flow_fields
from models.errors import DatasetError
from pipeline.crops import PADDING_VALUE
from tests.models.data.footage import sliding, street
from tests.support.places import REPOSITORY

ALWAYS: dict[str, Any] = dict.fromkeys(PROBABILITIES, 1.0)
EVERYTHING = replace(AugmentConfig(), **ALWAYS)
DARK = LowLightDraw(gain=0.3, noise=0.02, seed=1)
CHANGES = {
    "flip": ClipDraw(flip=True),
    "zoom": ClipDraw(zoom_xy=(1.2, 1.1), shift_xy=(0.1, -0.05)),
    "colour": ClipDraw(colour=ColourDraw(1.2, 0.8, 1.2, 0.03)),
    "grey": ClipDraw(grey=True),
    "blur": ClipDraw(blur_sigma=4.0),
    "motion": ClipDraw(motion=(5, 30.0)),
    "scale": ClipDraw(scale=0.3),
    "quality": ClipDraw(quality=20),
}
UNHEARD = """
import os, socket, sys
os.environ.pop("PYTEST_CURRENT_TEST", None)  # the library is silent by itself in tests and in CI
for name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "JENKINS_URL", "TF_BUILD", "TRAVIS", "CIRCLECI"):
    os.environ.pop(name, None)
sys.addaudithook(lambda event, _: event.startswith("socket.") and tried.append(event))
tried = []
import numpy as np
from models.data.batches.augment import ClipAugmenter
ClipAugmenter()(np.zeros((4, 32, 32, 3), np.uint8), 0)
import threading
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(10)
print("tried", tried)
"""


def repeated() -> NDArray[np.uint8]:
    """(8, 64, 64, 3): one real picture eight times."""
    return np.repeat(street()[:1], 8, axis=0)


@pytest.mark.parametrize("name", CHANGES)
def test_augment_every_change_is_the_same_in_all_pictures(name: str) -> None:
    changed = augment_clip(repeated(), CHANGES[name])
    assert changed.shape == (8, 64, 64, 3) and changed.dtype == np.uint8
    assert all(np.array_equal(picture, changed[0]) for picture in changed)
    assert not np.array_equal(changed, repeated())


def test_augment_all_at_once_is_one_draw_for_all_pictures() -> None:
    augmenter = ClipAugmenter(replace(EVERYTHING, low_light=0.0), seed=3)
    for number in range(10):
        changed = augmenter(repeated(), number)
        assert all(np.array_equal(picture, changed[0]) for picture in changed)


def test_augment_low_light_has_one_strength_and_a_new_grain_in_every_picture() -> None:
    grey = np.full((6, 64, 64, 3), 200, np.uint8)
    changed = augment_clip(grey, ClipDraw(low_light=LowLightDraw(0.4, 0.03, seed=5))).astype(float)
    assert changed.mean() == pytest.approx(80, abs=0.5)
    assert changed.std(axis=(1, 2, 3)) == pytest.approx(np.full(6, 0.03 * 255), abs=0.4)
    grain = (changed - 80).reshape(6, -1)
    correlation = np.corrcoef(grain)[np.triu_indices(6, 1)]
    assert np.abs(correlation).max() < 0.1


def test_augment_same_number_same_pixels_other_number_or_seed_others() -> None:
    clip = street()
    first = ClipAugmenter(EVERYTHING, seed=1)(clip, 4)
    assert np.array_equal(first, ClipAugmenter(EVERYTHING, seed=1)(clip, 4))
    assert not np.array_equal(first, ClipAugmenter(EVERYTHING, seed=1)(clip, 5))
    assert not np.array_equal(first, ClipAugmenter(EVERYTHING, seed=2)(clip, 4))


def test_augment_takes_a_generator() -> None:
    clip = street()
    first, second = (ClipAugmenter(EVERYTHING)(clip, np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(first, second)


def test_augment_leaves_its_input_alone() -> None:
    clip = street().copy()
    for number in range(5):
        ClipAugmenter(EVERYTHING)(clip, number)
    assert np.array_equal(clip, street())


def test_augment_nothing_drawn_returns_the_pixels() -> None:
    assert np.array_equal(ClipAugmenter(NO_AUGMENTATION)(street(), 0), street())


def test_augment_flip_mirrors() -> None:
    assert np.array_equal(augment_clip(street(), ClipDraw(flip=True)), street()[:, :, ::-1])


def test_augment_zoom_out_shows_the_grey_beyond_the_border() -> None:
    changed = augment_clip(np.zeros((2, 64, 64, 3), np.uint8), ClipDraw(zoom_xy=(0.5, 0.5), low_light=DARK))
    assert changed[0, 2, 2].tolist() == [PADDING_VALUE] * 3
    assert changed[0, 28:36, 28:36].max() < 40


def test_augment_grey_has_equal_channels_and_compression_bites() -> None:
    grey = augment_clip(street(), ClipDraw(grey=True))
    assert np.array_equal(grey[..., 0], grey[..., 1]) and np.array_equal(grey[..., 0], grey[..., 2])
    errors = [
        np.abs(augment_clip(street(), ClipDraw(quality=quality)).astype(int) - street()).mean() for quality in (10, 90)
    ]
    assert errors[0] > 2 * errors[1] > 0


@pytest.mark.parametrize("name", ["blur", "motion", "scale"])
def test_augment_blur_and_downscale_take_detail_away(name: str) -> None:
    def detail(clip: NDArray[np.uint8]) -> float:
        return float(cv2.Laplacian(clip[0], cv2.CV_32F).std())

    assert detail(augment_clip(street(), CHANGES[name])) < 0.8 * detail(street())


@pytest.mark.parametrize(
    "clip", [np.zeros((4, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8, 8, 3), np.uint8)]
)
def test_augment_other_arrays_are_refused(clip: NDArray[np.uint8]) -> None:
    with pytest.raises(DatasetError, match="expected a uint8"):
        augment_clip(clip, ClipDraw())


def test_augment_flow_flip_negates_x_and_mirrors() -> None:
    flow = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 2)).astype(np.float32)
    flipped = augment_flow(flow, ClipDraw(flip=True))
    assert np.array_equal(flipped[..., 0], -flow[:, :, ::-1, 0])
    assert np.array_equal(flipped[..., 1], flow[:, :, ::-1, 1])


@pytest.mark.parametrize(
    "draw",
    [ClipDraw(flip=True), ClipDraw(zoom_xy=(1.3, 1.1)), ClipDraw(flip=True, zoom_xy=(0.9, 1.2), shift_xy=(0.05, 0.02))],
)
def test_augment_flow_is_the_flow_of_the_augmented_clip(draw: ClipDraw) -> None:
    clip = sliding(6, 96, (3, 1))
    ours, computed = augment_flow(flow_fields(clip), draw), flow_fields(augment_clip(clip, draw))
    inside = np.s_[:, 24:-24, 24:-24]
    assert np.abs(ours[inside] - computed[inside]).max() < 0.02  # 0.4 pixels
    assert np.abs(computed[inside][..., 0]).min() > 0.1


def test_augment_flow_stays_in_range() -> None:
    flow = np.full((2, 16, 16, 2), -0.9, np.float32)
    zoomed = augment_flow(flow, ClipDraw(zoom_xy=(1.5, 1.5)))
    assert zoomed.dtype == np.float32 and zoomed.min() == -1.0


def test_augment_library_opens_no_socket(tmp_path: Path) -> None:
    """In a process of its own, without what silences the library in tests, and with a fresh home."""
    nowhere = "http://127.0.0.1:9"  # if it did send, then not out of this machine
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY), "HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere}
    done = subprocess.run(
        [sys.executable, "-c", UNHEARD], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "tried []"
    assert not list(tmp_path.rglob("user_id.json"))

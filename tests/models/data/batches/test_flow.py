from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.batches.clip_window import WindowConfig, window_indices
from models.data.batches.flow import FlowMethod, flow_fields, pick_fields
from models.errors import DatasetError, FlowUnavailableError
from tests.models.data.footage import sliding, street

HAS_CONTRIB = hasattr(getattr(cv2, "optflow", None), "DualTVL1OpticalFlow_create")
INSIDE = np.s_[:, 16:-16, 16:-16]


@pytest.mark.parametrize("step_xy", [(3, 0), (-2, 0), (0, 4), (2, -1)])
def test_flow_of_a_moving_texture_is_its_motion(step_xy: tuple[int, int]) -> None:
    fields = flow_fields(sliding(5, 64, step_xy))
    assert fields.shape == (5, 64, 64, 2) and fields.dtype == np.float32
    assert np.abs(fields[INSIDE] * 20 - np.array(step_xy)).max() < 0.3


@pytest.mark.skipif(not HAS_CONTRIB, reason="OpenCV has no contrib modules")
def test_flow_tvl1_of_a_moving_texture_is_its_motion() -> None:
    fields = flow_fields(sliding(3, 64, (3, 0)), FlowMethod.TVL1)
    assert np.median(fields[INSIDE][..., 0]) * 20 == pytest.approx(3, abs=0.1)


@pytest.mark.skipif(HAS_CONTRIB, reason="OpenCV has the contrib modules")
def test_flow_tvl1_without_contrib_says_what_to_do() -> None:
    with pytest.raises(FlowUnavailableError, match="pip install opencv-contrib-python"):
        flow_fields(street(2), FlowMethod.TVL1)


def test_flow_first_field_repeats_the_second() -> None:
    fields = flow_fields(street(6))
    assert np.array_equal(fields[0], fields[1])
    assert not np.array_equal(fields[1], fields[2])


def test_flow_of_one_picture_is_zero() -> None:
    assert not flow_fields(street(1)).any()


def test_flow_is_clipped_at_twenty_pixels() -> None:
    fields = flow_fields(sliding(2, 224, (26, 0), sigma=8))
    assert np.median(fields[1, 80:-80, 80:-80, 0]) == 1.0
    assert np.abs(fields).max() == 1.0


@pytest.mark.parametrize(
    "clip", [np.zeros((4, 8, 8, 3), np.uint8), np.zeros((4, 64, 64, 3), np.float32), np.zeros((0, 64, 64, 3), np.uint8)]
)
def test_flow_of_other_arrays_is_refused(clip: NDArray[np.uint8]) -> None:
    with pytest.raises(DatasetError, match="expected a uint8"):
        flow_fields(clip)


def test_pick_a_window_gives_its_fields() -> None:
    fields = flow_fields(street())
    picked = pick_fields(fields, np.arange(5, 15))
    assert np.array_equal(picked[1:], fields[6:15])
    assert np.array_equal(picked[0], fields[6])


@pytest.mark.parametrize("config", [WindowConfig(16), WindowConfig(5, speed=2.0), WindowConfig(12, speed=0.5)])
def test_pick_is_near_the_flow_of_the_pictures_shown(config: WindowConfig) -> None:
    """Back and forth, faster and slower."""
    clip = sliding(10, 64, (2, 1))
    indices = window_indices(len(clip), config)
    picked, computed = pick_fields(flow_fields(clip), indices), flow_fields(clip[indices])
    assert np.abs(picked[INSIDE] - computed[INSIDE]).max() * 20 < 0.3
    assert np.abs(computed[INSIDE]).max() * 20 > 1.5


def test_pick_the_same_picture_again_is_no_motion() -> None:
    assert not pick_fields(flow_fields(sliding(4)), np.array([2, 2, 2])).any()


def test_pick_fast_play_is_clipped() -> None:
    fields = np.full((10, 16, 16, 2), 0.4, np.float32)
    assert np.unique(pick_fields(fields, np.array([0, 4, 8]))).tolist() == [1.0]

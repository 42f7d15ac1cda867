from __future__ import annotations

import numpy as np
import pytest

from models.data.batches.clip_window import WindowConfig, WindowMode, window, window_indices
from models.errors import DatasetError
from pipeline.clips import back_and_forth
from tests.models.data.footage import counting


@pytest.mark.parametrize(("mode", "first"), [(WindowMode.FIRST, 0), (WindowMode.CENTRE, 8), (WindowMode.LAST, 16)])
def test_window_of_a_longer_clip_lies_where_the_mode_says(mode: WindowMode, first: int) -> None:
    clip = counting(48)
    assert np.array_equal(window(clip, 32, mode), clip[first : first + 32])


def test_window_of_a_short_clip_plays_as_the_service_does() -> None:
    indices = window_indices(5, WindowConfig(12))
    assert indices.tolist() == back_and_forth(5, 12)
    assert indices[-1] == 4


def test_window_random_reaches_every_start_and_repeats_under_one_seed() -> None:
    config = WindowConfig(8, WindowMode.RANDOM)
    rng = np.random.default_rng(0)
    starts = {int(window_indices(11, config, rng)[0]) for _ in range(100)}
    assert starts == {0, 1, 2, 3}
    first, second = (window_indices(40, config, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)


def test_window_random_without_generator_is_refused() -> None:
    with pytest.raises(DatasetError, match="random generator"):
        window_indices(9, WindowConfig(4, WindowMode.RANDOM))


def test_window_speed_four_takes_16_sparse_of_61() -> None:
    assert window_indices(61, WindowConfig(16, speed=4.0)).tolist() == list(range(0, 61, 4))


def test_window_half_speed_shows_pictures_twice() -> None:
    indices = window_indices(10, WindowConfig(8, WindowMode.FIRST, speed=0.5))
    assert indices.tolist() == [0, 1, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize("speed", [0.7, 0.8, 1.0, 1.1, 1.25, 3.3])
@pytest.mark.parametrize("total", [1, 2, 7, 30, 64, 65, 200])
@pytest.mark.parametrize("mode", list(WindowMode))
def test_window_any_length_and_speed_stays_inside(total: int, speed: float, mode: WindowMode) -> None:
    indices = window_indices(total, WindowConfig(64, mode, speed), np.random.default_rng(1))
    assert len(indices) == 64
    assert 0 <= indices.min() <= indices.max() < total


def test_window_few_real_pictures_looks_as_a_provisional_clip() -> None:
    indices = window_indices(80, WindowConfig(64, WindowMode.LAST, real=24))
    assert indices.tolist() == [56 + place for place in back_and_forth(24, 64)]


def test_window_is_a_copy() -> None:
    clip = counting(8)
    window(clip, 8, WindowMode.FIRST)[:] = 255
    assert clip[0].max() == 0


@pytest.mark.parametrize(
    ("length", "speed", "real"), [(0, 1.0, None), (8, 0.0, None), (8, float("nan"), None), (8, 1.0, 0), (8, 1.0, 9)]
)
def test_window_senseless_numbers_are_refused(length: int, speed: float, real: int | None) -> None:
    with pytest.raises(DatasetError, match="expected"):
        WindowConfig(length, speed=speed, real=real)


def test_window_of_an_empty_clip_is_refused() -> None:
    with pytest.raises(DatasetError, match="empty"):
        window_indices(0, WindowConfig())

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.data.batches.augment_config import (
    NO_AUGMENTATION,
    PROBABILITIES,
    AugmentConfig,
    ClipDraw,
    draw_clip,
    draw_window,
)
from models.data.batches.clip_window import WindowConfig, WindowMode
from models.errors import DatasetError

ALWAYS: dict[str, Any] = dict.fromkeys(PROBABILITIES, 1.0)


def draws(config: AugmentConfig, count: int = 400) -> list[ClipDraw]:
    rng = np.random.default_rng(0)
    return [draw_clip(config, rng) for _ in range(count)]


def test_draw_no_augmentation_changes_nothing() -> None:
    assert set(draws(NO_AUGMENTATION, 20)) == {ClipDraw()}


def test_draw_happens_as_often_as_configured() -> None:
    made = draws(AugmentConfig(flip=0.5, grey=0.1, low_light=0.2, blur=0.0))
    assert np.mean([draw.flip for draw in made]) == pytest.approx(0.5, abs=0.1)
    assert np.mean([draw.grey for draw in made]) == pytest.approx(0.1, abs=0.06)
    assert np.mean([draw.low_light is not None for draw in made]) == pytest.approx(0.2, abs=0.08)
    assert all(draw.blur_sigma is None and draw.motion is None for draw in made)


def test_draw_strengths_stay_in_their_ranges() -> None:
    config = replace(AugmentConfig(), **ALWAYS)
    for draw in draws(config, 100):
        assert draw.colour is not None and draw.low_light is not None and draw.scale is not None
        assert 0.75 <= draw.colour.contrast <= 1.25 and abs(draw.colour.hue) <= config.hue
        assert config.gain[0] <= draw.low_light.gain <= config.gain[1]
        assert config.scale[0] <= draw.scale <= config.scale[1]
        assert config.zoom[0] ** 2 <= draw.zoom_xy[0] * draw.zoom_xy[1] <= config.zoom[1] ** 2
        assert max(map(abs, draw.shift_xy)) <= config.shift
        assert (draw.blur_sigma is None) != (draw.motion is None)


def test_draw_switching_one_change_off_leaves_the_others() -> None:
    config = replace(AugmentConfig(), **ALWAYS)
    for with_it, without in zip(draws(config, 20), draws(replace(config, colour=0.0), 20), strict=True):
        assert replace(with_it, colour=None) == without


def test_draw_window_jitters_start_and_speed() -> None:
    rng = np.random.default_rng(0)
    made = [draw_window(WindowConfig(16, speed=2.0), AugmentConfig(short_run=0), 100, rng) for _ in range(50)]
    assert {window.mode for window in made} == {WindowMode.RANDOM}
    speeds = [window.speed for window in made]
    assert 1.6 <= min(speeds) < 1.8 and 2.2 < max(speeds) <= 2.5
    assert all(window.length == 16 and window.real is None for window in made)


def test_draw_window_short_run_uses_a_part_of_what_is_there() -> None:
    config = AugmentConfig(short_run=1.0, shortest_run=0.5, speed=(1.0, 1.0))
    rng = np.random.default_rng(0)
    runs = [draw_window(WindowConfig(64), config, 40, rng).real or 0 for _ in range(50)]
    assert 20 <= min(runs) < 25 and 36 < max(runs) <= 40


def test_draw_window_without_jitter_stays_where_it_is() -> None:
    window = WindowConfig(16, WindowMode.LAST)
    assert draw_window(window, NO_AUGMENTATION, 100, np.random.default_rng(0)) == window


def test_config_lists_everything_that_is_wrong() -> None:
    with pytest.raises(DatasetError) as caught:
        AugmentConfig(flip=1.5, gain=(0.5, 0.2), hue=0.7, quality=(0, 50), speed=(0.0, 1.0))
    for name in ("flip", "gain", "hue", "quality", "speed"):
        assert f"{name} must be" in str(caught.value)

"""The detection stride goes up quickly when the machine is behind and comes down slowly."""

from __future__ import annotations

import pytest

from pipeline.stride import StrideConfig, StrideController

INTERVAL_S = 0.04  # a 25 fps camera


def run(controller: StrideController, detect_s: float, seconds: float, *, drops: int = 0, start: int = 0) -> int:
    """Feed frames as the stream does; → the next frame's index."""
    index = start
    for _ in range(round(seconds / (INTERVAL_S * (drops + 1)))):
        due = controller.due(index)
        controller.observe(detect_s if due else None, INTERVAL_S * (drops + 1), drops)
        index += drops + 1
    return index


def test_stride_fast_machine_detects_in_every_frame() -> None:
    controller = StrideController()
    run(controller, 0.02, 20)
    assert controller.stride == 1
    assert controller.load == pytest.approx(0.5)


@pytest.mark.parametrize(("detect_s", "expected"), [(0.06, 2), (0.11, 3), (0.2, 6), (2.0, 8)])
def test_stride_slow_detector_settles_where_it_fits(detect_s: float, expected: int) -> None:
    controller = StrideController()
    run(controller, detect_s, 60)
    assert controller.stride == expected


@pytest.mark.parametrize(("fps", "expected"), [(5, 1), (10, 3), (15, 5), (25, 8), (60, 8)])
def test_stride_leaves_three_detections_a_second_however_slow_the_camera(fps: int, expected: int) -> None:
    controller = StrideController()
    for index in range(60 * fps):
        controller.observe(2.0 if controller.due(index) else None, 1 / fps)
    assert controller.stride == expected


def test_stride_drops_raise_it_even_when_detection_is_quick() -> None:
    controller = StrideController()
    run(controller, 0.01, 3, drops=1)
    assert controller.stride > 1


def test_stride_short_hiccup_changes_nothing() -> None:
    controller = StrideController()
    index = run(controller, 0.02, 5)
    index = run(controller, 0.06, 0.2, start=index)
    run(controller, 0.02, 5, start=index)
    assert controller.stride == 1


def test_stride_comes_down_one_step_at_a_time_after_the_load_is_gone() -> None:
    controller = StrideController()
    index = run(controller, 0.11, 30)
    assert controller.stride == 3
    index = run(controller, 0.01, 4, start=index)
    assert controller.stride == 3
    index = run(controller, 0.01, 3, start=index)
    assert controller.stride == 2
    run(controller, 0.01, 10, start=index)
    assert controller.stride == 1


def test_stride_load_near_the_limit_does_not_swing() -> None:
    controller = StrideController()
    index, seen = run(controller, 0.05, 5), []
    for _ in range(60):
        index = run(controller, 0.05, 1, start=index)
        seen.append(controller.stride)
    assert set(seen) == {2}


def test_stride_for_a_file_stays_at_one() -> None:
    controller = StrideController(adaptive=False)
    run(controller, 5.0, 20, drops=3)
    assert controller.stride == 1
    assert all(controller.due(index) for index in range(1000, 1010))


def test_due_leaves_out_frames_between_and_survives_gaps_and_restarts() -> None:
    controller = StrideController(StrideConfig(maximum=3))
    run(controller, 2.0, 20)
    assert controller.stride == 3
    controller.due(10_000)
    assert [controller.due(index) for index in range(10_001, 10_007)] == [False, False, True, False, False, True]
    assert controller.due(10_050)  # a gap
    assert controller.due(0)  # the stream began again
    assert not controller.due(1)


def test_observe_useless_measurements_are_passed_by() -> None:
    controller = StrideController()
    controller.observe(5.0, 0.0)
    controller.observe(5.0, 0.04, drops=-1)
    assert controller.load == 0.0


@pytest.mark.parametrize("wrong", [{"maximum": 0}, {"maximum_s": 0.0}, {"down_load": 1.0}])
def test_config_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="got"):
        StrideConfig(**wrong)  # type: ignore[arg-type]

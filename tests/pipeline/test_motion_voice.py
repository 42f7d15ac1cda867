"""What boxes say beside a network: their history, and how both opinions become one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.entities import ActionScores, Frame, Track, TrackState
from pipeline.motion_voice import KEPT_S, BoxHistory, MotionVoice
from tests.pipeline.motion_heads import speed_head

IMAGE = np.zeros((8, 8, 3), np.uint8)


def frame(time_s: float, epoch: int = 0) -> Frame:
    return Frame(IMAGE, round(time_s * 25), time_s, 0.0, 0.0, epoch)


def track(left: float, track_id: int = 1, state: TrackState = TrackState.CONFIRMED) -> Track:
    return Track(track_id, np.array([left, 0, left + 50, 100], np.float32), state, 0.9)


def seen(history: BoxHistory, count: int, speed: float = 0.0, rate_hz: float = 25.0, **others: float) -> None:
    for index in range(count):
        place = 100 * speed * index / rate_hz
        history.see(frame(index / rate_hz), [track(place), *(track(at, int(key[1:])) for key, at in others.items())])


def scores(end_s: float, model: str = "m", track_id: int = 1) -> ActionScores:
    return ActionScores(
        track_id, ("standing", "walking"), np.array([0.5, 0.5], np.float32), 0.0, end_s, 0.0, 0.0, False, model
    )


def test_way_holds_the_person_and_everybody_else_on_the_grid_of_clips() -> None:
    history = BoxHistory()
    seen(history, 20, speed=1.0, rate_hz=10.0, t2=500.0)
    way = history.way(1, 0.0, 1.9)
    assert way is not None and way.boxes.shape == (49, 4) and way.others.shape == (1, 49, 4)
    assert way.boxes[-1, 0] == pytest.approx(190) and (way.others[0, :, 0] == 500).all()


def test_way_is_that_of_the_clip_alone() -> None:
    history = BoxHistory()
    seen(history, 100, speed=1.0)
    way = history.way(1, 1.0, 2.0)
    assert way is not None and len(way.boxes) == 26
    assert way.boxes[0, 0] == pytest.approx(100) and way.boxes[-1, 0] == pytest.approx(200)


def test_somebody_who_was_hardly_seen_or_only_guessed_has_no_way() -> None:
    history = BoxHistory()
    seen(history, 3)
    assert history.way(1, 0.0, 1.0) is None and history.way(7, 0.0, 1.0) is None
    for index in range(50):
        history.see(frame(1 + index / 25), [track(0, 2, TrackState.TENTATIVE)])
    assert history.way(2, 0.0, 5.0) is None


def test_history_is_bounded_and_forgets_when_the_picture_breaks_off() -> None:
    history = BoxHistory()
    seen(history, round(25 * (KEPT_S + 5)))
    assert len(history._frames) <= 25 * KEPT_S + 2
    history.see(frame(1000.0, epoch=1), [track(0)])
    assert len(history._frames) == 1
    history.see(frame(2.0, epoch=1), [track(0)])  # time went back
    assert len(history._frames) == 1


def test_network_that_cannot_decide_hears_that_the_person_moves() -> None:
    for speed, expected in ((0.0, "standing"), (1.5, "walking")):
        voice = MotionVoice({"m": speed_head()})
        for index in range(50):
            voice.see(frame(index / 25), [track(100 * speed * index / 25)])
        (found,) = voice.beside([scores(49 / 25)])
        assert found.labels[int(found.probabilities.argmax())] == expected
        assert found.probabilities.sum() == pytest.approx(1, abs=1e-6) and found.probabilities.max() > 0.8


@pytest.mark.parametrize("other", ["another network", "other labels", "unknown track"])
def test_scores_that_boxes_know_nothing_of_stay_as_they_are(other: str) -> None:
    voice = MotionVoice({"m": speed_head(("a", "b")) if other == "other labels" else speed_head()})
    for index in range(50):
        voice.see(frame(index / 25), [track(4.0 * index)])
    given = scores(2.0, "n" if other == "another network" else "m", 9 if other == "unknown track" else 1)
    assert voice.beside([given]) == [given]


def test_share_says_how_much_boxes_count_and_temperature_how_sure_both_are() -> None:
    network, moving = np.array([0.9, 0.1], np.float32), np.zeros(56)
    moving[1] = 2.0
    silent, loud = (replace(speed_head(), share=share).beside(network, moving) for share in (0.0, 1.0))
    assert silent == pytest.approx(network, abs=1e-6) and loud[1] > 0.99
    surer = replace(speed_head(), share=0.0, temperature=0.5).beside(network, moving)
    assert surer[0] == pytest.approx(0.81 / 0.82, abs=1e-5)


@pytest.mark.parametrize("wrong", [{"share": 1.5}, {"temperature": 0.0}, {"means": (0.0,)}, {"intercepts": (0.0,)}])
def test_head_of_numbers_that_do_not_fit_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(speed_head(), **wrong)  # type: ignore[arg-type]

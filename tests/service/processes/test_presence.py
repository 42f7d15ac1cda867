"""How often a stream says who is in view, on a virtual clock."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.entities import Frame, FrameResult, Track, TrackState, Zone
from service.processes.presence import LEAST_S, MOST_S, PresenceTeller

GATE = Zone("gate", ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
PICTURE = np.zeros((2, 2, 3), np.uint8)


class Scene:
    """A teller and its clock. ``at`` shows it one frame."""

    def __init__(self) -> None:
        self.now = 0.0
        self.teller = PresenceTeller("str_1", lambda: self.now)

    def at(
        self, time_s: float, people: Sequence[int] = (), inside: Mapping[int, tuple[str, ...]] | None = None
    ) -> dict[str, Any] | None:
        self.now = time_s
        box = np.array([0, 0, 1, 1], np.float32)
        tracks = tuple(Track(one, box, TrackState.CONFIRMED, 0.9) for one in people)
        return self.teller.due(
            FrameResult(Frame(PICTURE, 0, time_s, time_s, time_s), tracks, zones=(GATE,), inside=inside or {})
        )


def test_first_frame_tells_and_then_silence_is_broken_each_ten_seconds():
    scene = Scene()
    told = [n / 2 for n in range(61) if scene.at(n / 2) is not None]
    assert told == [0, 10, 20, 30]


def test_coming_and_going_is_told_at_once_and_at_most_once_a_second():
    scene = Scene()
    assert scene.at(0.0) is not None
    told = [(n / 10, message["people"]) for n in range(1, 31) if (message := scene.at(n / 10, range(n % 2)))]
    assert told == [(1.1, 1), (2.2, 0)]


def test_change_within_the_second_is_told_after_it():
    scene = Scene()
    scene.at(0.0)
    assert scene.at(0.5, [1]) is None
    late = scene.at(1.0, [1])
    assert late is not None
    assert (late["people"], late["time_s"]) == (1, 1.0)


def test_who_is_in_a_zone_counts_as_a_change_and_where_they_stand_does_not():
    scene = Scene()
    scene.at(0.0, [1, 2])
    assert scene.at(2.0, [1, 2]) is None
    moved = scene.at(3.0, [1, 2], {2: ("gate",)})
    assert moved is not None
    assert moved["zones"] == {"gate": {"people": 1, "tracks": [2]}}
    other = scene.at(4.0, [1, 2], {1: ("gate",)})
    assert other is not None
    assert other["zones"] == {"gate": {"people": 1, "tracks": [1]}}


@given(st.lists(st.tuples(st.floats(0.01, 4.0), st.sets(st.integers(1, 3))), min_size=1, max_size=60))
def test_what_was_told_is_never_older_than_the_bounds_say(course: list[tuple[float, set[int]]]):
    scene, now, told, told_s = Scene(), 0.0, None, 0.0
    for step, people in course:
        now += step
        message = scene.at(now, sorted(people))
        if message is not None:
            assert told is None or now - told_s >= LEAST_S
            told, told_s = message["people"], now
        assert told == len(people) or now - told_s < LEAST_S
        assert now - told_s < MOST_S

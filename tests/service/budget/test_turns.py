"""Whose clip is worth classifying: new people, unsure or changing labels, people close to others, then the settled."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.entities import Clip, Image, Track, TrackLabel, TrackState
from service.budget.plan import EVERYTHING, Plan, Tier
from service.budget.turns import MOVING, NEAR, NEW, SETTLED, UNSURE, Turns, sketched

PLAN = Plan(Tier.LIGHT, hop_s=1.0, settled_hop_s=8.0)
GREY: Image = np.full((32, 32, 3), 90, np.uint8)


def clip(track_id: int, end_s: float, crop: Image = GREY) -> Clip:
    return Clip(track_id, (crop,), end_s - 2.5, end_s, 0.0, 0.0, 1)


def person(track_id: int, left: float = 100.0, top: float = 100.0) -> Track:
    box = np.array([left, top, left + 40, top + 100], np.float32)
    return Track(track_id, box, TrackState.CONFIRMED, 0.9)


def label(action: str = "Standing", confidence: float = 0.95, provisional: bool = False) -> TrackLabel:
    return TrackLabel(action, confidence, {action: confidence}, 0.0, provisional)


def gains(turns: Turns, seconds: np.ndarray, tracks, labels, crop=lambda _: GREY, of: int = 1) -> dict[float, float]:
    """→ end of each clip that had a turn → its gain; a clip of person ``of`` is ready at each time."""
    found = {}
    for end_s in seconds:
        everybody = tracks(end_s)
        for chosen in turns.choose([clip(of, end_s, crop(end_s))], everybody, labels(end_s), PLAN):
            found[round(float(end_s), 2)] = chosen.gain
    return found


TIMES = np.arange(0, 40, 0.5)


def test_every_clip_of_a_new_person_has_a_turn_until_there_is_a_label():
    found = gains(Turns(), TIMES[:8], lambda _: [person(1)], lambda _: {})
    assert list(found.values()) == [NEW] * 8


def test_person_who_stands_still_with_a_sure_label_waits_longer_and_longer_up_to_the_limit():
    turns = Turns()
    found = gains(turns, TIMES, lambda _: [person(1)], lambda _: {1: label()})
    waits = np.diff(list(found))
    assert waits.max() == pytest.approx(8.0)
    settled = [gain for gain in found.values() if gain == SETTLED]
    assert len(settled) >= 4
    assert list(np.diff([at for at, gain in found.items() if gain == SETTLED]))[:4] == [2.0, 4.0, 8.0, 8.0]
    assert turns.settled == 1
    assert turns.left_out == len(TIMES) - len(found)


def test_person_who_begins_to_walk_has_a_turn_at_once():
    def walking(end_s: float) -> list[Track]:
        return [person(1, left=100.0 + 60 * max(0.0, end_s - 20))]

    found = gains(Turns(), TIMES, walking, lambda _: {1: label()})
    after = [at for at in found if at > 20]
    assert after[0] <= 21.0
    assert max(np.diff([at for at in found if at >= 21])) == pytest.approx(1.0)
    assert {gain for at, gain in found.items() if at > 21} == {MOVING}


def test_picture_that_begins_to_move_in_a_box_that_does_not_has_a_turn_at_once():
    def crop(end_s: float) -> Image:
        return GREY if end_s < 20 else np.full((32, 32, 3), 90 + 30 * (int(end_s * 2) % 2), np.uint8)

    found = gains(Turns(), TIMES, lambda _: [person(1)], lambda _: {1: label()}, crop)
    assert min(at for at in found if at > 19.9) <= 20.5
    assert max(np.diff([at for at in found if at >= 20])) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("known", "gain"),
    [(label(confidence=0.5), UNSURE), (label(provisional=True), UNSURE), (label(), SETTLED)],
)
def test_unsure_labels_gain_more_than_sure_ones(known: TrackLabel, gain: float):
    found = gains(Turns(), TIMES, lambda _: [person(1)], lambda _: {1: known})
    assert list(found.values())[-1] == gain


def test_label_that_changed_is_looked_at_more_often_for_a_while():
    found = gains(
        Turns(), TIMES, lambda _: [person(1)], lambda end_s: {1: label("Standing" if end_s < 20 else "Fighting")}
    )
    changing = {at: gain for at, gain in found.items() if 20 <= at < 22}
    assert set(changing.values()) == {UNSURE} and len(changing) >= 2


def test_people_close_to_others_never_settle():
    found = gains(Turns(), TIMES, lambda _: [person(1), person(2, left=150)], lambda _: {1: label(), 2: label()})
    assert list(found.values())[-1] == NEAR
    assert max(np.diff(list(found))) == pytest.approx(1.0)


def test_file_that_waits_has_every_clip_classified():
    turns = Turns()
    chosen = turns.choose([clip(1, 0.1), clip(1, 0.2)], [person(1)], {1: label()}, EVERYTHING)
    assert len(chosen) == 2 and turns.left_out == 0


def test_people_who_are_gone_are_forgotten_and_clips_of_others_are_left_out():
    turns = Turns()
    gains(turns, TIMES, lambda _: [person(1)], lambda _: {1: label()})
    assert turns.choose([clip(1, 50.0)], [], {1: label()}, PLAN) == []
    assert turns.settled == 0


def test_sketch_is_small_whatever_the_crop():
    assert sketched(np.zeros((224, 224, 3), np.uint8)).shape == (16, 16)
    assert sketched(np.zeros((8, 5, 3), np.uint8)).shape == (8, 5)

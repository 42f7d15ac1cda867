"""Where people are between the lines of a sidecar: known for what is shown, doubted for what is hidden."""

from __future__ import annotations

import pytest

from service.exports.people import BLIND_S, HIDDEN_GAP_S, HIDDEN_HOLD_S, MARGIN, People
from service.exports.sidecar import Line

BOX, FAR = (0.1, 0.1, 0.2, 0.3), (0.5, 0.1, 0.6, 0.3)


def line(at: float, *boxes: tuple[int, tuple[float, ...]], **changes: object) -> Line:
    tracks = [{"track_id": track_id, "box": list(box), "state": "confirmed"} for track_id, box in boxes]
    return Line(at, {"type": "tracks", "detected": True, "tracks": tracks, **changes})


def holds(outer: tuple[float, ...], inner: tuple[float, ...]) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def test_box_moves_from_one_sight_to_the_next():
    people = People([line(10.0, (7, BOX)), line(10.4, (7, FAR))])
    (box, told) = people.shown(10.1)[7]
    assert box == pytest.approx((0.2, 0.1, 0.3, 0.3)) and told["track_id"] == 7
    assert people.shown(10.4)[7][0] == pytest.approx(FAR)


@pytest.mark.parametrize(("at", "seen"), [(9.9, False), (10.0, True), (10.15, True), (10.3, False), (12.0, False)])
def test_box_is_shown_only_where_it_is_known(at: float, seen: bool):
    people = People([line(10.0, (7, BOX)), line(12.5, (7, FAR))])
    assert (7 in people.shown(at)) is seen


def test_what_is_hidden_is_larger_than_the_box():
    (hidden,) = People([line(10.0, (7, BOX))]).hidden(10.0, ())
    assert hidden == pytest.approx((0.1 - 0.1 * MARGIN, 0.1 - 0.2 * MARGIN, 0.2 + 0.1 * MARGIN, 0.3 + 0.2 * MARGIN))


def test_person_who_is_lost_for_a_while_is_hidden_on_the_whole_way():
    people = People([line(10.0, (7, BOX)), line(10.0 + HIDDEN_GAP_S, (7, FAR))])
    (hidden,) = people.hidden(11.0, ())
    assert holds(hidden, BOX) and holds(hidden, FAR)


def test_person_who_is_lost_for_longer_is_hidden_around_both_sights_and_not_in_between():
    people = People([line(10.0, (7, BOX)), line(20.0, (7, FAR))])
    (behind,), (before,) = people.hidden(10.0 + HIDDEN_HOLD_S, ()), people.hidden(20.0 - HIDDEN_HOLD_S, ())
    assert holds(behind, BOX) and behind[0] < 0.1 - 0.1 * MARGIN, "and the more the longer ago"
    assert holds(before, FAR)
    assert people.hidden(15.0, ()) == []


def test_who_is_kept_is_not_hidden_and_everybody_else_is():
    people = People([line(10.0, (7, BOX), (8, FAR), (9, BOX))])
    assert [round(box[0], 2) for box in people.hidden(10.0, {7, 9})] == [0.48]


def test_tentative_people_are_hidden_too():
    tentative = Line(10.0, {"type": "tracks", "tracks": [{"track_id": 3, "box": list(BOX), "state": "tentative"}]})
    assert len(People([tentative]).hidden(10.0, ())) == 1


def test_nobody_knows_who_is_in_view_where_nobody_looked():
    lines = [line(10.0, (7, BOX)), line(10.5, (7, BOX), detected=False), line(14.0)]
    people = People(lines)
    assert not people.is_blind(10.0 + BLIND_S)
    assert people.is_blind(12.0) and people.is_blind(8.9)
    assert not people.is_blind(14.0 - BLIND_S)
    assert People([]).is_blind(10.0)


def test_old_lines_that_do_not_say_whether_somebody_looked_count_as_if():
    assert not People([Line(10.0, {"type": "tracks", "tracks": []})]).is_blind(10.2)


def test_lines_that_hold_no_box_are_passed_over():
    tracks = [{"track_id": 3}, {"box": [0, 0, 1, 1]}, {"track_id": 4, "box": [1]}]
    odd = Line(10.0, {"type": "tracks", "tracks": tracks})
    assert People([odd]).shown(10.0) == {}

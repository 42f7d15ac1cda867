"""Whose clip is fetched next over all nodes, on a clock of the test's own."""

from __future__ import annotations

from collections import Counter

import pytest

from service.processes.lending.credit import FETCH_S, Credit
from service.processes.scheduler import Key


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def serve(credit: Credit, key: Key) -> None:
    assert credit.came(key)
    credit.judged(key)


def test_no_more_are_asked_for_than_there_is_room_for(clock: Clock):
    credit = Credit(2, clock)
    for track in range(5):
        credit.offer((1, track), "m", 1.0, 0.0)
        clock.now += 1
    assert credit.due() == [(1, 0), (1, 1)]
    assert (credit.due(), credit.used, credit.waiting) == ([], 2, 3)
    assert credit.came((1, 0))  # still takes its place, until its turn comes
    assert credit.due() == []
    credit.judged((1, 0))
    assert credit.due() == [(1, 2)]


def test_the_oldest_label_over_all_nodes_comes_first(clock: Clock):
    credit = Credit(1, clock)
    credit.offer((1, 7), "m", 1.0, age_s=0.5)
    credit.offer((2, 7), "m", 1.0, age_s=9.0)  # has waited longer, elsewhere
    credit.offer((3, 7), "m", 1.0, age_s=3.0)
    order = []
    for _ in range(3):
        (key,) = credit.due()
        order.append(key)
        serve(credit, key)
    assert order == [(2, 7), (3, 7), (1, 7)]


def test_a_node_with_many_people_does_not_starve_one_with_few(clock: Clock):
    credit = Credit(1, clock)
    people = [(1, track) for track in range(9)] + [(2, 0)]
    turns: Counter[Key] = Counter()
    for _ in range(100):
        for key in people:
            credit.offer(key, "m", 1.0, 0.0)  # each again as soon as it may
        (key,) = credit.due()
        turns[key] += 1
        serve(credit, key)
        clock.now += 0.1
    assert set(turns.values()) == {10}


def test_a_newer_offer_waits_until_the_clip_that_is_here_was_taken(clock: Clock):
    credit = Credit(4, clock)
    credit.offer((1, 1), "m", 1.0, 0.0)
    assert credit.due() == [(1, 1)]
    credit.offer((1, 1), "m", 1.0, 0.0)
    assert (credit.due(), credit.waiting) == ([], 1)
    assert credit.came((1, 1))
    assert credit.due() == []
    credit.judged((1, 1))
    assert credit.due() == [(1, 1)]


def test_what_does_not_come_is_counted_gives_its_place_back_and_is_refused_afterwards(clock: Clock):
    credit = Credit(1, clock)
    credit.offer((1, 1), "m", 1.0, 0.0)
    credit.offer((2, 1), "m", 1.0, 0.0)
    (slow,) = credit.due()
    clock.now = FETCH_S + 0.1
    (other,) = credit.due()
    assert {slow, other} == {(1, 1), (2, 1)}
    assert credit.lost == 1
    assert not credit.came(slow)


def test_a_node_that_is_gone_leaves_nothing_behind(clock: Clock):
    credit = Credit(2, clock)
    for track in range(3):
        credit.offer((1, track), "m", 1.0, 0.0)
    credit.offer((2, 9), "m", 1.0, 0.0)
    first, second = credit.due()
    assert credit.came(first)
    credit.offer(first, "m", 1.0, 0.0)
    credit.forget_connection(1)
    assert (credit.due(), credit.used, credit.waiting) == ([(2, 9)], 1, 0)
    assert not credit.came(second)


def test_a_clip_that_is_not_there_leaves_its_place_and_one_that_is_keeps_it(clock: Clock):
    """Who has sent a clip may say later that it has none: it was asked anew meanwhile, by its own machine."""
    credit = Credit(1, clock)
    credit.offer((1, 1), "m", 1.0, 0.0)
    credit.due()
    credit.none((1, 1))
    assert credit.used == 0
    credit.offer((1, 1), "m", 1.0, 0.0)
    credit.due()
    assert credit.came((1, 1))
    credit.none((1, 1))
    assert credit.used == 1


def test_a_track_that_is_gone_is_asked_for_no_more(clock: Clock):
    credit = Credit(1, clock)
    credit.offer((1, 1), "m", 1.0, 0.0)
    assert credit.due() == [(1, 1)]
    credit.offer((1, 1), "m", 1.0, 0.0)
    credit.forget((1, 1))
    assert (credit.due(), credit.used, credit.waiting) == ([], 0, 0)
    assert not credit.came((1, 1))

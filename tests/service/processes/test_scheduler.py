"""Turn-taking of tracks: nobody starves, one place a track, models are not mixed in a batch."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from service.processes.scheduler import ClipScheduler


def upto(limit):
    return lambda model: limit


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_take_prefers_the_track_whose_last_label_is_oldest():
    clock = Clock()
    scheduler = ClipScheduler(clock)
    for clock.now, key in enumerate([(1, 1), (2, 1), (1, 2)]):
        scheduler.offer(key, "m")
    assert scheduler.take(upto(2), 0)[1] == [(1, 1), (2, 1)]
    clock.now = 10
    scheduler.offer((1, 1), "m")
    assert scheduler.take(upto(1), 0)[1] == [(1, 2)]  # waited since 2, the others were labelled at 2


def test_track_that_has_waited_elsewhere_comes_before_one_that_has_waited_less_here():
    clock = Clock()
    scheduler = ClipScheduler(clock)
    scheduler.offer((1, 1), "m")
    clock.now = 2
    scheduler.offer((2, 1), "m", age_s=3.0)
    scheduler.offer((1, 1), "m", age_s=9.0)  # known here: what it says of itself counts no more
    assert scheduler.take(upto(2), 0)[1] == [(2, 1), (1, 1)]


def test_take_beside_takes_waiting_tracks_of_the_same_stream_and_model_only():
    clock = Clock()
    scheduler = ClipScheduler(clock)
    for clock.now, key in enumerate([(1, 1), (2, 1), (1, 2), (1, 3), (1, 4)]):
        scheduler.offer(key, "other" if key == (1, 4) else "m")
    assert scheduler.take(upto(1), 0)[1] == [(1, 1)]
    assert scheduler.take_beside((1, 1), "m", 0) == []
    assert scheduler.take_beside((1, 1), "m", 1) == [(1, 2)]
    assert scheduler.take_beside((1, 1), "m", 5) == [(1, 3)]
    assert scheduler.take(upto(8), 0) == ("m", [(2, 1)])
    assert scheduler.take(upto(8), 0) == ("other", [(1, 4)])
    assert scheduler.stats().waiting == 0


def test_second_offer_of_a_track_keeps_its_one_place():
    scheduler = ClipScheduler(Clock())
    scheduler.offer((1, 1), "m")
    scheduler.offer((1, 1), "m")
    assert scheduler.take(upto(8), 0) == ("m", [(1, 1)])
    assert scheduler.take(upto(8), 0) == ("", [])


def test_batch_holds_one_model_only():
    clock = Clock()
    scheduler = ClipScheduler(clock)
    for clock.now, (key, model) in enumerate([((1, 1), "a"), ((2, 1), "b"), ((3, 1), "a")]):
        scheduler.offer(key, model)
    assert scheduler.take(upto(8), 0) == ("a", [(1, 1), (3, 1)])
    assert scheduler.take(upto(8), 0) == ("b", [(2, 1)])


def test_forgotten_connection_has_no_offers_left():
    scheduler = ClipScheduler(Clock())
    scheduler.offer((1, 1), "m")
    scheduler.offer((2, 1), "m")
    scheduler.forget_connection(1)
    scheduler.forget((2, 1))
    assert scheduler.take(upto(8), 0) == ("", [])
    assert scheduler.stats().tracks == 0


def test_close_ends_a_waiting_take():
    scheduler = ClipScheduler()
    results = []
    thread = threading.Thread(target=lambda: results.append(scheduler.take(upto(1), timeout_s=60)))
    thread.start()
    scheduler.close()
    thread.join(5)
    assert results == [("", [])]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_every_track_that_keeps_offering_is_served_within_one_round(offers):
    clock = Clock()
    scheduler = ClipScheduler(clock)
    tracks = sorted(set(offers))
    for track in tracks:
        scheduler.offer((0, track), "m")
        clock.now += 1
    served = []
    for _ in tracks:
        keys = scheduler.take(upto(1), 0)[1]
        served += keys
        clock.now += 1
        scheduler.offer(keys[0], "m")  # at once again, as a busy track does
    assert sorted(key[1] for key in served) == tracks


def test_what_gains_most_by_the_second_comes_first_and_what_waits_long_enough_has_its_turn():
    clock = Clock()
    scheduler = ClipScheduler(clock)
    scheduler.offer((1, 1), "m", gain=0.5)  # stands still with a sure label
    served = []
    for clock.now in range(1, 40):
        scheduler.offer((1, 2), "m", gain=3.0)  # one whose label is unsure, again and again
        scheduler.offer((1, 100 + clock.now), "m", gain=8.0) if clock.now % 5 == 0 else None  # now and then a new one
        served += scheduler.take(upto(1), 0)[1]
    assert (1, 105) in served[:5]  # the newcomer at once
    assert served.index((1, 1)) > 5  # the settled one later
    assert (1, 1) in served  # but it is not starved

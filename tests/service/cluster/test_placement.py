"""Which node gets which stream."""

from service.cluster.placement import MOVES, Seat, Wanted, place
from service.storage.cluster.leases import Placement

ANY = Placement()
DRAINING = {"open": False, "draining": True}


def seats(**changes: dict) -> dict[str, Seat]:
    """Two equal nodes, ``a`` in the yard and ``b`` in the hall."""
    made = {}
    for name, site in (("a", "yard"), ("b", "hall")):
        about = {"capacity": 4, "load": 0.1, "ready": True, "open": True, **changes.get(name, {})}
        made[name] = Seat(name, site, **about)
    return made


def test_streams_go_to_the_least_loaded_node_in_turn():
    plan = place([Wanted(f"s{i}", ANY) for i in range(4)], seats(b={"load": 0.5}))
    assert plan.give == {"s0": "a", "s1": "b", "s2": "a", "s3": "b"}


def test_a_node_of_twice_the_capacity_gets_twice_the_streams():
    plan = place([Wanted(f"s{i}", ANY) for i in range(6)], seats(a={"capacity": 8}))
    assert sorted(plan.give.values()) == ["a"] * 4 + ["b"] * 2


def test_a_node_whose_networks_load_still_comes_last():
    assert place([Wanted("s", ANY)], seats(a={"ready": False})).give == {"s": "b"}


def test_site_and_pin_are_kept_to_and_what_cannot_be_is_said():
    wanted = [Wanted("s1", Placement(site="hall")), Wanted("s2", Placement(pin="a")), Wanted("s3", Placement(pin="c"))]
    plan = place(wanted, seats())
    assert plan.give == {"s1": "b", "s2": "a"}
    assert plan.unplaced == {"s3": "it wants node c, which there is not"}


def test_full_nodes_take_nothing_more_and_say_so():
    plan = place([Wanted("s", ANY)], seats(a={"capacity": 1, "open": False}, b={"capacity": 0, "open": True}))
    assert plan.unplaced == {"s": "every node that it may run on is full (b: 0 of 0)"}


def test_nothing_is_moved_to_even_out_the_load():
    assert place([Wanted(f"s{i}", ANY, node="a") for i in range(4)], seats()).move == frozenset()


def test_a_draining_node_is_left_a_few_streams_at_a_time():
    streams = [Wanted(f"s{i}", ANY, node="a") for i in range(MOVES + 3)]
    plan = place(streams, seats(a={**DRAINING, "capacity": 20}, b={"capacity": 20}))
    assert len(plan.move) == MOVES
    leaving = [Wanted(each.stream_id, ANY, "a", leaving=each.stream_id in plan.move) for each in streams]
    assert place(leaving, seats(a={**DRAINING, "capacity": 20}, b={"capacity": 20})).move == frozenset()


def test_a_stream_stays_on_a_draining_node_where_no_other_takes_it():
    plan = place([Wanted("s", Placement(pin="a"), node="a")], seats(a=DRAINING))
    assert (plan.give, plan.move, plan.unplaced) == ({}, frozenset(), {})


def test_room_is_kept_for_streams_on_their_way():
    streams = [Wanted("old", ANY, node="a"), Wanted("new", ANY)]
    plan = place(streams, seats(a=DRAINING, b={"capacity": 1}))
    assert plan.move == {"old"} and "new" in plan.unplaced


def test_a_stream_that_was_pinned_elsewhere_moves():
    assert place([Wanted("s", Placement(pin="b"), node="a")], seats()).move == {"s"}


def test_a_node_that_cannot_be_reached_gets_nothing_more_and_keeps_what_it_has():
    plan = place([Wanted("old", ANY, node="a"), Wanted("new", ANY)], seats(a={"open": False}))
    assert (plan.move, plan.give) == (frozenset(), {"new": "b"})

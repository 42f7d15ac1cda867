"""Who has to go where too many come who have not shown the token."""

from __future__ import annotations

from functools import partial

from service.processes.lending.strangers import Strangers


def crowd(most: int, most_of_address: int, addresses: str) -> tuple[Strangers, list[int]]:
    """→ after one came from each address in turn: the strangers, and which of them had to go."""
    ended: list[int] = []
    strangers = Strangers(most, most_of_address)
    for number, address in enumerate(addresses):
        strangers.add(number, address, partial(ended.append, number))
    return strangers, ended


def test_the_oldest_of_the_same_address_goes_first():
    strangers, ended = crowd(10, 2, "abaaa")
    assert (ended, len(strangers)) == ([0, 2], 3)


def test_where_all_come_from_elsewhere_the_oldest_goes():
    strangers, ended = crowd(3, 2, "abcde")
    assert (ended, len(strangers)) == ([0, 1], 3)


def test_who_has_shown_the_token_is_no_stranger_any_more():
    strangers, ended = crowd(2, 2, "ab")
    assert strangers.remove(0)
    strangers.add(9, "c", lambda: ended.append(9))
    assert (ended, len(strangers)) == ([], 2)


def test_who_was_crowded_out_is_told_so():
    strangers, ended = crowd(1, 1, "ab")
    assert (ended, strangers.remove(0), strangers.remove(1)) == ([0], False, True)

"""What grants come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.grants import administers, check_grants, needs_groups, visible_of
from service.errors_base import InvalidRequest
from service.rights import ALL, Grant, Role

A, B, C = (f"str_{digit * 16}" for digit in "abc")
NOW = 1_777_000_000.0
GROUPS = {"yard": frozenset({A, B}), "*": frozenset({A, B, C})}


def test_grant_of_everything_is_a_role_on_all_and_sees_all():
    assert visible_of([Grant(Role.OPERATOR)], {}) == (Role.OPERATOR, {}, ALL)


def test_nothing_granted_is_nothing_seen():
    role, roles, visible = visible_of([], GROUPS)
    assert (role, roles, visible.streams) == (None, {}, {})
    assert not visible.sees(A)


def test_group_is_its_streams_and_an_unknown_one_is_none():
    role, roles, visible = visible_of([Grant(Role.VIEWER, "group:yard"), Grant(Role.ADMIN, "group:gone")], GROUPS)
    assert (role, roles) == (None, {A: Role.VIEWER, B: Role.VIEWER})
    assert visible.sees(A) and not visible.sees(C)


def test_highest_role_and_longest_history_of_several_grants_count():
    grants = [Grant(Role.VIEWER, A, 100.0), Grant(Role.OPERATOR, "group:yard", 50.0), Grant(Role.VIEWER, B)]
    for order in (grants, grants[::-1]):
        _, roles, visible = visible_of(order, GROUPS)
        assert roles == {A: Role.OPERATOR, B: Role.OPERATOR}
        assert visible.streams == {A: 50.0, B: None}
        assert visible.sees(A, 50.0) and not visible.sees(A, 49.9)


def test_history_of_everything_that_has_a_beginning_is_spelt_out_over_the_streams():
    role, roles, visible = visible_of([Grant(Role.VIEWER, "*", 100.0), Grant(Role.VIEWER, C)], GROUPS)
    assert (role, roles) == (Role.VIEWER, {C: Role.VIEWER})
    assert visible.streams == {A: 100.0, B: 100.0, C: None}
    assert visible_of([Grant(Role.VIEWER, "*", 100.0), Grant(Role.VIEWER)], GROUPS)[2] == ALL


def test_groups_are_asked_for_only_where_a_grant_needs_them():
    assert not needs_groups([Grant(Role.ADMIN), Grant(Role.VIEWER, A, 5.0)])
    assert needs_groups([Grant(Role.VIEWER, "group:yard")])
    assert needs_groups([Grant(Role.VIEWER, "*", 5.0)])


@pytest.mark.parametrize(
    "grants",
    [
        (),
        (Grant(Role.VIEWER, "everything"),),
        (Grant(Role.VIEWER, "group:"),),
        (Grant(Role.VIEWER, "group:a\nb"),),
        (Grant(Role.VIEWER, A.upper()),),
        (Grant(Role.ADMIN, A),),
        (Grant(Role.ADMIN, "*", 5.0),),
        (Grant(Role.VIEWER),) * 1001,
        (Grant(Role.VIEWER, A, NOW + 301),),
    ],
)
def test_grants_that_mean_nothing_are_refused(grants):
    with pytest.raises(InvalidRequest, match="grants"):
        check_grants(grants, NOW)


def test_history_may_begin_now_by_a_clock_that_is_a_little_ahead():
    grants = (Grant(Role.VIEWER, A, NOW + 299),)
    assert check_grants(grants, NOW) == grants


def test_only_an_admin_of_everything_administers():
    assert administers([Grant(Role.VIEWER, A), Grant(Role.ADMIN)])
    assert not administers([Grant(Role.OPERATOR)])


_GRANTS = st.lists(
    st.builds(
        Grant,
        st.sampled_from(Role),
        st.sampled_from(["*", A, B, C, "group:yard", "group:gone"]),
        st.none() | st.sampled_from([1.0, 2.0]),
    ),
    max_size=5,
)


@given(grants=_GRANTS, more=_GRANTS)
def test_more_grants_never_show_less(grants, more):
    less, all_of_it = visible_of(grants, GROUPS)[2], visible_of([*grants, *more], GROUPS)[2]
    for stream in (A, B, C):
        for at in (None, 0.5, 1.5, 2.5):
            assert all_of_it.sees(stream, at) or not less.sees(stream, at)

"""Events by tenth of their confidence: added, and counted from a threshold on."""

import pytest

from service.versions.tally import added, reaching, tenth_of


def tenths(**counts: int) -> tuple[int, ...]:
    """``t7=3``: three events of 0.7 to 0.8."""
    return tuple(counts.get(f"t{index}", 0) for index in range(10))


def test_confidence_has_its_tenth():
    assert [tenth_of(each) for each in (0.0, 0.69, 0.7, 0.999, 1.0, 1.2, -0.1)] == [0, 6, 7, 9, 9, 9, 0]


def test_counts_are_added_by_action_and_tenth():
    one, other = {"a": tenths(t5=1), "b": tenths(t9=2)}, {"a": tenths(t5=2, t6=1)}
    assert added(one, other) == {"a": tenths(t5=3, t6=1), "b": tenths(t9=2)}


@pytest.mark.parametrize(
    ("least", "count"),
    [(None, 13), ({"a": 0.8}, 4), ({"a": 0.75}, 6.5), ({"a": 0.8, "b": 0.5}, 8), ({"c": 0.1}, 0), ({}, 0)],
)
def test_events_are_counted_from_a_threshold_on(least: dict[str, float] | None, count: float):
    counts = {"a": tenths(t7=5, t9=4), "b": tenths(t9=4)}
    assert reaching(counts, least) == pytest.approx(count)

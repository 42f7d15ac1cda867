"""How soon a lost camera is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.options import Backoff


def outage(backoff: Backoff, length_s: float, chance: float) -> tuple[int, float]:
    """Attempts made in an outage in which each attempt fails at once. → (attempts, the longest wait)."""
    now_s, attempt, longest_s = 0.0, 0, 0.0
    while now_s < length_s:
        wait_s = backoff.delay_s(attempt, now_s, chance)
        now_s, attempt, longest_s = now_s + wait_s, attempt + 1, max(longest_s, wait_s)
    return attempt, longest_s


def test_waits_double_from_half_a_second() -> None:
    backoff = Backoff()
    assert [backoff.delay_s(n, 0.0, chance=0.0) for n in range(4)] == [0.5, 1.0, 1.0, 1.0]
    assert [backoff.delay_s(n, 3600.0, chance=0.0) for n in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


@given(st.floats(0, 1))
def test_server_back_within_half_a_minute_is_found_within_two_seconds(chance: float) -> None:
    assert outage(Backoff(), 30.0, chance)[1] <= 2.0


def test_long_outage_costs_few_attempts() -> None:
    attempts, longest_s = outage(Backoff(), 24 * 3600.0, chance=0.0)
    assert longest_s == 30.0
    assert attempts < 24 * 3600 / 30 + 100


@given(st.integers(0, 10_000), st.floats(0, 1e9), st.floats(0, 1))
def test_every_wait_lies_between_half_a_second_and_thirty(attempt: int, outage_s: float, chance: float) -> None:
    assert 0.5 <= Backoff().delay_s(attempt, outage_s, chance) <= 30.0


def test_jitter_spreads_the_waits() -> None:
    waits = {round(Backoff().delay_s(9, 3600.0), 6) for _ in range(20)}
    assert len(waits) > 10
    assert min(waits) >= 22.5


@pytest.mark.parametrize("wrong", [{"first_s": 0.0}, {"first_s": 3.0}, {"jitter": 1.0}, {"ceiling_s": 0.9}])
def test_senseless_values_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Backoff(**wrong)

"""How often wrong passwords may come, on a clock of the test's own."""

import pytest

from service.access.login_limits import MAX_KEPT, LoginLimits
from service.errors_base import TooManyTries


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> LoginLimits:
    return LoginLimits(clock)


def fail(limits: LoginLimits, account: str = "anna", address: str = "192.0.2.1", times: int = 1) -> int:
    """→ how many of these tries were turned away."""
    refused = 0
    for _ in range(times):
        try:
            limits.begin(account, address)
        except TooManyTries:
            refused += 1
    return refused


def test_sixth_failure_of_a_minute_waits_for_its_end(limits: LoginLimits, clock: Clock):
    assert fail(limits, times=5) == 0
    clock.now += 20
    with pytest.raises(TooManyTries) as refused:
        limits.begin("anna", "192.0.2.1")
    assert refused.value.retry_after_s == 40
    clock.now += 40
    limits.begin("anna", "192.0.2.1")


def test_twentieth_failure_is_the_last_of_an_hour(limits: LoginLimits, clock: Clock):
    began = clock.now
    for _ in range(4):
        assert fail(limits, times=5) == 0
        clock.now += 60
    with pytest.raises(TooManyTries) as refused:
        limits.begin("anna", "192.0.2.1")
    assert refused.value.retry_after_s == began + 3600 - clock.now
    clock.now = began + 3600
    limits.begin("anna", "192.0.2.1")


def test_thousand_failures_of_one_address_lock_nobody_else(limits: LoginLimits, clock: Clock):
    refused = 0
    for _ in range(1000):
        refused += fail(limits, address="203.0.113.9")
        clock.now += 3
    assert refused >= 980
    limits.begin("anna", "192.0.2.1")
    assert fail(limits, "bert", "203.0.113.9") == 1


def test_many_addresses_fill_the_bucket_of_an_account(limits: LoginLimits):
    assert fail(limits, address="203.0.113.1", times=5) == 0  # two of which count for the account
    assert fail(limits, address="203.0.113.2", times=2) == 0
    assert fail(limits, address="203.0.113.3") == 0
    assert fail(limits, address="203.0.113.4") == 1
    assert fail(limits, "bert", "203.0.113.4") == 0


def test_address_that_logged_in_before_is_not_held_by_the_accounts_bucket(limits: LoginLimits):
    limits.succeeded("anna", "192.0.2.1", limits.begin("anna", "192.0.2.1"))
    for last in range(1, 9):
        fail(limits, address=f"203.0.113.{last}", times=2)
    assert fail(limits, address="203.0.113.99") == 1
    assert fail(limits, address="192.0.2.1", times=5) == 0
    assert fail(limits, address="192.0.2.1") == 1


def test_success_counts_for_nothing_and_forgives_nothing(limits: LoginLimits):
    fail(limits, "mallory", "192.0.2.1", times=4)
    for _ in range(10):
        limits.succeeded("mallory", "192.0.2.1", limits.begin("mallory", "192.0.2.1"))
    assert fail(limits, "anna", "192.0.2.1") == 0
    assert fail(limits, "anna", "192.0.2.1") == 1


def test_owners_success_takes_back_no_failure_of_others(limits: LoginLimits):
    limits.succeeded("anna", "192.0.2.1", limits.begin("anna", "192.0.2.1"))
    for last in range(1, 4):
        fail(limits, address=f"203.0.113.{last}", times=2)
    for _ in range(10):
        limits.succeeded("anna", "192.0.2.1", limits.begin("anna", "192.0.2.1"))
    assert fail(limits, address="203.0.113.99") == 1


def test_addresses_of_one_ipv6_network_are_one(limits: LoginLimits):
    for last in range(5):
        assert fail(limits, address=f"2001:db8::{last}:1") == 0
    assert fail(limits, address="2001:db8::ffff") == 1
    assert fail(limits, address="2001:db8:0:1::1") == 0


def test_memory_is_bounded_and_what_is_forgotten_is_counted(clock: Clock):
    limits = LoginLimits(clock, most=30)
    for number in range(1000):
        fail(limits, f"user{number}", f"10.0.{number // 250}.{number % 250}")
    assert len(limits._failures) == 30
    assert limits.forgotten > 900
    assert MAX_KEPT == 20_000

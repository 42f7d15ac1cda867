"""Until when a machine may run what it has."""

from service.cluster.agent.deadlines import MARGIN_S, Deadlines
from service.storage.cluster.leases import TTL_S


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_counts_from_when_the_renewal_was_sent_not_from_its_answer():
    clock = Clock()
    deadlines = Deadlines(clock)
    clock.now = 103.0  # the answer took three seconds
    deadlines.extend([("s", 1)], sent_s=100.0)
    clock.now = 100.0 + TTL_S - MARGIN_S - 0.01
    assert deadlines.live("s", 1) and deadlines.overdue() == []
    clock.now += 0.02
    assert not deadlines.live("s", 1) and deadlines.overdue() == [("s", 1)]


def test_another_epoch_and_a_stream_never_confirmed_may_say_nothing():
    deadlines = Deadlines(Clock())
    deadlines.extend([("s", 2)], sent_s=100.0)
    assert not deadlines.live("s", 1) and not deadlines.live("other", 1) and deadlines.live("s", 2)


def test_what_ended_is_not_overdue():
    deadlines = Deadlines(Clock())
    deadlines.extend([("s", 2)], sent_s=0.0)
    deadlines.end("s")
    assert deadlines.overdue() == []

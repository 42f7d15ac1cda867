"""What a broker should hold and what it holds: the publishes between."""

from hypothesis import given
from hypothesis import strategies as st

from service.sinks.mqtt_retained import NODE, RetainedTopics
from service.sinks.mqtt_state import Retained


def empty() -> tuple[RetainedTopics, dict[str, bytes]]:
    return RetainedTopics(), {}


def settle(retained: RetainedTopics, broker: dict[str, bytes], now: float) -> list[str]:
    """Sends all that is due. → topics, in order."""
    sent = retained.due(now)
    retained.known.update(retained.unknown_rows(sent))
    for publish in sent:
        if publish.payload:
            broker[publish.topic] = publish.payload
        else:
            broker.pop(publish.topic, None)
        retained.done(publish, now)
    return [publish.topic for publish in sent]


def test_only_what_differs_is_sent():
    retained, broker = empty()
    retained.want("a", {"t/1": Retained(b"1"), "t/2": Retained(b"2")})
    assert settle(retained, broker, 0) == ["t/1", "t/2"]
    retained.want("a", {"t/1": Retained(b"1"), "t/2": Retained(b"3")})
    assert settle(retained, broker, 0) == ["t/2"]
    assert settle(retained, broker, 0) == [] and broker == {"t/1": b"1", "t/2": b"3"}


def test_devices_come_before_their_state_and_availability_last():
    retained = RetainedTopics()
    retained.want(NODE, {"available": Retained(b"online", order=3), "node": Retained(b"{}", order=0)})
    retained.want("a", {"state": Retained(b"1"), "device": Retained(b"{}", order=1)})
    assert settle(retained, {}, 0) == ["node", "device", "state", "available"]


def test_a_count_waits_for_its_second_and_the_newest_wins():
    retained, broker = empty()
    for at, people in ((0.0, b"1"), (0.2, b"2"), (0.4, b"3")):
        retained.want("a", {"people": Retained(people, period_s=1.0)})
        settle(retained, broker, at)
    assert broker == {"people": b"1"} and retained.next_due() == 1.0 and retained.superseded == 1
    assert settle(retained, broker, 1.0) == ["people"] and broker == {"people": b"3"}
    assert retained.next_due() is None


def test_what_is_not_known_yet_is_left_as_it_is():
    retained = RetainedTopics({"people": "a"})
    retained.want("a", {"people": Retained(None)})
    retained.send_all()
    assert retained.due(0) == []


def test_after_a_crash_what_nobody_wants_any_more_is_cleared():
    retained = RetainedTopics({"old/1": "gone", "old/1#sensor/x": "gone", "t/1": "a"})
    broker = {"old/1": b"x"}
    retained.want("a", {"t/1": Retained(b"1")})
    retained.send_all()
    assert settle(retained, broker, 0) == ["old/1", "t/1"]
    assert broker == {"t/1": b"1"} and retained.known == {"t/1": "a"}


def test_a_stream_that_goes_takes_its_topics_along():
    retained, broker = empty()
    retained.want("a", {"t/1": Retained(b"1")})
    retained.want("b", {"t/2": Retained(b"2")})
    settle(retained, broker, 0)
    retained.keep_only(["b"])
    assert settle(retained, broker, 0) == ["t/1"] and broker == {"t/2": b"2"}


def test_after_the_farewell_nothing_is_wanted_again():
    retained, broker = empty()
    retained.want("a", {"t/1": Retained(b"1")})
    settle(retained, broker, 0)
    retained.close()
    retained.want("a", {"t/1": Retained(b"1")})
    assert settle(retained, broker, 0) == ["t/1"] and broker == {} and retained.known == {}


def test_a_topic_is_remembered_with_its_rows_before_it_is_sent():
    retained = RetainedTopics()
    retained.want("a", {"config": Retained(b"{}", rows=("config#sensor/people",))})
    assert retained.unknown_rows(retained.due(0)) == {"config": "a", "config#sensor/people": "a"}


def test_what_somebody_else_wrote_over_is_sent_again():
    retained, broker = empty()
    retained.want("a", {"t": Retained(b"online")})
    settle(retained, broker, 0)
    broker["t"] = b"offline"
    retained.send_again("t")
    retained.send_again("unknown")
    settle(retained, broker, 0)
    assert broker == {"t": b"online"}


TOPICS = st.dictionaries(st.sampled_from("wxyz"), st.sampled_from("12"))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("want"), st.sampled_from("ab"), TOPICS),
        st.tuples(st.just("keep"), st.sampled_from(["", "a", "b", "ab"]), st.just({})),
        st.tuples(st.just("send"), st.just(""), st.just({})),
        st.tuples(st.just("lost"), st.just(""), st.just({})),  # the broker lost everything
        st.tuples(st.just("crash"), st.just(""), st.just({})),  # we did
    ),
    max_size=30,
)


@given(STEPS)
def test_whatever_happens_the_broker_ends_with_what_is_wanted(steps):
    retained, broker = empty()
    wanted: dict[str, dict[str, Retained]] = {}
    now = 0.0
    for step, groups, topics in steps:
        now += 1.0
        if step == "want":
            named = {f"{groups}/{topic}": Retained(payload.encode(), 0.5) for topic, payload in topics.items()}
            wanted[groups] = named
            retained.want(groups, named)
        elif step == "keep":
            wanted = {group: named for group, named in wanted.items() if group in groups}
            retained.keep_only(groups)
        elif step == "send":
            settle(retained, broker, now)
        elif step == "lost":
            broker.clear()
            retained.send_all()
        else:
            retained = RetainedTopics(retained.known)
            for group, named in wanted.items():
                retained.want(group, named)
            retained.send_all()
    settle(retained, broker, now + 1)
    assert broker == {topic: each.payload for named in wanted.values() for topic, each in named.items()}
    assert retained.known.keys() == broker.keys()
    assert retained.due(now + 2) == [] and retained.next_due() is None


def test_rows_that_a_message_names_no_longer_are_forgotten():
    retained = RetainedTopics({"config": "a", "config#sensor/old": "a", "config#sensor/kept": "a"})
    retained.want("a", {"config": Retained(b"{}", rows=("config#sensor/kept",))})
    (publish,) = retained.due(0)
    assert retained.done(publish, 0) == ["config#sensor/old"]
    assert retained.known.keys() == {"config", "config#sensor/kept"}

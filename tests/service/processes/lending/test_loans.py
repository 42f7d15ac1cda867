"""A stream of a node that cannot classify its clips has them classified by another: over real connections, without
networks. Whatever happens to the other one, the stream goes on with what its own machine gives.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.budget.plan import StreamLoad, Tier
from service.processes.inference_client import InferenceClient
from service.processes.inference_messages import (
    ClipOffer,
    ClipWanted,
    DetectRequest,
    Hello,
    LoadReport,
    ModelProblem,
    NoClip,
    ScoresAnswer,
    Welcome,
)
from service.processes.lending import borrower, loan
from service.processes.lending import lender as lending
from service.processes.lending.clip_jpeg import pack_clip
from service.processes.lending.door import enter
from service.processes.lending.loan_messages import LentClip
from service.processes.messages import MessageChannel
from service.processes.nodes import Borrow, Lender
from service.processes.scheduler import Key
from service.processes.version_messages import ShadowNetworks
from tests.service.processes.lending.nodes import SHAPE, TOKEN, NodeInProcess, answer, clip
from tests.support.service import collect, wait_for

Make = Callable[..., NodeInProcess]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[NodeInProcess] = []

    def node(name: str, networks: tuple[str, ...], **lending: Any) -> NodeInProcess:
        made.append(NodeInProcess(tmp_path / name, name, networks, **lending))
        return made[-1]

    yield node
    for each in reversed(made):
        each.close()


@pytest.fixture
def lender(make: Make) -> NodeInProcess:
    return make("gpu-1", ("full",), host="127.0.0.1")


@pytest.fixture
def yard(make: Make, lender: NodeInProcess) -> NodeInProcess:
    """Has the lighter network alone, and knows who lends."""
    node = make("yard-1", ("light",), borrow=Borrow.AUTO)
    node.server.loans.use((lender.lender,))
    return node


def lent(node: NodeInProcess, client: InferenceClient) -> bool:
    return bool(node.until(lambda: client.plan().reason.startswith("classified on"), "the stream has a loan"))


def test_labels_come_from_the_other_node_where_a_local_answer_would(yard: NodeInProcess, lender: NodeInProcess):
    stream = yard.stream()
    lent(yard, stream)
    assert stream.plan().reason.startswith("classified on gpu-1; here: ")
    assert stream.plan().tier is Tier.FULL
    assert (stream.plan().hop_s, stream.plan().settled_hop_s) == (0.64, 0.64)
    stream.submit(clip(3, 204, "full", end_s=7.5))
    scores = answer(stream, yard)
    assert (scores.track_id, scores.end_s, scores.model, scores.labels) == (3, 7.5, "full", ("standing", "walking"))
    assert scores.probabilities[1] == pytest.approx(0.8, abs=0.01)
    assert [model for model, _ in lender.engine.judged] == ["full"]
    assert yard.engine.judged == []
    assert (yard.count("borrowed_clips_total"), yard.count("loans_taken")) == (1, 1)
    assert (lender.count("lent_clips_total"), lender.count("loans_given")) == (1, 1)
    assert 0 < yard.count("borrowed_bytes_total") == lender.count("lent_bytes_total")


def test_version_that_is_tried_sees_lent_clips_as_well(yard: NodeInProcess, lender: NodeInProcess):
    lender.engine.there.add("full@2")
    for node in (yard, lender):  # as the pointers say everywhere
        node.server.try_beside(ShadowNetworks({"full": "full@2"}))
    stream = yard.stream()
    lent(yard, stream)
    stream.submit(clip(3, 204, "full"))
    ((told, tried),) = collect(stream.take_judged, 1, 10, "what the version that is tried says")
    assert (told.model, tried.model, told.track_id, tried.track_id) == ("full", "full@2", 3, 3)
    assert told.probabilities[1] == pytest.approx(0.8, abs=0.01)
    assert tried.probabilities[1] == pytest.approx(0.2, abs=0.01)
    assert (yard.count("borrowed_shadow_clips_total"), lender.count("shadow_clips_total")) == (1, 1)


def test_version_that_only_the_lender_tries_is_compared_with_nothing(yard: NodeInProcess, lender: NodeInProcess):
    lender.engine.there.add("full@3")
    lender.server.try_beside(ShadowNetworks({"full": "full@3"}))
    stream = yard.stream()
    lent(yard, stream)
    stream.submit(clip(3, 204, "full"))
    assert answer(stream, yard).model == "full"
    wait_for(lambda: lender.count("shadow_clips_total") == 1, 5, "the lender has tried it")
    assert lent(yard, stream)  # the loan goes on
    assert (stream.take_judged(), yard.count("borrowed_shadow_clips_total")) == ([], 0)


def test_lender_that_dies_leaves_the_stream_to_its_own_machine(yard: NodeInProcess, lender: NodeInProcess):
    stream = yard.stream()
    lent(yard, stream)
    gate = threading.Event()
    lender.engine.hold = lambda: gate.wait(20)
    stream.submit(clip(1, 100, "full"))
    wait_for(lambda: lender.count("lent_clips_total") == 1, 5, "its clip is there")
    stream.submit(clip(2, 100, "full"))
    lender.server.close()
    yard.until(lambda: stream.plan().tier is Tier.LIGHT, "the own machine's plan counts")
    gate.set()
    assert yard.count("borrowed_clips_dropped_total:lost") >= 1
    assert yard.count("loans_ended_total") == 1
    stream.submit(clip(1, 51, "light", end_s=2.0))
    assert (answer(stream, yard).model, yard.engine.judged) == ("light", [("light", 51.0)])


def test_stream_comes_back_to_a_lender_after_a_while(
    yard: NodeInProcess, lender: NodeInProcess, make: Make, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(borrower, "RETRY_S", 0.3)
    stream = yard.stream()
    lent(yard, stream)
    lender.server.close()
    yard.until(lambda: stream.plan().tier is Tier.LIGHT, "the loan is over")
    again = make("gpu-2", ("full",), host="127.0.0.1")
    yard.server.loans.use((lender.lender, again.lender))
    lent(yard, stream)
    stream.submit(clip(1, 100, "full"))
    assert answer(stream, yard).model == "full"
    assert len(again.engine.judged) == 1


def test_lender_that_is_to_be_free_of_work_is_left(yard: NodeInProcess, lender: NodeInProcess):
    stream = yard.stream()
    lent(yard, stream)
    yard.server.loans.use(())
    yard.until(lambda: stream.plan().tier is Tier.LIGHT, "the loan is over")
    wait_for(lambda: not lender.server._connections, 5, "nothing is left at the lender")


def test_node_that_is_gone_frees_what_it_held(yard: NodeInProcess, lender: NodeInProcess):
    gate = threading.Event()
    lender.engine.hold = lambda: gate.wait(20)
    stream = yard.stream()
    lent(yard, stream)
    for track in range(6):
        stream.submit(clip(track, 100, "full"))
    wait_for(lambda: lender.server._lending._credit.used >= 2, 5, "clips are there")
    yard.server.close()
    wait_for(lambda: not lender.server._connections, 5, "its connection is gone")
    gate.set()
    credit = lender.server._lending._credit
    wait_for(lambda: (credit.used, credit.waiting) == (0, 0), 5, "their places are free")
    assert lender.count("loans_given") == 0


def test_borrower_that_is_stopped_has_its_room_given_to_others(
    yard: NodeInProcess, lender: NodeInProcess, monkeypatch: pytest.MonkeyPatch
):
    """Its machine answers for it (SIGSTOP), so that the connection stays: as a channel on which nothing is said."""
    monkeypatch.setattr(lending, "SILENT_S", 1.0)
    stopped = MessageChannel(enter(lender.lender.address, TOKEN))
    stopped.send(Hello("yard-0/str_1", "full"))
    assert isinstance(stopped.receive(), Welcome)
    stopped.send(LoadReport(StreamLoad(0.0, 10.0)))
    assert stopped.receive().granted
    lender.engine.clip_s = 0.04  # there is room for this one stream
    stream = yard.stream()
    lender.until(lambda: lender.count("loans_silent_total") == 1, "its connection is ended")
    assert ended(stopped)
    wait_for(lambda: len(lender.server._connections) <= 1, 5, "nothing of it is left")
    lent(yard, stream)
    stopped.close()


def test_borrower_for_whom_a_network_is_loaded_is_not_silent(
    lender: NodeInProcess, monkeypatch: pytest.MonkeyPatch, channel: MessageChannel
):
    monkeypatch.setattr(lending, "SILENT_S", 0.5)
    gate, load = threading.Event(), lender.engine.classifier

    def slowly(name: str) -> Any:
        gate.wait(20)
        return load(name)

    monkeypatch.setattr(lender.engine, "classifier", slowly)
    channel.send(Hello("yard-0/str_1", "full"))
    wait_for(lambda: any(each.heard_s == math.inf for each in lender.server._connections.values()), 5, "it is loaded")  # type: ignore[attr-defined]
    time.sleep(1.0)
    lender.server.tick()
    gate.set()
    assert isinstance(channel.receive(), Welcome)


def test_lender_without_room_says_so_and_another_is_asked(yard: NodeInProcess, lender: NodeInProcess, make: Make):
    lender.engine.clip_s = 3.0
    stream = yard.stream()
    yard.until(lambda: yard.count("loans_ended_total") == 1, "it was refused")
    assert stream.plan().tier is Tier.LIGHT
    other = make("gpu-2", ("full",), host="127.0.0.1")
    yard.server.loans.use((lender.lender, other.lender))
    lent(yard, stream)
    assert "gpu-2" in stream.plan().reason


@pytest.mark.parametrize("fault", ["no such network", "other labels"])
def test_lender_that_cannot_give_these_labels_is_not_used(
    fault: str, yard: NodeInProcess, lender: NodeInProcess, make: Make
):
    if fault == "other labels":
        lender.engine.labels = ("walking", "standing")
    else:
        lender.engine.there = {"another"}
    stream = yard.stream()
    yard.until(lambda: yard.count("loans_ended_total") == 1, "it was not taken")
    assert stream.plan().tier is Tier.LIGHT
    stream.submit(clip(1, 51, "light"))
    assert answer(stream, yard).model == "light"


def test_lender_that_hangs_is_given_up(yard: NodeInProcess, lender: NodeInProcess, monkeypatch: pytest.MonkeyPatch):
    """It answers reports, and never a clip."""
    monkeypatch.setattr(loan, "GIVE_UP_S", 0.5)
    gate = threading.Event()
    lender.engine.hold = lambda: gate.wait(20)
    stream = yard.stream()
    lent(yard, stream)
    stream.submit(clip(1, 100, "full"))
    yard.until(lambda: stream.plan().tier is Tier.LIGHT, "the loan is over")
    assert yard.count("borrowed_clips_dropped_total:lost") == 1
    gate.set()


def test_lender_that_is_silent_is_given_up(yard: NodeInProcess, lender: NodeInProcess, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loan, "SILENT_S", 1.5)
    stream = yard.stream()
    lent(yard, stream)
    gate = threading.Event()
    monkeypatch.setattr(lender.server._lending, "_terms", lambda *_: gate.wait(30))
    yard.until(lambda: stream.plan().tier is Tier.LIGHT, "the loan is over", 15)
    assert yard.count("loans_ended_total") == 1
    gate.set()


def test_answer_to_a_clip_that_was_overtaken_is_refused(yard: NodeInProcess, lender: NodeInProcess):
    """The stream was asked for a newer clip meanwhile, so that its answer would be taken for that one's."""
    gate = threading.Event()
    lender.engine.hold = lambda: gate.wait(20)
    stream = yard.stream()
    lent(yard, stream)
    stream.submit(clip(1, 255, "full"))
    wait_for(lambda: lender.count("lent_clips_total") == 1, 5, "its clip is there")
    (connection,) = yard.server._connections.values()
    connection.next_request(1)
    gate.set()
    wait_for(lambda: yard.count("borrowed_clips_dropped_total:outdated") == 1, 5, "its answer is refused")
    assert stream.take() == []


def test_each_answer_is_that_of_its_own_clip_whatever_is_asked_for_meanwhile(
    yard: NodeInProcess, lender: NodeInProcess, monkeypatch: pytest.MonkeyPatch
):
    credit, refused, gate = lender.server._lending._credit, threading.Event(), threading.Event()
    none = credit.none

    def there_is_none(key: Key) -> None:
        none(key)
        refused.set()

    monkeypatch.setattr(credit, "none", there_is_none)
    lender.engine.hold = lambda: gate.wait(20)
    stream = yard.stream()
    lent(yard, stream)
    stream.submit(clip(1, 51, "full", end_s=1.0))
    wait_for(lambda: lender.count("lent_clips_total") == 1, 5, "its clip is there")
    stream.submit(clip(1, 204, "full", end_s=2.0))
    wait_for(lambda: credit.waiting == 1, 5, "the next one is offered")
    (there,) = lender.server._connections.values()
    there.want(1)  # type: ignore[attr-defined]  # though the first was not answered for
    assert refused.wait(10), "there is none while the first is on its way"
    gate.set()
    answers = collect(stream.take, 2, 10, "both answers")
    assert [(each.end_s, round(float(each.probabilities[1]), 1)) for each in answers] == [(1.0, 0.2), (2.0, 0.8)]


def test_offers_that_were_not_asked_for_go_on_here_when_the_loan_ends(
    make: Make, lender: NodeInProcess, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lender.server._lending, "_window", lambda: 0)
    node = make("capable", ("light", "full"), borrow=Borrow.ALWAYS)
    node.server.loans.use((lender.lender,))
    stream = node.stream()
    lent(node, stream)
    stream.submit(clip(1, 51, "full"))
    wait_for(lambda: lender.server._lending._credit.waiting == 1, 5, "it waits there")
    node.server.loans.use(())
    assert answer(stream, node).model == "full"
    assert node.engine.judged == [("full", 51.0)]


@pytest.mark.parametrize("borrow", [Borrow.NEVER, Borrow.AUTO])
def test_who_need_not_or_may_not_borrow_classifies_by_itself(borrow: Borrow, make: Make, lender: NodeInProcess):
    node = make("capable", ("light", "full"), borrow=borrow)
    node.server.loans.use((lender.lender,))
    node.engine.measure_clip("full")
    stream = node.stream()
    for _ in range(3):
        node.server.tick()
    stream.submit(clip(1, 51, "full"))
    assert answer(stream, node).model == "full"
    assert (lender.engine.judged, len(node.engine.judged)) == ([], 1)
    assert not lender.server._connections


def test_node_that_nobody_could_reach_lends_nothing_and_goes_on(make: Make):
    node = make("lost", ("light",), host="203.0.113.7")
    assert node.server.lends_at == ""
    stream = node.stream()
    stream.submit(clip(1, 51, "light"))
    assert answer(stream, node).model == "light"


def test_who_always_borrows_does_so_though_it_could(make: Make, lender: NodeInProcess):
    node = make("capable", ("light", "full"), borrow=Borrow.ALWAYS)
    node.server.loans.use((lender.lender,))
    stream = node.stream()
    lent(node, stream)
    stream.submit(clip(1, 51, "full"))
    assert answer(stream, node).model == "full"
    assert (node.engine.judged, len(lender.engine.judged)) == ([], 1)


def test_own_and_others_people_have_their_turns_alike(yard: NodeInProcess, lender: NodeInProcess):
    own, other = lender.stream("full", ""), yard.stream()
    lent(yard, other)
    for track in range(3):
        own.submit(clip(track, 10, "full"))
        other.submit(clip(track, 20, "full"))
    wait_for(lambda: len(lender.engine.judged) == 6, 10, "all are judged")
    assert [round(value, -1) for _, value in lender.engine.judged].count(20) == 3
    wait_for(lambda: own.take() or None, 5, "own answers")
    answer(other, yard)


def test_person_who_has_left_is_forgotten_on_both_sides(yard: NodeInProcess, lender: NodeInProcess):
    stream = yard.stream()
    lent(yard, stream)
    stream.submit(clip(1, 100, "full"))
    answer(stream, yard)
    (there,) = lender.server._connections.values()
    (borrowed,) = yard.server.loans._borrowed.values()  # type: ignore[attr-defined]
    assert (list(there.offered), list(borrowed.labelled_s)) == ([1], [1])  # type: ignore[attr-defined]
    stream.forget(1)
    wait_for(lambda: (there.offered, borrowed.labelled_s) == ({}, {}), 5, "both have forgotten")  # type: ignore[attr-defined]


# -- somebody with the token who says what does not belong


@pytest.fixture
def channel(lender: NodeInProcess) -> Iterator[MessageChannel]:
    opened = MessageChannel(enter(lender.lender.address, TOKEN))
    yield opened
    opened.close()


def ended(channel: MessageChannel) -> bool:
    """Whether the lender hangs up, after whatever it has to say."""
    try:
        while True:
            channel.receive()
    except ConnectionError:
        return True


def lent_clip(**changes: Any) -> LentClip:
    order, jpeg = pack_clip([np.full(SHAPE[1:], 9, np.uint8)] * SHAPE[0])
    fields = {"track_id": 1, "model": "full", "first_sample": 0, "provisional": False, "order": order, "jpeg": jpeg}
    return LentClip(**{**fields, **changes})


@pytest.mark.parametrize(
    "message",
    [
        DetectRequest(1, np.zeros((8, 8, 3), np.uint8), np.zeros((0, 4), np.float32)),
        Hello("str_2", "full"),
        ClipOffer(1, "another", 1.0),
        ClipOffer(1, "full", float("nan")),
        ClipOffer(1, "full", 1e9),
        ClipOffer(1, "full", 1.0, age_s=float("inf")),
        ScoresAnswer(1, np.zeros(2, np.float32)),
        lent_clip(model="another"),
        lent_clip(first_sample=-1),
        lent_clip(order=(0,)),
        lent_clip(jpeg=np.zeros(9, np.uint8)),
        lent_clip(order=(), box=np.zeros(4, np.float32)),
        lent_clip(box=np.zeros(3, np.float32)),
        lent_clip(box=np.full(4, np.nan, np.float32)),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_does_not_belong_ends_the_connection_and_nothing_else(
    message: object, channel: MessageChannel, lender: NodeInProcess
):
    channel.send(Hello("str_1", "full"))
    channel.receive()
    channel.send(message)
    assert ended(channel)
    assert lender.failures == []


@pytest.mark.parametrize("name", ["../full", "/etc", "", "..", "missing"])
def test_network_that_is_none_is_refused(name: str, channel: MessageChannel):
    channel.send(Hello("str_1", name))
    assert ended(channel)


def test_clip_that_nobody_asked_for_is_counted_and_left_out(channel: MessageChannel, lender: NodeInProcess):
    channel.send(Hello("str_1", "full"))
    channel.send(lent_clip())
    wait_for(lambda: lender.count("lent_clips_dropped_total:unasked") == 1, 5, "it is counted")
    assert [type(channel.receive()) for _ in range(2)] == [Welcome, NoClip]
    assert lender.engine.judged == []


def test_no_more_people_than_a_stream_has_are_taken(channel: MessageChannel, lender: NodeInProcess):
    channel.send(Hello("str_1", "full"))
    for track in range(70):
        channel.send(ClipOffer(track, "full", 1.0))
    wait_for(lambda: lender.count("lent_clips_dropped_total:tracks") == 6, 5, "those beyond are left out")


def test_pixels_are_asked_for_as_far_as_there_is_room(channel: MessageChannel, lender: NodeInProcess):
    channel.send(Hello("str_1", "full"))
    channel.send(LoadReport(StreamLoad(0.0, 1.0)))
    for track in range(40):
        channel.send(ClipOffer(track, "full", 1.0))
    asked = [message for message in (channel.receive() for _ in range(18)) if isinstance(message, ClipWanted)]
    assert len(asked) == 16
    lender.until(lambda: lender.server._lending._credit.waiting == 24, "the others wait for their turn")


def test_address_that_leads_nowhere_costs_nothing_but_the_loan(yard: NodeInProcess):
    yard.server.loans.use((Lender("nowhere", "127.0.0.1:1"),))
    stream = yard.stream()
    yard.until(lambda: yard.count("loans_ended_total") >= 1, "it was tried")
    stream.submit(clip(1, 51, "light"))
    assert answer(stream, yard).model == "light"


def test_lent_network_is_kept_until_nobody_asks_it_any_more(channel: MessageChannel, lender: NodeInProcess):
    lender.engine.retired = {"full"}  # a version that was loaded before anybody asked for it
    channel.send(Hello("str_1", "full"))
    channel.receive()
    assert lender.engine.retired == set()
    channel.close()
    lender.until(lambda: lender.engine.retired == {"full"}, "its room may be another's")


def test_node_without_room_loads_no_network_for_others(channel: MessageChannel, lender: NodeInProcess):
    lender.server._lending._room._spare = lambda: None
    lender.engine.there = set()
    loaded: list[str] = []
    lender.engine.classifier = loaded.append  # type: ignore[assignment, method-assign]
    channel.send(Hello("str_1", "full"))
    assert channel.receive() == ModelProblem("its own cameras have the lighter network")
    assert ended(channel) and loaded == []


def test_clip_that_waited_too_long_behind_others_is_not_sent_and_costs_no_loan(
    yard: NodeInProcess, lender: NodeInProcess, monkeypatch: pytest.MonkeyPatch
):
    stream = yard.stream()
    lent(yard, stream)
    monkeypatch.setattr(loan, "FETCH_S", 0.0)  # the way out is slower than that
    stream.submit(clip(1, 51, "full"))
    yard.until(lambda: yard.count("borrowed_clips_dropped_total:late") >= 1, "it is counted")
    monkeypatch.undo()
    stream.submit(clip(2, 51, "full"))
    assert answer(stream, yard).model == "full"
    assert yard.count("loans_ended_total") == 0

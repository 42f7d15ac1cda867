"""The small parts a source is made of: its life, the slot between its threads, its options."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from pipeline.errors import SourceError
from pipeline.frame_slot import FrameSlot
from pipeline.sources.state import SourceLife
from pipeline.sources.video_source import SourceOptions, SourceState

LEGAL = {
    ("connecting", "running"),
    ("connecting", "reconnecting"),
    ("connecting", "failed"),
    ("connecting", "stopped"),
    ("running", "reconnecting"),
    ("running", "failed"),
    ("running", "stopped"),
    ("reconnecting", "running"),
    ("reconnecting", "failed"),
    ("reconnecting", "stopped"),
    ("reconnecting", "reconnecting"),
    ("failed", "running"),
    ("failed", "reconnecting"),
    ("failed", "stopped"),
    ("failed", "failed"),
}


def life_in(state: SourceState) -> SourceLife:
    life = SourceLife(lambda *_: None)
    if state is not SourceState.CONNECTING:
        life.move(state, "first", "first")
    return life


@pytest.mark.parametrize(("before", "after"), list(itertools.product(SourceState, SourceState)))
def test_only_legal_moves_are_made(before: SourceState, after: SourceState) -> None:
    life = life_in(before)
    if (before.value, after.value) in LEGAL:
        life.move(after, "second", "second")
        assert life.state is after
    else:
        with pytest.raises(RuntimeError, match=f"from {before.value} to {after.value}"):
            life.move(after, "second", "second")
        assert life.state is before


def test_the_same_news_is_told_once() -> None:
    told: list[tuple[Any, ...]] = []
    life = SourceLife(lambda *news: told.append(news))
    life.announce()
    life.move(SourceState.RECONNECTING, "refused", "a")
    life.move(SourceState.RECONNECTING, "refused", "a")
    life.move(SourceState.RECONNECTING, "timed_out", "b")
    assert [code for _, code, _ in told] == [None, "refused", "timed_out"]


def test_newest_item_wins_and_drops_are_counted() -> None:
    slot: FrameSlot[int] = FrameSlot(capacity=1)
    for item in range(5):
        assert slot.put(item, newest_wins=True)
    assert slot.take(0.0) == 4
    assert slot.take(0.0) is None
    assert slot.dropped == 4


def test_slot_of_several_places_drops_the_oldest_and_keeps_the_order() -> None:
    slot: FrameSlot[int] = FrameSlot(capacity=3)
    for item in range(5):
        assert slot.put(item, newest_wins=True)
    assert [slot.take(0.0) for _ in range(4)] == [2, 3, 4, None]
    assert slot.dropped == 2


def test_waiting_slot_keeps_every_item_in_order() -> None:
    slot: FrameSlot[int] = FrameSlot(capacity=2)
    producer = threading.Thread(target=lambda: [slot.put(item, newest_wins=False) for item in range(50)])
    producer.start()
    assert [slot.take(5.0) for _ in range(50)] == list(range(50))
    producer.join()
    assert slot.dropped == 0


def test_close_frees_a_waiting_producer() -> None:
    slot: FrameSlot[int] = FrameSlot(capacity=1)
    slot.put(0, newest_wins=False)
    answers: list[bool] = []
    producer = threading.Thread(target=lambda: answers.append(slot.put(1, newest_wins=False)))
    producer.start()
    slot.close()
    producer.join(5.0)
    assert answers == [False]
    assert slot.take(0.0) is None


def test_finish_lets_waiting_items_out_first() -> None:
    slot: FrameSlot[int] = FrameSlot(capacity=1)
    error = SourceError("ended", "over", permanent=False)
    slot.put(1, newest_wins=True)
    slot.finish(error)
    assert [slot.drained, slot.take(1.0), slot.drained] == [False, 1, True]
    assert slot.error is error


@pytest.mark.parametrize(
    "wrong",
    [{"transport": "http"}, {"pace": "slow"}, {"open_timeout_s": 0.0}, {"max_pixels": 0}, {"snapshot_s": 0}],
)
def test_senseless_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        SourceOptions(**wrong)

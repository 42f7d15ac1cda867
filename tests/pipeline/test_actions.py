from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.actions import RECENT_CLIPS, ActionSmoother, Evidence, SmootherConfig, validate_actions
from pipeline.entities import ActionEvent, ActionScores, EventKind, Track, TrackState

LABELS = ("walking", "fighting", "standing")
WALKING, FIGHTING, STANDING = (0.9, 0.05, 0.05), (0.05, 0.9, 0.05), (0.05, 0.05, 0.9)
STARTED, UPDATED, ENDED = EventKind.STARTED, EventKind.UPDATED, EventKind.ENDED


def person(track_id: int = 1, state: TrackState = TrackState.CONFIRMED, coasting_s: float = 0.0) -> Track:
    return Track(track_id, np.array([0, 0, 8, 8], np.float32), state, 0.9, coasting_s)


def answer(
    end_s: float, probabilities: Sequence[float], track_id: int = 1, labels: tuple[str, ...] = LABELS, **more: Any
) -> ActionScores:
    return ActionScores(
        track_id, labels, np.array(probabilities, np.float32), end_s - 2.52, end_s, end_s, end_s, **more
    )


def new_smoother(**config: object) -> ActionSmoother:
    numbers = itertools.count(1)
    return ActionSmoother(SmootherConfig(**config), lambda: f"event-{next(numbers)}")  # type: ignore[arg-type]


def feed(smoother: ActionSmoother, answers: Iterable[ActionScores]) -> list[ActionEvent]:
    """Each answer arrives at the very frame it ends on; only its own track is in view."""
    events: list[ActionEvent] = []
    for item in answers:
        events += smoother.update([item], [person(item.track_id)], item.end_s, 1_000 + item.end_s)
    return events


def brief(events: Iterable[ActionEvent]) -> list[tuple[str, EventKind]]:
    return [(event.action, event.kind) for event in events]


def test_update_with_lasting_scores_starts_one_event_at_its_onset() -> None:
    events = feed(new_smoother(), [answer(time_s, WALKING) for time_s in (1.0, 1.64, 2.28)])
    assert len(events) == 1
    event = events[0]
    assert (event.event_id, event.track_id, event.action, event.kind) == ("event-1", 1, "walking", STARTED)
    assert (event.start_s, event.end_s) == (1.0, None)
    assert event.captured_at == pytest.approx(1_001.64)
    assert event.confidence == pytest.approx(0.9)


def test_update_with_one_odd_clip_starts_nothing() -> None:
    answers = [answer(1.0, WALKING), answer(1.64, WALKING), answer(2.28, FIGHTING), answer(2.92, WALKING)]
    assert {action for action, _ in brief(feed(new_smoother(), answers))} == {"walking"}


def test_update_with_minimum_duration_waits_for_it() -> None:
    smoother = new_smoother(min_duration_s=1.5)
    assert feed(smoother, [answer(1 + step * 0.5, WALKING) for step in range(3)]) == []
    assert brief(feed(smoother, [answer(2.5, WALKING)])) == [("walking", STARTED)]


def test_update_without_minimum_duration_starts_at_once() -> None:
    assert brief(feed(new_smoother(min_duration_s=0.0), [answer(1.0, WALKING)])) == [("walking", STARTED)]


def test_update_with_evidence_asks_more_of_one_label_only() -> None:
    unsure = [(0.1, 0.7, 0.2), (0.1, 0.7, 0.2), (0.7, 0.1, 0.2), (0.7, 0.1, 0.2), (0.7, 0.1, 0.2)]
    answers = [answer(1.0 + step, chances) for step, chances in enumerate(unsure)]
    assert brief(feed(new_smoother(), answers))[0] == ("fighting", STARTED)
    smoother = new_smoother(evidence={"fighting": Evidence(on=0.8)})
    assert {action for action, _ in brief(feed(smoother, answers))} == {"walking"}


def test_update_with_evidence_of_several_clips_waits_for_those_that_agree() -> None:
    smoother = new_smoother(time_constant_s=1.0, evidence={"fighting": Evidence(0.6, min_duration_s=0.0, clips=2)})
    sure, unsure = (0.02, 0.96, 0.02), (0.45, 0.5, 0.05)
    assert feed(smoother, [answer(1.0, sure, provisional=True), answer(1.64, unsure)]) == [], "only one of two agrees"
    (event,) = feed(smoother, [answer(2.28, sure)])
    assert (event.kind, event.start_s) == (STARTED, 1.0), "it began with the first"


def test_thresholds_of_a_stream_stand_over_the_evidence_s_but_keep_its_duration_and_clips() -> None:
    config = SmootherConfig(thresholds={"fighting": 0.4}, evidence={"fighting": Evidence(0.9, 1.5, 3)})
    assert config.needs("fighting") == Evidence(0.4, 1.5, 3) and config.needs("walking") is None
    assert SmootherConfig(on=0.6, min_duration_s=0.2).needs("walking") == Evidence(0.6, 0.2, 1)


@pytest.mark.parametrize("wrong", [{"on": 0.0}, {"on": 1.1}, {"min_duration_s": -1.0}, {"clips": 0}])
def test_evidence_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        Evidence(**wrong)


def test_update_smooths_with_the_time_constants_events_over_one_and_labels_over_the_other() -> None:
    smoother = new_smoother(time_constant_s=2.0, label_time_constant_s=0.5, on=0.6, min_duration_s=0.0)
    events = feed(smoother, [answer(1.0, (1, 0, 0)), answer(2.0, (0, 0, 1))])
    assert brief(events) == [("walking", STARTED), ("walking", UPDATED)], "told of what two seconds say"
    assert events[1].confidence == pytest.approx(math.exp(-0.5), abs=1e-5)
    label = smoother.labels()[1]
    assert label.action == "standing" and label.scores["walking"] == pytest.approx(math.exp(-2.0), abs=1e-5)


def test_labels_are_forgotten_with_the_scores_that_events_are_made_of() -> None:
    """What was shown of a track whose scores stopped coming weighs nothing in what comes later."""
    smoother = new_smoother(label_time_constant_s=100.0, stale_after_s=3.0)
    feed(smoother, [answer(1.0, WALKING)])
    smoother.update([], [person()], 4.5, 0.0)
    assert smoother.labels() == {}
    feed(smoother, [answer(5.0, FIGHTING)])
    assert smoother.labels()[1].confidence == pytest.approx(max(FIGHTING))


def test_update_smooths_alike_whatever_the_hop() -> None:
    """Many clips or few over the same time give nearly the same result, because time counts and not clips."""
    ends = []
    for hop_s in (0.1, 0.5):
        smoother = new_smoother()
        feed(smoother, [answer(0.0, WALKING)])
        feed(smoother, [answer(hop_s * (step + 1), FIGHTING) for step in range(round(1 / hop_s))])
        ends.append(smoother.labels()[1].confidence)
    assert ends[0] == pytest.approx(ends[1], abs=1e-5)


def test_update_between_off_and_on_keeps_the_event_going() -> None:
    smoother = new_smoother(time_constant_s=0.01)
    events = feed(smoother, [answer(1.0, WALKING), answer(2.0, WALKING), answer(3.0, (0.4, 0.3, 0.3))])
    assert ENDED not in [event.kind for event in events]
    assert brief(feed(smoother, [answer(4.0, (0.3, 0.4, 0.3))])) == [("walking", ENDED)]


def test_update_between_off_and_on_starts_nothing() -> None:
    answers = [answer(1.0 + step, (0.45, 0.3, 0.25)) for step in range(5)]
    assert feed(new_smoother(), answers) == []


def test_update_when_the_action_changes_ends_one_and_starts_the_other() -> None:
    answers = [answer(1.0 + 0.64 * step, WALKING if step < 4 else FIGHTING) for step in range(9)]
    events = feed(new_smoother(), answers)
    assert [item for item in brief(events) if item[1] is not UPDATED] == [
        ("walking", STARTED),
        ("walking", ENDED),
        ("fighting", STARTED),
    ]
    ended = next(event for event in events if event.kind is ENDED)
    assert ended.end_s is not None and 1 + 4 * 0.64 <= ended.end_s <= 1 + 6 * 0.64
    assert ended.event_id == "event-1"


def test_update_ended_carries_the_highest_confidence() -> None:
    smoother = new_smoother(time_constant_s=0.01)
    events = feed(smoother, [answer(1, (0.6, 0.2, 0.2)), answer(2, (0.8, 0.1, 0.1)), answer(3, (0.1, 0.4, 0.5))])
    assert events[-1].kind is ENDED
    assert events[-1].confidence == pytest.approx(0.8, abs=1e-3)


def test_update_tells_a_moved_confidence_at_most_once_a_second() -> None:
    smoother = new_smoother(time_constant_s=0.01)
    values = itertools.cycle([0.9, 0.6])
    answers = [answer(1 + 0.3 * step, (next(values), 0.05, 0.05)) for step in range(21)]
    updates = [event for event in feed(smoother, answers) if event.kind is UPDATED]
    told_s = [event.captured_at for event in updates]
    assert len(updates) >= 3
    assert all(later - earlier >= 1.0 - 1e-6 for earlier, later in itertools.pairwise(told_s))


def test_update_does_not_tell_a_confidence_that_stands_still() -> None:
    still = [(0.8 + 0.03 * (step % 2), 0.1, 0.05) for step in range(20)]
    answers = [answer(1 + step, scores, provisional=True) for step, scores in enumerate(still)]
    assert brief(feed(new_smoother(), answers)) == [("walking", STARTED)]


def test_update_when_the_track_is_missing_ends_its_events_when_it_was_last_seen() -> None:
    smoother = new_smoother()
    feed(smoother, [answer(1.0, WALKING), answer(2.0, WALKING)])
    assert smoother.update([], [person(coasting_s=0.4)], 2.9, 0.0) == ()
    events = smoother.update([], [], 3.5, 7.0)
    assert brief(events) == [("walking", ENDED)]
    assert (events[0].start_s, events[0].end_s, events[0].captured_at) == (1.0, 2.5, 7.0)
    assert smoother.labels() == {}


def test_update_when_the_track_is_deleted_ends_its_events() -> None:
    smoother = new_smoother()
    feed(smoother, [answer(1.0, WALKING), answer(2.0, WALKING)])
    assert brief(smoother.update([], [person(state=TrackState.DELETED)], 2.5, 0.0)) == [("walking", ENDED)]


def test_update_with_a_candidate_only_says_nothing_when_the_track_goes() -> None:
    smoother = new_smoother()
    assert feed(smoother, [answer(1.0, WALKING)]) == []
    assert smoother.update([], [], 1.5, 0.0) == ()


def test_update_with_scores_of_a_track_that_is_gone_is_ignored() -> None:
    smoother = new_smoother(min_duration_s=0.0)
    assert smoother.update([answer(1.0, WALKING, track_id=9)], [person(1)], 1.0, 0.0) == ()
    assert smoother.labels() == {}


def test_update_with_late_scores_of_a_former_life_starts_nothing() -> None:
    smoother = new_smoother(min_duration_s=0.0)
    feed(smoother, [answer(1.0, WALKING)])
    smoother.update([], [person()], 3.0, 0.0)
    smoother.update([], [], 3.1, 0.0)
    assert smoother.update([answer(2.0, WALKING)], [person()], 3.2, 0.0) == ()
    assert brief(smoother.update([answer(4.0, WALKING)], [person()], 4.0, 0.0)) == [("walking", STARTED)]


def test_update_with_scores_out_of_order_ignores_the_older() -> None:
    smoother = new_smoother()
    feed(smoother, [answer(2.0, WALKING)])
    before = smoother.labels()
    smoother.update([answer(1.0, FIGHTING), answer(2.0, FIGHTING)], [person()], 2.1, 0.0)
    assert smoother.labels() == before


def test_update_with_several_scores_at_once_takes_them_in_order_of_time() -> None:
    smoother = new_smoother(time_constant_s=0.01)
    smoother.update([answer(2.0, FIGHTING), answer(1.0, WALKING)], [person()], 2.0, 0.0)
    assert smoother.labels()[1].action == "fighting"


def test_update_keeps_tracks_apart() -> None:
    smoother = new_smoother(min_duration_s=0.0)
    both = [person(1), person(2)]
    scores = [answer(1.0, WALKING, track_id=1), answer(1.0, FIGHTING, track_id=2)]
    events = smoother.update(scores, both, 1.0, 0.0)
    assert {(event.track_id, event.action) for event in events} == {(1, "walking"), (2, "fighting")}
    assert {track_id: label.action for track_id, label in smoother.labels().items()} == {1: "walking", 2: "fighting"}


def test_update_with_two_actions_over_their_thresholds_runs_both() -> None:
    smoother = new_smoother(min_duration_s=0.0, thresholds={"walking": 0.3, "fighting": 0.3})
    assert set(brief(feed(smoother, [answer(1.0, (0.45, 0.45, 0.1))]))) == {("walking", STARTED), ("fighting", STARTED)}


def test_update_with_an_allow_list_reports_nothing_else() -> None:
    smoother = new_smoother(min_duration_s=0.0, thresholds={"fighting": 0.3})
    assert feed(smoother, [answer(1.0 + step, WALKING) for step in range(4)]) == []
    assert smoother.labels() == {}


def test_update_with_an_allow_list_uses_its_thresholds() -> None:
    smoother = new_smoother(min_duration_s=0.0, time_constant_s=0.01, thresholds={"fighting": 0.2})
    assert brief(feed(smoother, [answer(1.0, (0.7, 0.25, 0.05))])) == [("fighting", STARTED)]
    label = smoother.labels()[1]
    assert (label.action, list(label.scores)) == ("fighting", ["fighting"])
    assert (
        feed(smoother, [answer(2.0, (0.8, 0.15, 0.05), provisional=True)]) == []
    )  # above off = 0.2 × 0.35 / 0.5 = 0.14
    assert brief(feed(smoother, [answer(3.0, (0.82, 0.13, 0.05))])) == [("fighting", ENDED)]


def test_update_when_scores_stop_coming_ends_the_event_at_the_last_of_them() -> None:
    smoother = new_smoother(stale_after_s=5.0)
    feed(smoother, [answer(1.0, WALKING), answer(2.0, WALKING)])
    assert smoother.update([], [person()], 7.0, 0.0) == ()
    events = smoother.update([], [person()], 7.1, 0.0)
    assert [(event.kind, event.end_s) for event in events] == [(ENDED, 2.0)]
    assert smoother.labels() == {}
    assert smoother.update([], [person()], 7.2, 0.0) == ()


def test_update_when_another_model_answers_ends_what_the_first_said() -> None:
    smoother = new_smoother(min_duration_s=0.0)
    feed(smoother, [answer(1.0, WALKING)])
    events = feed(smoother, [answer(2.0, (0.1, 0.9), labels=("jumping", "running"))])
    assert brief(events) == [("walking", ENDED), ("running", STARTED)]


def test_labels_hold_the_best_few_in_order() -> None:
    smoother = new_smoother(top_k=2)
    feed(smoother, [answer(1.0, (0.2, 0.5, 0.3), provisional=True)])
    label = smoother.labels()[1]
    assert (label.action, label.provisional, label.end_s) == ("fighting", True, 1.0)
    assert list(label.scores) == ["fighting", "standing"]
    assert label.confidence == pytest.approx(0.5)


def test_labels_are_no_longer_provisional_after_a_complete_clip() -> None:
    smoother = new_smoother()
    feed(smoother, [answer(1.0, WALKING, provisional=True), answer(2.0, WALKING)])
    assert not smoother.labels()[1].provisional


def test_update_with_provisional_scores_may_start_an_event() -> None:
    answers = [answer(1.0, WALKING, provisional=True), answer(1.64, WALKING, provisional=True)]
    assert brief(feed(new_smoother(), answers)) == [("walking", STARTED)]


def test_finish_ends_everything_once() -> None:
    smoother = new_smoother(min_duration_s=0.0)
    smoother.update([answer(1, WALKING, 1), answer(1, FIGHTING, 2)], [person(1), person(2)], 1.0, 0.0)
    events = smoother.finish(1.0, 5.0)
    assert brief(events) == [("walking", ENDED), ("fighting", ENDED)]
    assert {event.end_s for event in events} == {1.0}
    assert smoother.finish(1.0, 5.0) == ()
    assert smoother.labels() == {}


def test_update_does_not_change_the_scores_it_gets() -> None:
    smoother, scores = new_smoother(), answer(1.0, WALKING)
    feed(smoother, [scores, answer(2.0, FIGHTING)])
    assert scores.probabilities == pytest.approx(WALKING)


def test_smoother_forgets_tracks_that_are_gone() -> None:
    smoother = new_smoother()
    for track_id in range(2_000):
        smoother.update([], [person(track_id)], track_id * 0.1, 0.0)
    assert len(smoother._tracks) == 1
    assert len(smoother._gone) <= 256


def test_event_ids_are_unique_by_default() -> None:
    smoother = ActionSmoother(SmootherConfig(min_duration_s=0.0, thresholds={"walking": 0.1, "fighting": 0.1}))
    events = feed(smoother, [answer(1.0, (0.5, 0.5, 0.0))])
    assert len({event.event_id for event in events}) == 2


@pytest.mark.parametrize(
    "config",
    [{"on": 0.3, "off": 0.5}, {"off": 0.0}, {"time_constant_s": 0.0}, {"top_k": 0}, {"thresholds": {"walking": 1.5}}],
)
def test_config_refuses_senseless_values(config: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        new_smoother(**config)


def test_validate_actions_gives_known_ones_back() -> None:
    assert validate_actions({"fighting": 0.4}, LABELS) == {"fighting": 0.4}


@pytest.mark.parametrize(
    ("label", "hint"),
    [("figthing", "'fighting'"), ("Walking", "'walking'"), ("stand", "'standing'"), ("xyz", "nothing")],
)
def test_validate_actions_with_an_unknown_label_names_those_that_come_close(label: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        validate_actions({label: 0.5}, LABELS)


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.01, math.nan])
def test_validate_actions_refuses_thresholds_that_are_no_probabilities(threshold: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        validate_actions({"walking": threshold}, LABELS)


SCORES = st.tuples(st.integers(1, 3), st.floats(-3, 1), st.tuples(*[st.floats(0, 1)] * 3))
STEP = st.tuples(
    st.floats(0, 2), st.sets(st.integers(1, 3)), st.lists(SCORES, max_size=3), st.floats(0, 1), st.integers(0, 20)
)


@settings(deadline=None, max_examples=300)
@given(st.lists(STEP, max_size=40), st.sampled_from([None, {"walking": 0.3, "fighting": 0.6}]), st.floats(0, 2))
def test_any_course_gives_every_event_one_start_one_end_and_no_overlap(
    course: list[tuple[float, set[int], list[tuple[int, float, tuple[float, ...]]], float, int]],
    thresholds: dict[str, float] | None,
    min_duration_s: float,
) -> None:
    smoother = new_smoother(thresholds=thresholds, min_duration_s=min_duration_s, stale_after_s=3.0)
    events: list[ActionEvent] = []
    time_s = 0.0
    for step_s, present, raw, coasting_s, finish in course:
        time_s += step_s
        scores = [answer(time_s + late_s, probabilities, track_id) for track_id, late_s, probabilities in raw]
        tracks = [person(track_id, coasting_s=coasting_s) for track_id in sorted(present)]
        events += smoother.update(scores, tracks, time_s, time_s)
        assert set(smoother.labels()) <= present
        if finish == 0:
            events += smoother.finish(time_s, time_s)
    events += smoother.finish(time_s, time_s)
    by_id: dict[str, list[ActionEvent]] = defaultdict(list)
    for event in events:
        assert 0 <= event.confidence <= 1
        by_id[event.event_id].append(event)
    spans: dict[tuple[int, str], list[tuple[float, float]]] = defaultdict(list)
    for life in by_id.values():
        assert [event.kind for event in life] == [STARTED, *[UPDATED] * (len(life) - 2), ENDED]
        assert len({(event.track_id, event.action, event.start_s) for event in life}) == 1
        assert all(event.end_s is None for event in life[:-1])
        last = life[-1]
        assert last.end_s is not None and last.end_s >= last.start_s
        spans[last.track_id, last.action].append((last.start_s, last.end_s))
    for lives in spans.values():
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(lives))


def test_answers_of_two_networks_with_the_same_labels_are_one_history():
    smoother, walking = new_smoother(), (0.9, 0.05, 0.05)
    events = feed(smoother, [answer(1.0, walking, model="light"), answer(1.6, walking, model="light")])
    assert [event.model for event in events] == ["light"]
    events = feed(smoother, [answer(2.2, (0.96, 0.02, 0.02), model="full")])
    assert smoother.labels()[1].model == "full"
    assert not any(event.kind is EventKind.ENDED for event in events)
    assert smoother.labels()[1].confidence > 0.9


def told_clips(events: Iterable[ActionEvent]) -> list[tuple[EventKind, int, float]]:
    return [(event.kind, event.clips.count, round(event.clips.share, 2)) for event in events]


def test_events_tell_what_each_clip_said_before_smoothing() -> None:
    unsure = (0.45, 0.5, 0.05)
    answers = [answer(float(second), unsure if second == 3 else WALKING) for second in range(1, 6)]
    events = [event for event in feed(new_smoother(min_duration_s=0), answers) if event.action == "walking"]
    assert told_clips(events)[:3] == [(STARTED, 1, 1.0), (UPDATED, 2, 1.0), (UPDATED, 3, 0.67)]
    assert events[-1].clips.count == 5
    assert events[-1].clips.share == pytest.approx(0.8)
    assert {type(event.clips.share) for event in events} == {float}, "it crosses between processes"
    assert events[-1].clips.recent == pytest.approx((0.9, 0.9, 0.45, 0.9, 0.9))


def test_first_choice_below_its_threshold_is_no_agreement() -> None:
    smoother = new_smoother(min_duration_s=0, thresholds={"fighting": 0.6})
    answers = [answer(1.0, FIGHTING), answer(2.0, (0.2, 0.55, 0.25)), answer(3.0, (0.1, 0.6, 0.3))]
    events = feed(smoother, answers)
    assert told_clips(events) == [(STARTED, 1, 1.0), (UPDATED, 2, 0.5), (UPDATED, 3, 0.67)]


def test_provisional_clips_and_those_before_the_onset_do_not_count() -> None:
    smoother = new_smoother(min_duration_s=0)
    feed(smoother, [answer(1.0, STANDING)])
    events = feed(smoother, [answer(4.0, WALKING, provisional=True), answer(5.0, WALKING)])
    walking = [event for event in events if event.action == "walking"]
    assert told_clips(walking) == [(STARTED, 0, 0.0), (UPDATED, 1, 1.0)]


def test_only_the_first_eight_clips_are_each_worth_a_message_and_the_last_eight_are_told() -> None:
    smoother = new_smoother(min_duration_s=0)
    events = feed(smoother, [answer(float(second), WALKING) for second in range(1, 31)])
    assert [event.clips.count for event in events] == list(range(1, 9))
    (ended,) = smoother.finish(31.0, 1_031.0)
    assert (ended.kind, ended.clips.count, len(ended.clips.recent)) == (ENDED, 30, RECENT_CLIPS)


def test_clips_that_come_fast_share_one_message_a_second() -> None:
    events = feed(new_smoother(min_duration_s=0), [answer(1 + n / 5, WALKING) for n in range(11)])
    assert told_clips(events) == [(STARTED, 1, 1.0), (UPDATED, 6, 1.0), (UPDATED, 11, 1.0)]


def test_change_of_thresholds_ends_nothing_by_itself_and_counts_from_the_next_score() -> None:
    smoother = new_smoother(thresholds={"fighting": 0.6})
    events = feed(smoother, [answer(time_s, FIGHTING) for time_s in (1.0, 2.0)])
    assert brief(events) == [("fighting", STARTED)]
    smoother.change(SmootherConfig(thresholds={"fighting": 0.7, "walking": 0.3}))
    assert {kind for _, kind in brief(feed(smoother, [answer(3.0, FIGHTING)]))} <= {UPDATED}
    later = feed(smoother, [answer(time_s, WALKING) for time_s in (4.0, 5.0, 6.0, 7.0)])
    assert ("walking", STARTED) in brief(later) and ("fighting", ENDED) in brief(later)
    assert {event.event_id for event in later if event.action == "fighting"} == {events[0].event_id}


def test_change_to_thresholds_without_a_label_ends_it_with_the_next_score() -> None:
    smoother = new_smoother()
    feed(smoother, [answer(time_s, FIGHTING) for time_s in (1.0, 2.0)])
    smoother.change(SmootherConfig(thresholds={"walking": 0.5}))
    assert brief(feed(smoother, [answer(3.0, FIGHTING)])) == [("fighting", ENDED)]

"""The tracker on scripted people: lasting IDs, media time, coasting, return by appearance, bounded memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.entities import Detections, Floats, Frame, Track, TrackState
from pipeline.tracker import PersonTracker, TrackerConfig

SIZE_HW = (720, 1280)
IMAGE = np.broadcast_to(np.uint8(0), (*SIZE_HW, 3))


def frame(time_s: float, index: int = 0, epoch: int = 0) -> Frame:
    return Frame(IMAGE, index, time_s, 0.0, 0.0, epoch)


def box(x: float, y: float = 300.0) -> Floats:
    """A person 40 × 100 pixels with the left upper corner at (x, y)."""
    return np.array([x, y, x + 40, y + 100], np.float32)


def look(person: int, dimension: int = 64) -> Floats:
    vector = np.random.default_rng(person).normal(0, 1, dimension)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def found(*boxes: Floats, confidence: float = 0.9, looks: list[Floats] | None = None) -> Detections:
    stacked = np.stack(boxes) if boxes else np.empty((0, 4), np.float32)
    features = np.stack(looks) if looks else None
    return Detections(stacked, np.full(len(boxes), confidence, np.float32), features)


def ids(tracks: tuple[Track, ...]) -> list[int]:
    return sorted(track.track_id for track in tracks)


def walk(tracker: PersonTracker, times: list[float], speed: float = 50.0, **named: object) -> tuple[Track, ...]:
    """One person who walks to the right at ``speed`` pixels a second; → the last tracks."""
    tracks: tuple[Track, ...] = ()
    for time_s in times:
        tracks = tracker.update(frame(time_s), found(box(200 + speed * time_s), **named))  # type: ignore[arg-type]
    return tracks


def steps(start_s: float, end_s: float, rate: float) -> list[float]:
    return [start_s + index / rate for index in range(round((end_s - start_s) * rate))]


def test_update_crossing_people_keep_their_ids() -> None:
    tracker, seen = PersonTracker(), []
    for time_s in steps(0, 6, 10):
        people = [box(200 + 60 * time_s), box(560 - 60 * time_s, 310)]
        tracks = tracker.update(frame(time_s), found(*people, looks=[look(1), look(2)]))
        seen.append({track.track_id: track.box_xyxy for track in tracks})
    assert set(seen[-1]) == {1, 2}
    assert seen[0][1][0] < seen[0][2][0]
    assert seen[-1][1][0] > seen[-1][2][0]


def test_update_people_of_the_first_frame_are_confirmed_newcomers_prove_themselves() -> None:
    tracker = PersonTracker()
    first = tracker.update(frame(0.0), found(box(100)))
    assert [track.state for track in first] == [TrackState.CONFIRMED]
    states = []
    for time_s in steps(0.1, 0.6, 10):
        tracks = tracker.update(frame(time_s), found(box(100), box(600)))
        states.append(next(track.state for track in tracks if track.track_id == 2))
    assert states[:2] == [TrackState.TENTATIVE] * 2
    assert states[-1] is TrackState.CONFIRMED


@pytest.mark.parametrize("rate", [5.0, 10.0, 30.0, 60.0])
def test_update_ages_count_in_media_time_whatever_the_rate(rate: float) -> None:
    """Confirmed, coasting and forgotten at the same moments with a slow and a fast camera."""
    tracker = PersonTracker()
    tracker.update(frame(0.0), found())
    walk(tracker, steps(1.0, 3.0, rate))
    last_s = 3.0 - 1 / rate
    near = tracker.update(frame(last_s + 0.9), found())
    assert ids(near) == [1]
    assert near[0].coasting_s == pytest.approx(0.9, abs=1e-6)
    assert near[0].box_xyxy[0] == pytest.approx(200 + 50 * (last_s + 0.9), abs=12)
    assert tracker.update(frame(last_s + 1.1), found()) == ()


@pytest.mark.parametrize("rate", [10.0, 30.0])
def test_update_newcomer_is_confirmed_within_half_a_second(rate: float) -> None:
    tracker = PersonTracker()
    tracker.update(frame(0.0), found())
    assert walk(tracker, steps(1.0, 1.5, rate))[0].state is TrackState.CONFIRMED


@pytest.mark.parametrize("interval_s", [0.4, 0.8])
def test_update_newcomer_is_confirmed_by_the_second_sure_detection_where_they_are_rare(interval_s: float) -> None:
    tracker = PersonTracker()
    times = [1.0 + index * interval_s for index in range(8)]
    for time_s in times[:5]:
        tracker.update(frame(time_s), found(box(900)))
    first = tracker.update(frame(times[5]), found(box(900), box(200)))
    second = tracker.update(frame(times[6]), found(box(900), box(205)))
    assert [track.state for track in first if track.track_id == 2] == [TrackState.TENTATIVE]
    assert [track.state for track in second if track.track_id == 2] == [TrackState.CONFIRMED]
    assert ids(tracker.update(frame(times[7]), found(box(900), box(210)))) == [1, 2]


def test_update_unsure_detections_confirm_nobody_by_two_however_rare() -> None:
    tracker = PersonTracker(TrackerConfig.starting_at(0.3))
    for time_s in steps(1.0, 5.0, 2):
        tracker.update(frame(time_s), found(box(900)))
    for time_s in (5.0, 5.5):
        tracks = tracker.update(frame(time_s), found(box(200), confidence=0.25))
    assert all(track.track_id == 1 or track.state is TrackState.TENTATIVE for track in tracks)


def test_update_missed_once_at_a_slow_pace_a_newcomer_stays_the_same_person() -> None:
    tracker = PersonTracker()
    for time_s in steps(1.0, 9.0, 1.25):
        tracker.update(frame(time_s), found(box(900)))
    start = tracker.update(frame(9.0), found(box(900), box(200)))
    tracker.update(frame(9.8), found(box(900)))
    again = tracker.update(frame(10.6), found(box(900), box(205)))
    assert ids(start) == ids(again) == [1, 2]
    for time_s in (11.4, 12.2, 13.0):
        tracks = tracker.update(frame(time_s), found(box(900)))
    assert ids(tracks) == [1], "but not for ever"


@pytest.mark.parametrize("looks", [None, [look(1), look(2)]])
def test_update_people_who_leave_their_boxes_between_rare_detections_keep_their_ids(looks: list[Floats] | None) -> None:
    tracker, seen = PersonTracker(), []
    for time_s in steps(1.0, 13.0, 1.25):  # 48 pixels between two detections of people 40 pixels wide
        people = [box(100 + 60 * time_s), box(100 + 60 * time_s, 520)]
        seen.append(ids(tracker.update(frame(time_s), found(*people, looks=looks))))
    assert seen == [[1, 2]] * len(seen)


@pytest.mark.parametrize("rate", [0.9, 0.5, 0.2, 0.05])
@pytest.mark.parametrize("begin_s", [0.0, 3600.0])
def test_update_people_who_stand_still_keep_their_ids_however_slow_the_camera(rate: float, begin_s: float) -> None:
    tracker, seen = PersonTracker(), []
    people = [box(100 + 60 * place) for place in range(7)]
    for time_s in steps(begin_s, begin_s + 8 / rate, rate):
        seen.append(ids(tracker.update(frame(time_s), found(*people))))
    assert seen == [[1, 2, 3, 4, 5, 6, 7]] * 8


@pytest.mark.parametrize("rate", [0.9, 0.2])
def test_update_person_whom_a_slow_camera_misses_once_stays_the_same(rate: float) -> None:
    tracker, times = PersonTracker(), steps(0.0, 8 / rate, rate)
    for time_s in times[:5]:
        tracker.update(frame(time_s), found(box(200), box(600)))
    missed = tracker.update(frame(times[5]), found(box(600)))
    assert [track.coasting_s for track in missed if track.track_id == 1] == [pytest.approx(1 / rate)]
    assert ids(tracker.update(frame(times[6]), found(box(200), box(600)))) == [1, 2]


def test_update_one_long_outage_is_no_pace() -> None:
    tracker = PersonTracker()
    walk(tracker, steps(0.0, 2.0, 25), speed=0.0)
    tracker.update(frame(12.0), found(box(900)))
    tracker.update(frame(12.1), found(box(900)))
    assert ids(tracker.update(frame(13.5), found())) == [], "unseen for more than a second at 25 pictures a second"


def test_update_somebody_too_far_away_or_of_another_size_is_somebody_else_at_a_slow_pace() -> None:
    tracker = PersonTracker()
    for time_s in steps(1.0, 5.0, 2):
        tracker.update(frame(time_s), found(box(200)))
    far = tracker.update(frame(5.0), found(box(200 + 400)))
    assert ids(far) == [1, 2]
    tall = np.array([190, 200, 290, 500], np.float32)
    assert ids(tracker.update(frame(5.5), found(tall))) == [1, 2, 3]


def test_update_one_false_detection_is_never_confirmed_and_soon_gone() -> None:
    tracker = PersonTracker()
    tracker.update(frame(0.0), found())
    assert [track.state for track in tracker.update(frame(0.1), found(box(100)))] == [TrackState.TENTATIVE]
    assert all(track.state is TrackState.TENTATIVE for track in tracker.update(frame(0.3), found()))
    assert tracker.update(frame(0.5), found()) == ()


def test_update_weak_detections_continue_a_track_but_start_none() -> None:
    tracker = PersonTracker()
    tracker.update(frame(0.0), found(box(200)))
    for time_s in steps(0.1, 3.0, 10):
        tracks = tracker.update(frame(time_s), found(box(200), box(700), confidence=0.2))
    assert ids(tracks) == [1]
    assert tracks[0].coasting_s == 0.0
    assert tracks[0].confidence == pytest.approx(0.2)


def test_update_detections_below_weak_are_passed_by() -> None:
    tracker = PersonTracker()
    tracker.update(frame(0.0), found(box(200)))
    assert tracker.update(frame(0.1), found(box(200), confidence=0.05))[0].coasting_s == pytest.approx(0.1)


def test_update_none_coasts_and_the_next_detection_takes_over() -> None:
    tracker = PersonTracker()
    walk(tracker, steps(0, 2, 25), speed=100)
    for index in range(1, 4):
        time_s = 1.96 + index * 0.04
        tracks = tracker.update(frame(time_s), None)
        assert ids(tracks) == [1]
        assert tracks[0].coasting_s == pytest.approx(index * 0.04, abs=1e-6)
        assert tracks[0].box_xyxy[0] == pytest.approx(200 + 100 * time_s, abs=5)
    tracks = tracker.update(frame(2.12), found(box(412)))
    assert ids(tracks) == [1]
    assert tracks[0].coasting_s == 0.0


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_update_detection_stride_keeps_the_id(stride: int) -> None:
    tracker = PersonTracker()
    everybody: set[int] = set()
    for index, time_s in enumerate(steps(0, 6, 25)):
        detections = found(box(200 + 80 * time_s)) if index % stride == 0 else None
        everybody |= set(ids(tracker.update(frame(time_s), detections)))
    assert everybody == {1}


def test_update_person_hidden_for_seconds_returns_by_appearance() -> None:
    tracker = PersonTracker()
    for time_s in steps(0, 3, 10):
        tracker.update(frame(time_s), found(box(200 + 50 * time_s), box(900), looks=[look(1), look(2)]))
    for time_s in steps(3, 6, 10):
        tracker.update(frame(time_s), found(box(900), looks=[look(2)]))
    tracks = tracker.update(frame(6.0), found(box(500), box(900), looks=[look(1), look(2)]))
    assert ids(tracks) == [1, 2]


def test_update_person_who_falls_is_found_again_where_the_fall_ended() -> None:
    tracker = PersonTracker()
    for time_s in steps(0, 2, 10):
        tracker.update(frame(time_s), found(box(500)))
    for step, time_s in enumerate(steps(2, 2.5, 10)):  # quickly down, getting wider and flatter
        top, half = 300 + 25 * step, 20 + 9 * step
        tracker.update(frame(time_s), found(np.array([520 - half, top, 520 + half, 400 + 12 * step], np.float32)))
    for time_s in steps(2.5, 3.3, 10):  # blurred: nobody is found
        tracker.update(frame(time_s), found())
    lying = np.array([450, 400, 590, 450], np.float32)
    assert ids(tracker.update(frame(3.3), found(lying))) == [1]


def test_update_stranger_at_the_same_place_gets_a_new_id() -> None:
    tracker = PersonTracker()
    for time_s in steps(0, 3, 10):
        tracker.update(frame(time_s), found(box(200), box(900), looks=[look(1), look(2)]))
    for time_s in steps(3, 5, 10):
        tracker.update(frame(time_s), found(box(900), looks=[look(2)]))
    tracks = tracker.update(frame(5.0), found(box(200), box(900), looks=[look(3), look(2)]))
    assert ids(tracks) == [2, 3]


def test_update_same_looks_out_of_walking_distance_get_a_new_id() -> None:
    tracker = PersonTracker()
    for time_s in steps(0, 3, 10):
        tracker.update(frame(time_s), found(box(100), box(600), looks=[look(1), look(2)]))
    for time_s in steps(3, 4.5, 10):
        tracker.update(frame(time_s), found(box(600), looks=[look(2)]))
    tracks = tracker.update(frame(4.5), found(box(1150), box(600), looks=[look(1), look(2)]))
    assert ids(tracks) == [2, 3]


def test_update_person_who_leaves_over_the_border_does_not_linger() -> None:
    tracker = PersonTracker()
    for time_s in steps(0, 2, 10):
        tracker.update(frame(time_s), found(box(1239 - 200 * (1.9 - time_s))))
    assert tracker.update(frame(2.1), found()) == ()


def test_update_new_epoch_starts_again_and_ids_go_on() -> None:
    tracker = PersonTracker()
    tracker.update(frame(0.0), found(box(100), box(600)))
    tracks = tracker.update(frame(0.1, epoch=1), found(box(100)))
    assert ids(tracks) == [3]
    assert tracker.next_track_id == 4


def test_first_track_id_goes_on_after_a_restart_of_the_process() -> None:
    tracker = PersonTracker(first_track_id=57)
    assert ids(tracker.update(frame(0.0), found(box(100)))) == [57]
    assert tracker.next_track_id == 58


def test_update_missing_features_leave_the_gallery_as_it_is() -> None:
    """Rows of NaN mean "not computed": a track keeps its looks through them and can return by them."""
    tracker, none = PersonTracker(), np.full(64, np.nan, np.float32)
    for index, time_s in enumerate(steps(0, 3, 10)):
        looks = [look(1), look(2)] if index < 3 else [none, none]
        tracker.update(frame(time_s), found(box(200), box(900), looks=looks))
    for time_s in steps(3, 5, 10):
        tracker.update(frame(time_s), found(box(900), looks=[none]))
    assert ids(tracker.update(frame(5.0), found(box(220), box(900), looks=[look(1), none]))) == [1, 2]


def test_update_without_any_features_still_tracks() -> None:
    tracker = PersonTracker()
    assert ids(walk(tracker, steps(0, 5, 10))) == [1]


def test_update_empty_and_degenerate_detections_are_survived() -> None:
    tracker = PersonTracker()
    flat = np.array([10, 10, 10, 50], np.float32)
    assert tracker.update(frame(0.0), found()) == ()
    assert tracker.update(frame(0.1), found(flat)) == ()
    assert tracker.update(frame(0.2), None) == ()
    assert tracker.expected(0.3).shape == (0, 4)


def test_update_time_standing_still_or_jumping_is_survived() -> None:
    tracker = PersonTracker()
    walk(tracker, [0.0, 0.1, 0.2, 0.2, 0.2])
    tracks = tracker.update(frame(3600.0), found(box(210)))
    assert all(np.isfinite(track.box_xyxy).all() for track in tracks)


def test_expected_predicts_and_asks_for_a_fresh_look_now_and_then() -> None:
    tracker = PersonTracker()
    for time_s in steps(0, 2, 10):
        tracker.update(frame(time_s), found(box(200 + 50 * time_s), looks=[look(1)]))
    np.testing.assert_allclose(tracker.expected(2.0)[0], box(300), atol=3)
    none = np.full(64, np.nan, np.float32)
    for time_s in steps(2, 3.5, 10):
        tracker.update(frame(time_s), found(box(200 + 50 * time_s), looks=[none]))
    assert tracker.expected(3.5).shape == (0, 4)


def test_update_is_the_same_every_time() -> None:
    def run() -> list[tuple[int, list[float]]]:
        tracker, generator, result = PersonTracker(), np.random.default_rng(5), []
        for time_s in steps(0, 5, 10):
            boxes = [box(x) + generator.normal(0, 2, 4).astype(np.float32) for x in (100, 130, 500)]
            for track in tracker.update(frame(time_s), found(*boxes, looks=[look(1), look(2), look(3)])):
                result.append((track.track_id, track.box_xyxy.tolist()))
        return result

    assert run() == run()


@pytest.mark.exhaustive
def test_update_hours_of_people_keep_galleries_and_tracks_bounded() -> None:
    """People come and go for 6,000 frames; what is held afterwards must not depend on how many there were."""
    config = TrackerConfig()
    tracker, generator = PersonTracker(config), np.random.default_rng(3)
    largest_tracks = largest_gallery = 0
    for index in range(6000):
        people = [(index // 100 + lane, box(20 + (index % 100) * 12, 100.0 * lane)) for lane in range(4)]
        looks = [look(number) + generator.normal(0, 0.01, 64).astype(np.float32) for number, _ in people]
        tracker.update(frame(index * 0.1, index), found(*(item for _, item in people), looks=looks))
        library = tracker._library
        largest_tracks = max(largest_tracks, len(library.tracks))
        largest_gallery = max(largest_gallery, max(map(len, library.metric.samples.values()), default=0))
        assert all(len(track.features) <= config.confirm_hits + 8 for track in library.tracks)
    assert largest_gallery == config.nn_budget
    assert largest_tracks <= 4 * 3
    assert set(tracker._library.metric.samples) <= {track.track_id for track in tracker._library.tracks}


def test_config_is_frozen_and_checked() -> None:
    with pytest.raises(AttributeError):
        TrackerConfig().weak = 0.3  # type: ignore[misc]
    for wrong in ({"weak": 0.9}, {"nn_budget": 0}, {"coast_s": 20.0}, {"confirm_hits": 0}):
        with pytest.raises(ValueError, match=r"nn_budget|expected"):
            replace(TrackerConfig(), **wrong)
    with pytest.raises(ValueError, match="first_track_id"):
        PersonTracker(first_track_id=0)

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clips import LEAST_PICTURES, ClipBuffer, ClipConfig, back_and_forth, sample_grid
from pipeline.entities import Clip, Frame, Image, Track, TrackState

SMALL = ClipConfig(size=2, margin=0.0, provisional_from=24)
PERIOD_S = 1 / SMALL.rate_hz


def numbered_frame(index: int, time_s: float, epoch: int = 0) -> Frame:
    """A picture of one colour that tells its index (below 65536)."""
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0], image[..., 1] = index % 256, index // 256
    return Frame(image, index, time_s, 1_000.0 + time_s, 50.0 + time_s, epoch)


def person(track_id: int = 1, state: TrackState = TrackState.CONFIRMED, coasting_s: float = 0.0) -> Track:
    return Track(track_id, np.array([0, 0, 8, 8], np.float32), state, 0.9, coasting_s)


def index_in(crop: Image) -> int:
    return int(crop[0, 0, 0]) + 256 * int(crop[0, 0, 1])


def play(buffer: ClipBuffer, times_s: Sequence[float], track: Track | None = None, first_index: int = 0) -> list[Clip]:
    clips: list[Clip] = []
    for index, time_s in enumerate(times_s, first_index):
        clips += buffer.push(numbered_frame(index, time_s), [track or person()])
    return clips


def indices(clip: Clip) -> list[int]:
    return [index_in(crop) for crop in clip.crops]


def test_push_at_25_fps_takes_every_frame_once() -> None:
    clips = play(ClipBuffer(SMALL), [index * PERIOD_S for index in range(64)])
    assert indices(clips[-1]) == list(range(64))
    assert (clips[-1].filled, clips[-1].provisional) == (64, False)


def test_push_at_25_fps_with_jitter_and_millisecond_stamps_takes_every_frame_once() -> None:
    jitter = np.random.default_rng(3).uniform(-0.012, 0.012, 64)
    times_s = [round(index * PERIOD_S + jitter[index], 3) for index in range(64)]
    times_s[0] = 0.0
    assert indices(play(ClipBuffer(SMALL), times_s)[-1]) == list(range(64))


def test_push_at_10_fps_repeats_each_frame_two_or_three_times() -> None:
    clips = play(ClipBuffer(SMALL), [index * 0.1 for index in range(27)])
    shown = indices(clips[-1])
    counts = [shown.count(index) for index in sorted(set(shown))][1:-1]
    assert set(counts) == {2, 3}
    assert sum(counts) / len(counts) == pytest.approx(2.5, abs=0.05)


def test_push_at_10_fps_repeats_references_not_copies() -> None:
    clip = play(ClipBuffer(SMALL), [index * 0.1 for index in range(27)])[-1]
    assert len({id(crop) for crop in clip.crops}) == len(set(indices(clip)))


def test_push_at_60_fps_is_thinned_to_25() -> None:
    clip = play(ClipBuffer(SMALL), [index / 60 for index in range(160)])[-1]
    steps = np.diff(indices(clip))
    assert set(steps.tolist()) == {2, 3}
    assert steps.mean() == pytest.approx(2.4, abs=0.02)


def test_push_cuts_only_frames_whose_sample_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    cuts: list[float] = []

    def cut(image: Image, *_: object) -> Image:
        cuts.append(1.0)
        return image

    monkeypatch.setattr("pipeline.clips.crop_person", cut)
    play(ClipBuffer(SMALL), [index / 100 for index in range(400)])
    assert len(cuts) == 101  # samples 0 to 100; the last frame, at 3.99 s, serves the sample at 4 s


def test_push_gives_clips_at_fixed_marks() -> None:
    clips = play(ClipBuffer(SMALL), [index * PERIOD_S for index in range(100)])
    assert [clip.filled for clip in clips] == [24, 40, 56, 64, 64, 64]
    assert [clip.provisional for clip in clips] == [True] * 3 + [False] * 3
    assert [round(clip.end_s / PERIOD_S) + 1 for clip in clips] == [24, 40, 56, 64, 80, 96]


def test_push_provisional_clip_plays_back_and_forth_and_ends_on_the_newest() -> None:
    clip = play(ClipBuffer(SMALL), [index * PERIOD_S for index in range(24)])[0]
    shown = indices(clip)
    assert len(shown) == 64
    assert shown[-24:] == list(range(24))
    assert shown[17:41] == list(range(23, -1, -1))
    assert set(np.abs(np.diff(shown)).tolist()) == {1}


def test_clip_carries_times_of_its_own_crops() -> None:
    clip = play(ClipBuffer(SMALL), [10 + index * PERIOD_S for index in range(100)])[-1]
    assert clip.end_s == pytest.approx(10 + 95 * PERIOD_S)
    assert clip.start_s == pytest.approx(10 + 32 * PERIOD_S)
    assert clip.captured_at == pytest.approx(1_000 + clip.end_s)
    assert clip.received_s == pytest.approx(50 + clip.end_s)


def test_clip_stack_is_what_the_classifier_reads() -> None:
    clip = play(ClipBuffer(ClipConfig()), [index * PERIOD_S for index in range(64)])[-1]
    assert clip.stack().shape == (64, 224, 224, 3)
    assert clip.stack().dtype == np.uint8


def test_clip_is_not_changed_by_later_frames() -> None:
    buffer = ClipBuffer(SMALL)
    clip = play(buffer, [index * PERIOD_S for index in range(64)])[-1]
    play(buffer, [index * PERIOD_S for index in range(64, 90)], first_index=64)
    assert indices(clip) == list(range(64))


@pytest.mark.parametrize("state", [TrackState.TENTATIVE, TrackState.DELETED])
def test_push_ignores_tracks_that_are_not_confirmed(state: TrackState) -> None:
    buffer = ClipBuffer(SMALL)
    assert play(buffer, [index * PERIOD_S for index in range(80)], person(state=state)) == []
    assert buffer.fill() == {}


def test_push_of_a_deleted_track_drops_its_buffer() -> None:
    buffer = ClipBuffer(SMALL)
    play(buffer, [0.0, 0.04])
    buffer.push(numbered_frame(2, 0.08), [person(state=TrackState.DELETED)])
    assert buffer.fill() == {}


def test_push_while_coasting_keeps_sampling() -> None:
    buffer = ClipBuffer(SMALL)
    play(buffer, [0.0, 0.04])
    buffer.push(numbered_frame(2, 0.08), [person(coasting_s=0.04)])
    assert buffer.fill() == {1: 3}


def test_push_after_coasting_for_too_long_restarts_the_buffer() -> None:
    buffer = ClipBuffer(SMALL)
    for index in range(60):
        buffer.push(numbered_frame(index, index * PERIOD_S), [person(coasting_s=index * PERIOD_S)])
    assert buffer.fill() == {}
    buffer.push(numbered_frame(60, 60 * PERIOD_S), [person()])
    assert buffer.fill() == {1: 1}


def test_push_after_a_track_was_missing_for_one_second_fills_the_gap() -> None:
    buffer = ClipBuffer(SMALL)
    play(buffer, [index * PERIOD_S for index in range(10)])
    for index in range(10, 34):
        assert buffer.push(numbered_frame(index, index * PERIOD_S), []) == []
    clips = buffer.push(numbered_frame(34, 34 * PERIOD_S), [person()])
    assert buffer.fill() == {1: 35}
    assert indices(clips[0])[-26:] == [9] * 25 + [34]


def test_push_after_a_track_was_missing_for_longer_restarts_the_buffer() -> None:
    buffer = ClipBuffer(SMALL)
    play(buffer, [index * PERIOD_S for index in range(10)])
    for index in range(10, 35):
        buffer.push(numbered_frame(index, index * PERIOD_S), [])
    buffer.push(numbered_frame(35, 35 * PERIOD_S), [person()])
    assert buffer.fill() == {1: 1}


def test_push_after_the_camera_stood_still_restarts_the_buffer() -> None:
    buffer = ClipBuffer(SMALL)
    play(buffer, [0.0, 0.04, 0.08])
    buffer.push(numbered_frame(3, 1.2), [person()])
    assert buffer.fill() == {1: 1}


def test_push_with_a_new_epoch_empties_all_buffers() -> None:
    buffer = ClipBuffer(SMALL)
    play(buffer, [index * PERIOD_S for index in range(60)])
    assert buffer.push(numbered_frame(60, 2.4, epoch=1), [person()]) == []
    assert buffer.fill() == {1: 1}


def test_push_with_time_going_back_starts_again() -> None:
    buffer = ClipBuffer(SMALL)
    play(buffer, [index * PERIOD_S for index in range(60)])
    clips = play(buffer, [index * PERIOD_S for index in range(64)], first_index=100)
    assert indices(clips[-1]) == list(range(100, 164))


def test_push_with_standing_time_takes_one_sample() -> None:
    buffer = ClipBuffer(SMALL)
    play(buffer, [5.0] * 30)
    assert buffer.fill() == {1: 1}


def test_push_keeps_tracks_apart() -> None:
    buffer = ClipBuffer(SMALL)
    for index in range(64):
        tracks = [person(1)] + ([person(2)] if index >= 40 else [])
        clips = buffer.push(numbered_frame(index, index * PERIOD_S), tracks)
    assert {clip.track_id: clip.filled for clip in clips} == {1: 64, 2: 24}
    assert min(indices(next(clip for clip in clips if clip.track_id == 2))) == 40


def test_push_of_more_tracks_than_allowed_counts_those_left_out() -> None:
    buffer = ClipBuffer(ClipConfig(size=2, max_tracks=3))
    buffer.push(numbered_frame(0, 0.0), [person(track_id) for track_id in range(5)])
    assert set(buffer.fill()) == {0, 1, 2}
    assert buffer.skipped == 2


def test_push_for_thousands_of_tracks_keeps_few_buffers() -> None:
    buffer = ClipBuffer(SMALL)
    for index in range(3_000):
        buffer.push(numbered_frame(index, index * PERIOD_S), [person(index // 3)])
        assert len(buffer.fill()) <= 10  # those of the last second
    assert buffer.skipped == 0


@pytest.mark.parametrize(
    "settings_", [{"provisional_from": 0}, {"provisional_from": 65}, {"hop": 0}, {"rate_hz": 0.0}, {"max_tracks": 0}]
)
def test_config_refuses_senseless_values(settings_: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="|".join(settings_)):
        ClipConfig(**settings_)  # type: ignore[arg-type]  # wrong on purpose


def test_back_and_forth_of_three_to_eight() -> None:
    assert back_and_forth(3, 8) == [1, 0, 1, 2, 1, 0, 1, 2]


def test_back_and_forth_of_nothing_raises() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        back_and_forth(0, 8)


@given(st.integers(1, 80), st.integers(1, 80))
def test_back_and_forth_is_continuous_and_ends_with_the_real_run(filled: int, length: int) -> None:
    order = back_and_forth(filled, length)
    real = min(filled, length)
    assert len(order) == length
    assert order[-real:] == list(range(filled - real, filled))
    assert all(0 <= index < filled for index in order)
    if filled > 1:
        assert all(abs(a - b) == 1 for a, b in itertools.pairwise(order))


STEPS_S = st.lists(st.floats(0.0, 0.4) | st.floats(0.0, 0.03) | st.just(0.04), min_size=1, max_size=120)


@settings(deadline=None)
@given(STEPS_S)
def test_any_frame_times_give_crops_that_belong_to_their_samples(steps_s: list[float]) -> None:
    """Each sample shows a frame that was there by then, and none that a sample period newer was passed over."""
    times_s = [10.0 + sum(steps_s[:count]) for count in range(len(steps_s))]
    config = ClipConfig(size=2, margin=0.0, provisional_from=1, hop=1)
    for clip in play(ClipBuffer(config), times_s):
        for place, index in enumerate(indices(clip)[-clip.filled :]):
            sample_s = clip.start_s + place * PERIOD_S
            assert times_s[index] <= sample_s + PERIOD_S / 2 + 1e-6
            newest_s = max(time_s for time_s in times_s if time_s <= max(sample_s - PERIOD_S / 2, times_s[0]))
            assert newest_s - times_s[index] <= PERIOD_S + 1e-6


@settings(deadline=None)
@given(STEPS_S)
def test_any_frame_times_give_25_samples_a_second(steps_s: list[float]) -> None:
    buffer, time_s = ClipBuffer(ClipConfig(length=100_000, provisional_from=100_000, size=2)), 0.0
    for index, step_s in enumerate(steps_s):
        time_s += step_s if index else 0.0
        buffer.push(numbered_frame(index, time_s), [person()])
    assert abs(buffer.fill()[1] - 1 - time_s * 25) <= 0.5 + 1e-3


EVENTS = st.lists(
    st.tuples(st.floats(-0.5, 1.5), st.sets(st.integers(1, 5)), st.floats(0, 1.5), st.booleans()), max_size=60
)


@settings(deadline=None)
@given(EVENTS)
def test_any_course_keeps_what_a_clip_promises(course: list[tuple[float, set[int], float, bool]]) -> None:
    config = ClipConfig(length=8, hop=3, provisional_from=4, size=2, max_tracks=3)
    buffer, time_s, epoch = ClipBuffer(config), 0.0, 0
    for index, (step_s, present, coasting_s, breaks) in enumerate(course):
        time_s, epoch = time_s + step_s, epoch + breaks
        frame = numbered_frame(index, time_s, epoch)
        clips = buffer.push(frame, [person(track_id, coasting_s=coasting_s) for track_id in sorted(present)])
        assert len(clips) == len({clip.track_id for clip in clips})
        for clip in clips:
            assert clip.track_id in present
            assert (len(clip.crops), clip.provisional) == (8, clip.filled < 8)
            assert 4 <= clip.filled <= 8
            assert clip.start_s <= clip.end_s == time_s
            assert index_in(clip.crops[-1]) <= index
        assert len(buffer.fill()) <= 3
        assert all(1 <= count <= 8 for count in buffer.fill().values())


@pytest.mark.parametrize("rate_hz", [10.0, 15.0, 25.0, 29.97, 60.0])
def test_sample_grid_gives_what_the_buffer_takes_frame_by_frame(rate_hz: float) -> None:
    jitter = np.random.default_rng(5).uniform(-0.01, 0.01, 200)
    times_s = [7.0 + max(0.0, index / rate_hz + jitter[index]) for index in range(200) if index % 23 not in (4, 5, 6)]
    times_s.sort()
    config = ClipConfig(size=2, margin=0.0, length=64, hop=1, provisional_from=64)
    newest = play(ClipBuffer(config), times_s)[-1]
    assert indices(newest) == sample_grid(times_s, 25.0)[-64:]


def test_sample_grid_of_nothing_is_empty() -> None:
    assert sample_grid([], 25.0) == []


def moved_on(clips: Sequence[Clip]) -> list[int]:
    """By how many samples each complete clip is the one before it moved on; the crops they share must be the same."""
    complete = [clip for clip in clips if not clip.provisional]
    steps = []
    for before, after in itertools.pairwise(complete):
        step = after.first_sample - before.first_sample
        assert indices(after)[: max(0, len(after.crops) - step)] == indices(before)[step:]
        steps.append(step)
    return steps


@pytest.mark.parametrize("rate_hz", [5.0, 10.0, 12.5, 15.0, 20.0, 25.0, 30.0, 60.0])
def test_complete_clips_of_a_steady_camera_are_an_even_number_of_samples_apart(rate_hz: float) -> None:
    clips = play(ClipBuffer(SMALL), [4.0 + index / rate_hz for index in range(int(20 * rate_hz))])
    steps = moved_on(clips)
    assert len(steps) >= 25
    assert all(step % 2 == 0 for step in steps)
    assert np.mean(steps) == pytest.approx(16, abs=0.5)
    for clip in clips:
        assert 4.0 + index_in(clip.crops[-1]) / rate_hz == pytest.approx(clip.end_s), "the newest frame ends the clip"


def test_complete_clip_at_10_fps_takes_the_repetition_that_the_next_sample_brings() -> None:
    """The frame at 3.1 s shows the samples 77 and 78; the next, at 3.2 s, is sample 80, so that 79 will repeat it."""
    times_s = [index * 0.1 for index in range(60)]
    clips = [clip for clip in play(ClipBuffer(SMALL), times_s) if not clip.provisional]
    assert [clip.first_sample for clip in clips[:4]] == [0, 16, 32, 48]
    assert [round(10 * clip.end_s) for clip in clips[:4]] == [25, 31, 38, 44]
    assert indices(clips[1])[-4:] == [30, 31, 31, 31]
    assert indices(clips[2])[-3:] == [37, 37, 38]


def test_complete_clip_leaves_out_a_repetition_beyond_its_mark() -> None:
    """A frame half way between the samples 80 and 79 shows both; the clip that ends before 80 leaves one out."""
    times_s = [index * PERIOD_S for index in range(79)] + [79.5 * PERIOD_S]
    clips = play(ClipBuffer(SMALL), times_s)
    assert (clips[-1].first_sample, clips[-1].filled) == (16, 64)
    assert indices(clips[-1])[-2:] == [78, 79]
    assert clips[-1].end_s == pytest.approx(79.5 * PERIOD_S)


def test_complete_clip_after_a_lost_frame_shows_the_newest_frame_rather_than_an_even_end() -> None:
    times_s = [index * PERIOD_S for index in range(200) if index != 79]
    clips = [clip for clip in play(ClipBuffer(SMALL), times_s) if not clip.provisional]
    assert [clip.first_sample for clip in clips[:4]] == [0, 17, 32, 48]
    assert index_in(clips[1].crops[-1]) == 79  # the frame after the lost one


def test_clips_with_an_odd_hop_end_with_the_sample_of_their_frame() -> None:
    config = ClipConfig(size=2, margin=0.0, hop=15)
    assert set(moved_on(play(ClipBuffer(config), [index * PERIOD_S for index in range(200)]))) == {15}


@settings(deadline=None)
@given(STEPS_S)
def test_any_frame_times_give_clips_whose_samples_stay_what_they_were(steps_s: list[float]) -> None:
    config = ClipConfig(length=16, hop=4, provisional_from=16, size=2, margin=0.0)
    clips = play(ClipBuffer(config), list(itertools.accumulate(steps_s)))
    moved_on(clips)
    for clip in clips:
        assert (clip.filled, len(clip.crops)) == (16, 16)
        assert clip.start_s <= clip.end_s
        assert clip.first_sample + 16 <= clip.end_s * 25 - steps_s[0] * 25 + 2.6  # at most one sample ahead


@pytest.mark.parametrize("rate_hz", [0.9, 0.5, 0.1])
def test_push_of_a_slow_camera_keeps_its_buffers_and_makes_no_clips_but_says_why(rate_hz: float) -> None:
    buffer = ClipBuffer(SMALL)
    assert play(buffer, [index / rate_hz for index in range(12)]) == []
    assert buffer.fill() == {1: 64}
    assert buffer.too_slow is not None
    assert buffer.too_slow.pictures_hz == pytest.approx(rate_hz)
    assert buffer.too_slow.least_hz == pytest.approx(LEAST_PICTURES * 25 / 64)


def test_least_rate_is_that_of_five_pictures_a_clip_and_no_more_than_five_a_second() -> None:
    assert ClipConfig().least_hz == pytest.approx(5 / 2.56)
    assert ClipConfig(length=16).least_hz == 5.0


def test_push_of_a_camera_fast_enough_for_a_label_makes_clips() -> None:
    buffer = ClipBuffer(SMALL)
    clips = play(buffer, [index / 2 for index in range(12)])
    assert buffer.too_slow is None and len(set(indices(clips[-1]))) >= LEAST_PICTURES


def test_push_of_a_camera_that_gets_faster_makes_clips_again_and_one_near_the_limit_does_not_swing() -> None:
    buffer = ClipBuffer(SMALL)
    play(buffer, [float(index) for index in range(12)])
    assert play(buffer, [12 + index / 5 for index in range(20)]) and buffer.too_slow is None
    least_hz, time_s, changes = SMALL.least_hz, 100.0, 0
    for index in range(100):
        before = buffer.too_slow
        time_s += (0.95 if index % 2 else 1.04) / least_hz
        buffer.push(numbered_frame(index, time_s), [person()])
        changes += (before is None) is not (buffer.too_slow is None)
    assert changes == 0


def test_push_of_a_slow_camera_whose_person_is_missed_once_keeps_the_buffer() -> None:
    buffer = ClipBuffer(SMALL)
    play(buffer, [0.0, 2.0, 4.0, 6.0])
    buffer.push(numbered_frame(4, 8.0), [person(coasting_s=2.0)])
    assert buffer.fill() == {1: 64}
    buffer.push(numbered_frame(5, 10.0), [person(coasting_s=4.0)])
    assert buffer.fill() == {}

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clips import ClipBuffer, ClipConfig
from pipeline.entities import Clip, Frame, Image, Track, TrackState
from pipeline.scene_clips import SceneClipBuffer, clip_buffer

SMALL = ClipConfig(length=8, hop=4, provisional_from=4, scene_hw=(2, 4))
PERIOD_S = 1 / SMALL.rate_hz
SIZE_HW = (20, 40)


def numbered_frame(index: int, time_s: float | None = None, epoch: int = 0) -> Frame:
    """A picture of one colour that tells its index (below 65536)."""
    image = np.zeros((*SIZE_HW, 3), np.uint8)
    image[..., 0], image[..., 1] = index % 256, index // 256
    time_s = index * PERIOD_S if time_s is None else time_s
    return Frame(image, index, time_s, 1_000.0 + time_s, 50.0 + time_s, epoch)


def person(track_id: int = 1, x: float = 0.0, state: TrackState = TrackState.CONFIRMED, coasting_s: float = 0) -> Track:
    """10 × 10 pixels at the left top + ``x``."""
    return Track(track_id, np.array([x, 0, x + 10, 10], np.float32), state, 0.9, coasting_s)


def play(buffer: SceneClipBuffer, indices: Sequence[int], tracks: Sequence[Track] = (person(),)) -> list[list[Clip]]:
    return [buffer.push(numbered_frame(index), tracks) for index in indices]


def shown(clip: Clip) -> list[int]:
    def index_in(picture: Image) -> int:
        return int(picture[0, 0, 0]) + 256 * int(picture[0, 0, 1])

    return [index_in(picture) for picture in clip.crops]


def test_push_gives_clips_at_the_first_samples_and_at_marks_of_the_grid() -> None:
    given_at = [index for index, clips in enumerate(play(SceneClipBuffer(SMALL), range(21))) if clips]
    assert given_at == [3, 7, 11, 15, 19]  # 4, 8, 12 … samples


def test_complete_clip_shows_the_newest_pictures_and_the_box_in_the_middle_one() -> None:
    buffer = SceneClipBuffer(SMALL)
    clips = [clip for index in range(12) for clip in buffer.push(numbered_frame(index), [person(x=index)])]
    last = clips[-1]
    assert shown(last) == list(range(4, 12))
    assert (last.filled, last.provisional, last.first_sample) == (8, False, 4)
    assert (last.start_s, last.end_s) == pytest.approx((4 * PERIOD_S, 11 * PERIOD_S))
    assert (last.captured_at, last.received_s) == pytest.approx((1000 + last.end_s, 50 + last.end_s))
    middle = 8  # picture number 4 of the clip
    assert last.box is not None
    assert last.box.dtype == np.float32
    assert last.box == pytest.approx([middle / 40, 0, (middle + 10) / 40, 0.5])


def test_pictures_are_whole_and_stretched_to_the_networks_size() -> None:
    image = np.zeros((*SIZE_HW, 3), np.uint8)
    image[:, 30:] = 200  # the right quarter
    buffer = SceneClipBuffer(SMALL)
    for index in range(4):
        clips = buffer.push(Frame(image, index, index * PERIOD_S, 0.0, 0.0), [person()])
    assert clips[0].stack().shape == (8, 2, 4, 3)
    np.testing.assert_array_equal(clips[0].crops[0][..., 0], [[0, 0, 0, 200]] * 2)


def test_picture_of_the_networks_own_size_is_a_copy() -> None:
    buffer = SceneClipBuffer(ClipConfig(length=8, provisional_from=1, scene_hw=SIZE_HW))
    frame = numbered_frame(7)
    clip = buffer.push(frame, [person()])[0]
    assert not np.shares_memory(clip.crops[-1], frame.image)


def test_tracks_share_pictures_and_complete_clips_share_the_tuple() -> None:
    buffer = SceneClipBuffer(SMALL)
    clips = play(buffer, range(16), [person(1), person(2, x=20)])[-1]
    assert [clip.track_id for clip in clips] == [1, 2]
    assert clips[0].crops is clips[1].crops
    assert clips[0].box is not None
    assert clips[1].box is not None
    assert clips[0].box.tolist() != clips[1].box.tolist()
    before = play(buffer, range(16, 20), [person(1)])[-1][0]
    assert before.crops[0] is clips[0].crops[4], "the same array in the next clip"


def test_clip_of_a_newcomer_does_not_reach_back_before_him() -> None:
    buffer = SceneClipBuffer(SMALL)
    play(buffer, range(30))
    clips = [clip for clips in play(buffer, range(30, 34), [person(1), person(2)]) for clip in clips]
    newcomer = next(clip for clip in clips if clip.track_id == 2)
    assert (newcomer.filled, newcomer.provisional) == (4, True)
    assert shown(newcomer)[-4:] == [30, 31, 32, 33]
    assert min(shown(newcomer)) == 30
    assert newcomer.start_s == pytest.approx(30 * PERIOD_S)


def test_provisional_clips_box_is_that_of_its_own_middle_picture() -> None:
    buffer = SceneClipBuffer(SMALL)
    clip = [clip for index in range(4) for clip in buffer.push(numbered_frame(index), [person(x=index)])][-1]
    assert clip.box is not None
    assert clip.box[0] == pytest.approx(shown(clip)[4] / 40)


def test_slow_camera_repeats_pictures_and_fast_one_is_thinned() -> None:
    slow = SceneClipBuffer(SMALL)
    clips = [slow.push(numbered_frame(index, index * 0.08), [person()]) for index in range(8)]
    newest = [clip for each in clips for clip in each][-1]
    assert len({id(picture) for picture in newest.crops}) == len(set(shown(newest)))
    assert max(shown(newest).count(index) for index in set(shown(newest))) == 2
    fast = SceneClipBuffer(SMALL)
    clips = [fast.push(numbered_frame(index, index * 0.01), [person()]) for index in range(60)]
    newest = [clip for each in clips for clip in each][-1]
    assert set(np.diff(shown(newest)).tolist()) == {4}


def test_nothing_is_sampled_while_nobody_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    scaled: list[int] = []

    def scale(image: Image, size: object) -> Image:
        scaled.append(1)
        return image

    monkeypatch.setattr("pipeline.scene_clips._scaled", scale)
    buffer = SceneClipBuffer(SMALL)
    assert play(buffer, range(20), [person(state=TrackState.TENTATIVE)]) == [[]] * 20
    assert not scaled
    play(buffer, range(20, 40), [person(number) for number in range(9)])
    assert len(scaled) == 20, "once a sample, however many people there are"
    assert set(buffer.fill().values()) == {8}


def test_person_who_is_missing_for_a_moment_keeps_the_place_where_he_was_seen() -> None:
    buffer = SceneClipBuffer(SMALL)
    play(buffer, range(6), [person(1, x=5), person(2)])
    play(buffer, range(6, 13), [person(2)])
    clips = play(buffer, range(13, 16), [person(1, x=25), person(2)])[-1]
    back = next(clip for clip in clips if clip.track_id == 1)
    assert (back.filled, shown(back)[4]) == (8, 12)
    assert back.box is not None
    assert back.box[0] == pytest.approx(5 / 40)


def test_no_clip_comes_of_a_person_who_is_not_there_now() -> None:
    buffer = SceneClipBuffer(SMALL)
    play(buffer, range(10), [person(1), person(2)])
    assert [clip.track_id for clips in play(buffer, range(10, 24), [person(2)]) for clip in clips] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    "frame",
    [numbered_frame(9, 9 * PERIOD_S, epoch=1), numbered_frame(9, 0.0), numbered_frame(9, 9 * PERIOD_S + 1.1)],
    ids=["new epoch", "time goes back", "camera stood still"],
)
def test_break_empties_the_buffer(frame: Frame) -> None:
    buffer = SceneClipBuffer(SMALL)
    play(buffer, range(9))
    assert buffer.push(frame, [person()]) == []
    assert buffer.fill() == {1: 1}
    after = [
        clip
        for step in range(1, 4)
        for clip in buffer.push(numbered_frame(9 + step, frame.time_s + step * PERIOD_S, frame.epoch), [person()])
    ]
    assert min(shown(after[0])) == 9


def test_deleted_and_long_coasting_tracks_are_dropped() -> None:
    buffer = SceneClipBuffer(SMALL)
    play(buffer, range(3), [person(1), person(2)])
    buffer.push(numbered_frame(3), [person(1, state=TrackState.DELETED), person(2, coasting_s=1.2)])
    assert buffer.fill() == {}


def test_more_tracks_than_allowed_are_counted() -> None:
    buffer = SceneClipBuffer(ClipConfig(scene_hw=(2, 2), max_tracks=2))
    play(buffer, [0], [person(number) for number in range(5)])
    assert set(buffer.fill()) == {0, 1}
    assert buffer.skipped == 3


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([-20, -5, 20, 10], [0, 0, 0.5, 0.5]),
        ([30, 10, 500, 90], [0.75, 0.5, 1, 1]),
        ([np.nan, 0, np.inf, 10], [0, 0, 1, 0.5]),
    ],
)
def test_box_over_the_border_or_broken_stays_within_the_picture(box: list[float], expected: list[float]) -> None:
    buffer = SceneClipBuffer(ClipConfig(length=8, provisional_from=1, scene_hw=(2, 2)))
    track = Track(1, np.array(box, np.float32), TrackState.CONFIRMED, 0.9)
    found = buffer.push(numbered_frame(0), [track])[0].box
    assert found is not None
    assert found.tolist() == pytest.approx(expected)


def test_clip_buffer_is_chosen_by_the_configuration() -> None:
    assert isinstance(clip_buffer(SMALL), SceneClipBuffer)
    assert isinstance(clip_buffer(ClipConfig()), ClipBuffer)
    with pytest.raises(ValueError, match="scene_hw"):
        SceneClipBuffer(ClipConfig())
    with pytest.raises(ValueError, match="scene_hw must be at least 1 pixel"):
        ClipConfig(scene_hw=(0, 4))


STEPS = st.lists(
    st.tuples(
        st.floats(0.0, 0.3) | st.just(PERIOD_S) | st.floats(-0.5, 1.5), st.sets(st.integers(1, 4)), st.booleans()
    ),
    max_size=60,
)


@settings(deadline=None)
@given(STEPS)
def test_any_course_keeps_what_a_clip_promises(course: list[tuple[float, set[int], bool]]) -> None:
    buffer, time_s, epoch = SceneClipBuffer(ClipConfig(length=8, hop=3, provisional_from=4, scene_hw=(2, 2))), 0.0, 0
    seen: dict[int, tuple[int, float]] = {}  # by frame: epoch and time
    for index, (step_s, present, breaks) in enumerate(course):
        time_s, epoch = time_s + step_s, epoch + breaks
        seen[index] = (epoch, time_s)
        clips = buffer.push(
            numbered_frame(index, time_s, epoch), [person(track_id, x=index % 30) for track_id in present]
        )
        assert len(clips) == len({clip.track_id for clip in clips})
        for clip in clips:
            pictures = shown(clip)
            assert clip.track_id in present
            assert (len(pictures), clip.provisional, clip.end_s) == (8, clip.filled < 8, time_s)
            assert clip.start_s <= clip.end_s
            assert all(seen[picture][0] == epoch for picture in pictures)
            assert all(a <= b for a, b in pairwise(pictures[-clip.filled :]))
            assert clip.box is not None
        assert all(0 <= count <= 8 for count in buffer.fill().values())
        assert len(buffer._pictures) <= 8


def test_slow_camera_keeps_its_pictures_and_makes_no_clips_but_says_why() -> None:
    buffer = SceneClipBuffer(SMALL)
    found = [buffer.push(numbered_frame(index, index / 0.9), [person()]) for index in range(12)]
    assert found == [[]] * 12
    assert buffer.fill() == {1: SMALL.length}
    assert buffer.too_slow is not None and buffer.too_slow.pictures_hz == pytest.approx(0.9)

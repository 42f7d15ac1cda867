from __future__ import annotations

import math
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.entities import Frame, FrameResult, Image, Track, TrackLabel, TrackState, Zone
from pipeline.overlay import color_of, draw, label_text, utc_clock
from tests.support.places import STREET


def result_of(
    image: Image, tracks: list[Track], labels: dict[int, TrackLabel] | None = None, fill: int = 32
) -> FrameResult:
    frame = Frame(image, 0, 0.0, 1_767_225_600.25, 0.0)
    return FrameResult(frame, tuple(tracks), labels or {}, {track.track_id: fill for track in tracks})


def person(track_id: int, *corners: float, state: TrackState = TrackState.CONFIRMED, coasting_s: float = 0.0) -> Track:
    return Track(track_id, np.array(corners, np.float32), state, 0.9, coasting_s)


def says(action: str, provisional: bool = False) -> TrackLabel:
    return TrackLabel(action, 0.83, {action: 0.83}, 0.0, provisional)


def grey(height: int = 360, width: int = 640) -> Image:
    return np.full((height, width, 3), 90, np.uint8)


def changed(before: Image, after: Image) -> np.ndarray:
    return np.asarray((before != after).any(axis=2))


def test_draw_leaves_the_frame_alone() -> None:
    image = grey()
    image.setflags(write=False)
    drawn = draw(result_of(image, [person(1, 100, 100, 200, 300)]))
    assert (image == 90).all()
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    assert not np.shares_memory(drawn, image)


def test_draw_frames_the_person_in_the_colour_of_the_id() -> None:
    drawn = draw(result_of(grey(), [person(5, 100, 100, 200, 300)]), clock="")
    assert tuple(drawn[200, 100]) == color_of(5)
    assert tuple(drawn[300, 150]) == color_of(5)
    assert tuple(drawn[200, 150]) == (90, 90, 90)


def test_draw_dashes_a_person_that_is_lost() -> None:
    seen = draw(result_of(grey(), [person(5, 100, 100, 200, 300)]), clock="")
    lost = draw(result_of(grey(), [person(5, 100, 100, 200, 300, coasting_s=0.6)]), clock="")
    side_seen, side_lost = changed(grey(), seen)[110:290, 100], changed(grey(), lost)[110:290, 100]
    assert side_seen.all()
    assert 0.3 < side_lost.mean() < 0.8
    assert np.abs(np.diff(side_lost.astype(int))).sum() > 8


def test_draw_keeps_the_line_solid_when_detection_left_out_a_frame() -> None:
    seen = draw(result_of(grey(), [person(5, 100, 100, 200, 300)]))
    between = draw(result_of(grey(), [person(5, 100, 100, 200, 300, coasting_s=0.08)]))
    assert np.array_equal(seen, between)


@pytest.mark.parametrize("state", [TrackState.TENTATIVE, TrackState.DELETED])
def test_draw_shows_confirmed_people_only(state: TrackState) -> None:
    drawn = draw(result_of(grey(), [person(1, 100, 100, 200, 300, state=state)]), clock="")
    assert np.array_equal(drawn, grey())


def test_draw_fills_the_bar_with_the_buffer() -> None:
    widths = []
    for fill in (0, 16, 32, 64, 80):
        drawn = draw(result_of(grey(), [person(5, 100, 200, 110, 300)], {5: says("walking")}, fill), clock="")
        bar_row = next(
            row for row in range(198, 150, -1) if (drawn[row, 300:] == 90).all() and (drawn[row, 150] != 90).any()
        )
        widths.append(int((drawn[bar_row] == color_of(5)).all(axis=1).sum()))
    assert widths[0] == 0
    assert widths[1] * 4 == pytest.approx(widths[3], abs=4)
    assert widths[2] * 2 == pytest.approx(widths[3], abs=2)
    assert widths[4] == widths[3] > 50


def test_draw_shows_the_clock_in_its_corner() -> None:
    drawn = draw(result_of(grey(), []))
    rows, columns = np.nonzero(changed(grey(), drawn))
    assert rows.max() < 40 and columns.min() > 320
    assert drawn.max() > 200


def test_draw_shows_another_clock_when_told() -> None:
    assert not np.array_equal(draw(result_of(grey(), []), clock="00:12"), draw(result_of(grey(), []), clock="00:13"))


@pytest.mark.parametrize("size_hw", [(360, 640), (576, 768), (1080, 1920), (240, 160)])
@pytest.mark.parametrize("corners", [(-20, -20, 30, 60), (600, 10, 700, 80), (10, 330, 60, 400), (0, 0, 640, 360)])
def test_draw_keeps_labels_whole_at_every_border(size_hw: tuple[int, int], corners: tuple[float, ...]) -> None:
    """A label whose box leaves the picture is as large as one in the middle: nothing of it is cut off."""
    image = grey(*size_hw)
    scale = np.array([size_hw[1] / 640, size_hw[0] / 360] * 2)
    middle = np.array([300, 170, 301, 171]) * scale

    def letters(box: np.ndarray) -> int:
        drawn = draw(result_of(image, [person(1, *box)], {1: says("walking")}), clock="")
        return int((drawn.min(axis=2) > 200).sum())

    assert letters(np.array(corners) * scale) == pytest.approx(letters(middle), rel=0.15)


def test_draw_shortens_a_label_wider_than_the_picture() -> None:
    image = grey(240, 160)
    long = draw(result_of(image, [person(1, 50, 100, 90, 200)], {1: says("opening a very large number of bottles")}))
    _rows, columns = np.nonzero(long.min(axis=2) > 200)
    assert columns.max() < 158


def test_draw_gives_labels_of_a_group_their_own_places() -> None:
    image = grey(720, 1280)
    group = [person(number, 400 + 30 * number, 300, 460 + 30 * number, 500) for number in range(3)]
    labels = {track.track_id: says("walking") for track in group}
    alone = sum(int((draw(result_of(image, [track], labels), clock="").min(axis=2) > 200).sum()) for track in group)
    together = int((draw(result_of(image, group, labels), clock="").min(axis=2) > 200).sum())
    assert together == pytest.approx(alone, rel=0.1)


def test_color_of_is_stable_and_distinct() -> None:
    colors = [color_of(number) for number in range(1, 13)]
    assert colors == [color_of(number) for number in range(1, 13)]
    nearest = min(math.dist(a, b) for index, a in enumerate(colors) for b in colors[:index])
    assert nearest > 30


def test_label_text_tells_id_action_and_confidence() -> None:
    assert label_text(7, says("walking")) == "#7 walking 83%"
    assert label_text(7, says("walking", provisional=True)) == "#7 walking 83%?"
    assert label_text(7, None) == "#7"
    assert label_text(7, says("walking"), ("squat", 3)) == "#7 walking 83% squat x3"
    assert label_text(7, None, ("squat", 1)) == "#7 squat x1"


def test_utc_clock_reads_as_a_date() -> None:
    assert utc_clock(1_767_225_600.25) == "2026-01-01 00:00:00.2 UTC"
    assert utc_clock(math.nan) == utc_clock(1e300) == ""


def test_draw_on_real_video_marks_boxes_and_leaves_the_rest() -> None:
    with av.open(str(STREET)) as container:
        image = next(container.decode(video=0)).to_ndarray(format="rgb24")
    tracks = [person(1, 300, 250, 340, 340), person(2, 600, 190, 640, 270, coasting_s=0.5)]
    for height in (360, 576, 1080):
        scale = height / image.shape[0]
        scaled = cv2.resize(image, None, fx=scale, fy=scale)
        people = [person(track.track_id, *(track.box_xyxy * scale), coasting_s=track.coasting_s) for track in tracks]
        share = changed(scaled, draw(result_of(scaled, people, {1: says("walking")}))).mean()
        assert 0.005 < share < 0.05


NUMBER = st.floats(width=32)


@settings(deadline=None)
@given(
    st.tuples(*[NUMBER] * 4), st.integers(1, 90), st.integers(1, 90), st.text(max_size=30), st.integers(-5, 200), NUMBER
)
def test_draw_of_anything_gives_a_picture(
    corners: tuple[float, ...], height: int, width: int, action: str, fill: int, captured_at: float
) -> None:
    track = person(1, *corners)
    frame = Frame(grey(height, width), 0, 0.0, captured_at, 0.0)
    drawn = draw(FrameResult(frame, (track,), {1: says(action)}, {1: fill}))
    assert drawn.shape == (height, width, 3)


def test_zones_are_drawn_as_outlines_with_their_names_and_nothing_inside() -> None:
    zone = Zone("gate", ((0.25, 0.5), (0.75, 0.5), (0.75, 0.95), (0.25, 0.95)))
    plain, image = result_of(grey(), []), grey()
    drawn = draw(replace(plain, zones=(zone,)), clock="")
    height, width = image.shape[:2]
    moved = changed(image, drawn)
    for x, y in ((0.5, 0.5), (0.5, 0.95), (0.25, 0.8), (0.75, 0.8)):  # the edges
        top, left = round(y * (height - 1)), round(x * (width - 1))
        assert moved[top - 2 : top + 3, left - 2 : left + 3].any(), (x, y)
    inside = moved[round(0.7 * height) : round(0.9 * height), round(0.3 * width) : round(0.7 * width)]
    assert not inside.any()
    named = draw(replace(plain, zones=(Zone("yard", zone.polygon),)), clock="")
    assert not np.array_equal(drawn, named)
    assert np.array_equal(draw(plain, clock=""), image)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=8), st.text(max_size=60))
def test_any_zone_can_be_drawn_into_any_picture(points: list[tuple[float, float]], name: str) -> None:
    for size in ((1, 1), (7, 300), (120, 160)):
        frame = Frame(np.zeros((*size, 3), np.uint8), 0, 0.0, 0.0, 0.0)
        assert draw(FrameResult(frame, (), zones=(Zone(name, tuple(points)),)), clock="").shape == (*size, 3)

"""Zones: what a polygon may be, who is inside, and how slowly people come and go. Pictures are 100 × 200 pixels."""

import math
import time
from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.entities import Polygon, Track, TrackState, Zone
from pipeline.zones import FRAMES, MAX_POINTS, MAX_ZONES, ZoneWatch, check_polygon, check_zones, contains, feet

Whole = tuple[int, int]
SIZE_HW = (100, 200)
LEFT: Polygon = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
GATE, YARD = Zone("gate", LEFT), Zone("yard", ((0.25, 0.5), (1.0, 0.5), (1.0, 1.0), (0.25, 1.0)))


def person(x: float, y: float, track_id: int = 1, coasting_s: float = 0.0, state: str = "confirmed") -> Track:
    """Whose feet stand at x, y in parts of the picture."""
    box = np.array([200 * x - 5, 100 * y - 20, 200 * x + 5, 100 * y], np.float32)
    return Track(track_id, box, TrackState(state), 0.9, coasting_s)


def star(angles: Sequence[float], radii: Sequence[float]) -> Polygon:
    """Points around the middle of the picture in the order of their angles: such a polygon never crosses itself."""
    return tuple(
        (0.5 + radius * math.cos(angle), 0.5 + radius * math.sin(angle))
        for angle, radius in zip(sorted(angles), radii, strict=True)
    )


def turns(count: int) -> st.SearchStrategy[Polygon]:
    """Stars whose points go all the way around, at most a third of a turn apart."""
    steps = st.lists(st.floats(0.0, 0.9), min_size=count, max_size=count)
    radii = st.lists(st.floats(0.05, 0.5), min_size=count, max_size=count)
    angles = steps.map(lambda shares: [2 * math.pi * (index + share) / count for index, share in enumerate(shares)])
    return st.builds(star, angles, radii)


stars = st.integers(6, MAX_POINTS).flatmap(turns)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], "expected 3 to 32 points, got 0"),
        ([(0, 0), (1, 1)], "expected 3 to 32 points, got 2"),
        ([(0.01 * n, 0.0001 * n * n) for n in range(33)], "expected 3 to 32 points, got 33"),
        ([(0, 0), (1.5, 0), (0, 1)], r"expected points in 0..1, got \(1.5, 0\) as point 2"),
        ([(0, 0), (math.nan, 0), (0, 1)], r"got \(nan, 0\) as point 2"),
        ([(0, 0), (1, 0), (0, -math.inf)], r"got \(0, -inf\) as point 3"),
        ([(0, 0), (1, 0), (0, 1), (0, 0)], "got one of them twice"),
        ([(0, 0), (0.5, 0.5), (1, 1)], "expected an area above 0"),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], "edges that do not cross, got edges 1 and 3"),
        ([(0, 0), (1, 0), (1, 1), (0.5, 0), (0, 1)], "edges that do not cross"),  # touches an edge
        ([(0, 0), (1, 0), (0.5, 0), (0.5, 1)], "edges that do not cross"),  # folds back
    ],
)
def test_polygon_that_is_none_is_refused_by_what_is_wrong(points, expected: str):
    with pytest.raises(ValueError, match=expected):
        check_polygon(points)


@settings(max_examples=60)
@given(stars)
def test_every_star_is_a_polygon_however_it_is_turned(polygon: Polygon):
    for turned in (polygon, polygon[::-1], polygon[2:] + polygon[:2]):
        checked = check_polygon(turned)
        assert np.allclose(checked, turned, atol=1e-6)
        assert check_polygon(checked) == checked


def parts_in_common(a: Sequence[Whole], b: Sequence[Whole]) -> set[Fraction] | None:
    """→ where on segment ``a`` (0..1) ``b`` meets it, in exact fractions; None where they share more than a point."""
    (ax, ay), (bx, by) = a[0], b[0]
    (rx, ry), (sx, sy) = (a[1][0] - ax, a[1][1] - ay), (b[1][0] - bx, b[1][1] - by)
    qx, qy, cross = bx - ax, by - ay, rx * sy - ry * sx
    if cross:
        t, u = Fraction(qx * sy - qy * sx, cross), Fraction(qx * ry - qy * rx, cross)
        return {t} if 0 <= t <= 1 and 0 <= u <= 1 else set()
    if qx * ry - qy * rx:
        return set()  # parallel
    square = rx * rx + ry * ry
    ends = sorted(Fraction((x - ax) * rx + (y - ay) * ry, square) for x, y in b)
    low, high = max(Fraction(0), ends[0]), min(Fraction(1), ends[1])
    return None if low < high else {low} & {high}


def is_simple(points: Sequence[Whole]) -> bool:
    edges = list(zip(points, [*points[1:], points[0]], strict=True))
    last = len(edges) - 1
    for j, second in enumerate(edges):
        for i, first in enumerate(edges[:j]):
            after, before = j == i + 1, (i, j) == (0, last)
            allowed = ({Fraction(1)} if after else set()) | ({Fraction(0)} if before else set())
            common = parts_in_common(first, second)
            if common is None or not common <= allowed:
                return False
    return True


small = st.tuples(st.integers(0, 4), st.integers(0, 4))


@settings(max_examples=300)
@given(st.lists(small, min_size=3, max_size=7, unique=True))
def test_what_crosses_is_told_as_exact_fractions_tell_it(points: list[Whole]):
    try:
        check_polygon([(x / 4, y / 4) for x, y in points])
        accepted = True
    except ValueError:
        accepted = False
    assert accepted == is_simple(points)


def test_names_are_one_in_any_spelling():
    with pytest.raises(ValueError, match="expected names that differ in more than case, got 'Straße' and 'STRASSE'"):
        check_zones([Zone("Straße", LEFT), Zone("STRASSE", LEFT)])
    with pytest.raises(ValueError, match="differ"):
        check_zones([Zone("caf\u00e9", LEFT), Zone("cafe\u0301", LEFT)])
    assert check_zones([GATE, YARD]) == (GATE, YARD)
    with pytest.raises(ValueError, match="at most 32 zones, got 33"):
        check_zones([Zone(f"zone {n}", LEFT) for n in range(MAX_ZONES + 1)])


@settings(max_examples=60)
@given(st.lists(stars, min_size=1, max_size=5), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1))
def test_points_lie_where_opencv_says(polygons: list[Polygon], points: list[tuple[float, float]]):
    zones = [Zone(str(n), polygon) for n, polygon in enumerate(polygons)]
    got = contains(zones, np.array(points))
    for column, polygon in enumerate(polygons):
        outline = np.array(polygon, np.float32)[:, None] * 1000
        for row, (x, y) in enumerate(points):
            distance = cv2.pointPolygonTest(outline, (x * 1000, y * 1000), True)
            if abs(distance) > 0.01:  # nearer than a thousandth of a pixel either answer is right
                assert got[row, column] == (distance > 0)


def test_feet_are_the_bottom_centre_of_what_is_visible():
    boxes = np.array([[20, 10, 40, 50], [-40, 10, 20, 50], [150, 60, 190, 400]], np.float32)
    assert np.allclose(feet(boxes, SIZE_HW), [[0.15, 0.5], [0.05, 0.5], [0.85, 1.0]], atol=2e-6)


def test_person_cut_off_by_the_picture_is_in_the_zone_that_reaches_its_border():
    whole = Zone("all", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
    beyond = np.array([[-9, 50, -3, 400], [197, -4, 300, 700], [50, -40, 60, -20]], np.float32)
    assert contains([whole], feet(beyond, SIZE_HW)).all()


def test_three_frames_in_and_three_out():
    watch = ZoneWatch([GATE])
    seen = [watch.update([person(x, 0.9)], SIZE_HW, True).get(1, ()) for x in [0.2] * 4 + [0.8] * 4]
    assert seen == [(), (), ("gate",), ("gate",), ("gate",), ("gate",), (), ()]


def test_box_that_trembles_at_an_edge_stays_where_it_was():
    watch = ZoneWatch([GATE])
    assert not any(watch.update([person(x, 0.9)], SIZE_HW, True) for x in [0.49, 0.49, 0.51] * 5)
    for _ in range(3):
        watch.update([person(0.3, 0.9)], SIZE_HW, True)
    assert all(watch.update([person(x, 0.9)], SIZE_HW, True) for x in [0.51, 0.51, 0.49] * 5)


def test_frames_that_nobody_looked_at_and_people_not_seen_count_for_nothing():
    watch = ZoneWatch([GATE])
    for _ in range(9):
        assert not watch.update([person(0.2, 0.9)], SIZE_HW, analysed=False)
        assert not watch.update([person(0.2, 0.9, coasting_s=0.4)], SIZE_HW, analysed=True)
    for _ in range(3):
        inside = watch.update([person(0.2, 0.9), person(0.8, 0.9, 2, coasting_s=0.1)], SIZE_HW, True)
    assert inside == {1: ("gate",)}
    for _ in range(9):
        assert watch.update([person(0.8, 0.9, coasting_s=0.4)], SIZE_HW, True) == {1: ("gate",)}


def test_what_is_known_of_a_track_goes_with_it_and_its_last_frame_still_tells():
    watch = ZoneWatch([GATE, YARD])
    for _ in range(3):
        inside = watch.update([person(0.3, 0.9), person(0.9, 0.9, 2)], SIZE_HW, True)
    assert inside == {1: ("gate", "yard"), 2: ("yard",)}
    assert watch.update([person(0.9, 0.9, 2), person(0.3, 0.9, 1, state="deleted")], SIZE_HW, True) == {2: ("yard",)}
    assert watch.of(1) == ("gate", "yard")
    watch.update([person(0.9, 0.9, 2)], SIZE_HW, True)
    assert (watch.of(1), watch.of(2)) == ((), ("yard",))
    assert watch.update([person(0.3, 0.9)], SIZE_HW, True) == {}  # the same number again is somebody new


def test_other_zones_count_anew_and_those_that_stay_keep_who_is_in():
    watch = ZoneWatch([GATE, YARD])
    people = [person(0.3, 0.9)]
    for _ in range(3):
        watch.update(people, SIZE_HW, True)
    watch.zones = (Zone("door", LEFT), YARD)
    assert [watch.update(people, SIZE_HW, True)[1] for _ in range(3)] == [("yard",), ("yard",), ("door", "yard")]
    watch.zones = ()
    assert watch.update(people, SIZE_HW, True) == {}
    assert watch.shown == ()


def by_hand(inside: Sequence[bool]) -> list[bool]:
    """The rule in its plainest form, for one track and zone."""
    state, told = False, []
    for n in range(len(inside)):
        newest = inside[max(0, n - FRAMES + 1) : n + 1]
        if len(newest) == FRAMES and all(now is not state for now in newest):
            state = not state
        told.append(state)
    return told


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=40), min_size=1, max_size=4))
def test_each_track_and_zone_follows_the_rule_for_itself(walks: list[list[bool]]):
    watch = ZoneWatch([GATE, Zone("rest", tuple((1 - x, y) for x, y in LEFT))])
    told: dict[int, list[tuple[str, ...]]] = {}
    for n in range(max(map(len, walks))):
        people = [person(0.2 if walk[n] else 0.8, 0.5, i) for i, walk in enumerate(walks) if n < len(walk)]
        inside = watch.update(people, SIZE_HW, True)
        for track in people:
            told.setdefault(track.track_id, []).append(inside.get(track.track_id, ()))
    for i, walk in enumerate(walks):
        expected = zip(by_hand(walk), by_hand([not step for step in walk]), strict=True)
        assert [("gate" in names, "rest" in names) for names in told[i]] == list(expected)


@given(st.lists(st.floats(width=32), min_size=4, max_size=4))
def test_any_box_is_taken(box: list[float]):
    watch = ZoneWatch([GATE, YARD])
    for _ in range(3):
        inside = watch.update([Track(1, np.array(box, np.float32), TrackState.CONFIRMED, 0.5)], SIZE_HW, True)
    assert set(inside.get(1, ())) <= {"gate", "yard"}


def test_300_people_and_32_zones_take_a_small_part_of_a_frame():
    shape = star([2 * math.pi * n / MAX_POINTS for n in range(MAX_POINTS)], [0.4] * MAX_POINTS)
    watch = ZoneWatch([Zone(str(n), shape) for n in range(MAX_ZONES)])
    rng = np.random.default_rng(3)
    people = [person(x, y, n) for n, (x, y) in enumerate(rng.uniform(0, 1, (300, 2)))]
    took_s = []
    for _ in range(5):
        begin = time.perf_counter()
        inside = watch.update(people, SIZE_HW, True)
        took_s.append(time.perf_counter() - begin)
    assert 100 < len(inside) < 200  # 0.4² π of the picture
    assert min(took_s) < 0.05  # measured: 6 ms

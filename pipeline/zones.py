"""Zones of a picture, and who is in which: pure functions, and the state that smooths them from frame to frame.

A zone is a simple polygon in parts of the picture's width and height (0..1). A person is where the bottom centre of the
visible box is, about where the feet stand. Somebody is in a zone after three analysed frames in a row inside it, and no
more in it after three outside, so that a box that trembles at an edge makes no coming and going.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pipeline.entities import Floats, Point, Polygon, Track, TrackState, Zone
from pipeline.geometry import normalise

MAX_ZONES = 32  # a stream
MIN_POINTS, MAX_POINTS = 3, 32
FRAMES = 3  # analysed frames in a row that move somebody in or out
_GRID = 1_000_000  # points lie on a grid of 1e-6, so that crossings are decided in whole numbers
_EDGE = 1e-6  # feet at the very border of the picture count as just inside it

_GridPoint = tuple[int, int]
_Segment = tuple[_GridPoint, _GridPoint]


def zone_key(name: str) -> str:
    """→ what names are compared by: two spellings of one name are one zone."""
    return unicodedata.normalize("NFC", name).casefold()


def check_zones(zones: Sequence[Zone]) -> tuple[Zone, ...]:
    """→ the zones of one stream, their points on the grid. Raises ValueError: what was expected, and what came."""
    if len(zones) > MAX_ZONES:
        raise ValueError(f"expected at most {MAX_ZONES} zones, got {len(zones)}")
    checked = tuple(Zone(zone.name, check_polygon(zone.polygon)) for zone in zones)
    check_names([zone.name for zone in checked])
    return checked


def check_names(names: Sequence[str]) -> None:
    """Raises ValueError where two zones have one name."""
    seen: dict[str, str] = {}
    for name in names:
        before = seen.setdefault(zone_key(name), name)
        if before is not name:
            raise ValueError(f"expected names that differ in more than case, got {before!r} and {name!r}")


def check_polygon(points: Sequence[Point]) -> Polygon:
    """→ the polygon with its points on the grid. Raises ValueError unless it is one closed line around some area."""
    if not MIN_POINTS <= len(points) <= MAX_POINTS:
        raise ValueError(f"expected {MIN_POINTS} to {MAX_POINTS} points, got {len(points)}")
    for number, (x, y) in enumerate(points, 1):
        if not (0 <= x <= 1 and 0 <= y <= 1):  # NaN is neither
            raise ValueError(f"expected points in 0..1, got ({x:g}, {y:g}) as point {number}")
    grid = [(round(x * _GRID), round(y * _GRID)) for x, y in points]
    if len(set(grid)) < len(grid):
        raise ValueError("expected points that differ, got one of them twice")
    if all(_turn(grid[0], grid[1], point) == 0 for point in grid):
        raise ValueError("expected an area above 0, got points on one line")
    _check_simple(grid)
    return tuple((x / _GRID, y / _GRID) for x, y in grid)


def _edges(points: Sequence[_GridPoint]) -> list[_Segment]:
    return list(zip(points, [*points[1:], points[0]], strict=True))


def _check_simple(points: Sequence[_GridPoint]) -> None:
    """Raises ValueError where two edges meet elsewhere than in the point that neighbours share."""
    edges = _edges(points)
    for (i, a), (j, b) in combinations(enumerate(edges), 2):
        neighbours = j == i + 1 or (i == 0 and j == len(edges) - 1)
        if _fold_back(a, b) if neighbours else _meet(a, b):
            raise ValueError(f"expected edges that do not cross, got edges {i + 1} and {j + 1} that do")


def _turn(a: _GridPoint, b: _GridPoint, c: _GridPoint) -> int:
    """→ 1, 0 or -1: on which side of the line through ``a`` and ``b`` the point ``c`` lies."""
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (cross > 0) - (cross < 0)


def _meet(a: _Segment, b: _Segment) -> bool:
    """Whether two segments have a point in common."""
    if _turn(*a, b[0]) != _turn(*a, b[1]) and _turn(*b, a[0]) != _turn(*b, a[1]):
        return True
    return any(_on(a, point) for point in b) or any(_on(b, point) for point in a)


def _on(segment: _Segment, point: _GridPoint) -> bool:
    (x1, y1), (x2, y2) = segment
    within = min(x1, x2) <= point[0] <= max(x1, x2) and min(y1, y2) <= point[1] <= max(y1, y2)
    return within and _turn(*segment, point) == 0


def _fold_back(a: _Segment, b: _Segment) -> bool:
    """Whether two neighbours overlap: both end on the other's line, beyond the point that they share."""
    shared = next(iter(set(a) & set(b)))
    ends = [next(point for point in segment if point != shared) for segment in (a, b)]
    return _on(a, ends[1]) or _on(b, ends[0])


class _Areas:
    """All edges of all zones in arrays, so that many points are told at once."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        starts = [point for zone in zones for point in zone.polygon]
        ends = [point for zone in zones for point in (*zone.polygon[1:], zone.polygon[0])]
        self._first = np.cumsum([0, *(len(zone.polygon) for zone in zones[:-1])])  # of each zone's edges
        self._x1, self._y1 = np.array(starts, np.float64).reshape(-1, 2).T  # (E,)
        self._x2, self._y2 = np.array(ends, np.float64).reshape(-1, 2).T
        rise = self._y2 - self._y1
        self._run = np.divide(self._x2 - self._x1, rise, out=np.zeros_like(rise), where=rise != 0)  # x for each y

    def contain(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N, 2) x, y in 0..1 → (N, Z): by the number of edges to the right of each point, odd inside."""
        x, y = points[:, :1], points[:, 1:]  # (N, 1)
        spans = (self._y1 > y) != (self._y2 > y)  # (N, E)
        right = spans & (x < self._x1 + (y - self._y1) * self._run)
        return np.asarray(np.add.reduceat(right, self._first, axis=1, dtype=np.int64) % 2 == 1)


def feet(boxes_xyxy: Floats, size_hw: tuple[int, int]) -> NDArray[np.float64]:
    """(N, 4) pixels → (N, 2) bottom centres of what is visible of the boxes, x and y in 0..1 of the picture."""
    boxes = normalise(boxes_xyxy, size_hw).astype(np.float64)
    centres = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)
    return np.clip(centres, _EDGE, 1 - _EDGE)


def contains(zones: Sequence[Zone], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N, 2) x, y in 0..1 → (N, Z): which points lie in which zones."""
    return _Areas(zones).contain(points) if zones else np.zeros((len(points), 0), bool)


class ZoneWatch:
    """Who is in which zone of one stream. It belongs to the stream's own thread; ``zones`` may be set from any.

    A frame counts when the detector looked at it, and for those whom it saw there: between, people stay where they
    were. Somebody new is in no zone at first. What is known of a track goes with the track. ``shown``: the zones of the
    newest frame.
    """

    def __init__(self, zones: Sequence[Zone] = ()) -> None:
        self.zones: tuple[Zone, ...] = tuple(zones)
        self.shown = self.zones
        self._areas = _Areas(self.zones) if zones else None
        self._rows: dict[int, int] = {}  # track_id → its row
        self._inside = np.zeros((0, len(zones)), bool)  # (N, Z)
        self._against = np.zeros((0, len(zones)), np.int8)  # (N, Z) frames in a row that say otherwise
        self._names: dict[int, tuple[str, ...]] = {}
        self._left: dict[int, tuple[str, ...]] = {}  # of those who have just gone

    def update(
        self, tracks: Sequence[Track], size_hw: tuple[int, int], analysed: bool
    ) -> Mapping[int, tuple[str, ...]]:
        """One frame → the names of the zones that each present track is in, by track_id; those in none are left out."""
        self._take_change()
        present = [track for track in tracks if track.state is not TrackState.DELETED]
        self._follow(present)
        seen = np.array([track.coasting_s == 0 for track in present], bool)
        if analysed and self._areas is not None and seen.any():
            boxes = np.stack([track.box_xyxy for track in present])  # (N, 4)
            self._move(self._areas.contain(feet(boxes, size_hw)), seen)
        before, self._names = self._names, self._named()
        self._left = {track_id: names for track_id, names in before.items() if track_id not in self._rows}
        return self._names

    def of(self, track_id: int) -> tuple[str, ...]:
        """→ the zones of a track at the newest frame; of one that left with this frame, where it was last."""
        return self._names.get(track_id) or self._left.get(track_id, ())

    def _take_change(self) -> None:
        """Other zones: those that stay as they are keep who is in them."""
        zones = self.zones
        if zones is self.shown:
            return
        old = {zone: column for column, zone in enumerate(self.shown)}
        shape = (len(self._rows), len(zones))
        inside, against = np.zeros(shape, bool), np.zeros(shape, np.int8)
        for column, zone in enumerate(zones):
            if zone in old:
                inside[:, column], against[:, column] = self._inside[:, old[zone]], self._against[:, old[zone]]
        self.shown, self._inside, self._against = zones, inside, against
        self._areas = _Areas(zones) if zones else None

    def _follow(self, present: Sequence[Track]) -> None:
        """One row for each present track: the one that it had, or an empty one."""
        fresh = len(self._rows)  # where the empty row is added
        rows = [self._rows.get(track.track_id, fresh) for track in present]
        empty = np.zeros((1, self._inside.shape[1]), np.int8)
        self._inside = np.concatenate([self._inside, empty.astype(bool)])[rows]
        self._against = np.concatenate([self._against, empty])[rows]
        self._rows = {track.track_id: row for row, track in enumerate(present)}

    def _move(self, contained: NDArray[np.bool_], seen: NDArray[np.bool_]) -> None:
        """``contained`` (N, Z): where the feet are now; ``seen`` (N,): whose."""
        counted = np.where(contained != self._inside, self._against + 1, 0).astype(np.int8)
        self._against = np.where(seen[:, None], counted, self._against)
        moved = self._against >= FRAMES
        self._inside, self._against = self._inside ^ moved, np.where(moved, 0, self._against).astype(np.int8)

    def _named(self) -> dict[int, tuple[str, ...]]:
        names = [zone.name for zone in self.shown]
        occupied = np.flatnonzero(self._inside.any(axis=1)) if names else ()
        ids = list(self._rows)
        return {ids[row]: tuple(names[column] for column in np.flatnonzero(self._inside[row])) for row in occupied}

"""Draws what is known about a frame into a copy of it: for recordings, snapshots and the live picture.

All sizes follow the picture's height, so that 360 and 1080 lines read alike. OpenCV's line fonts know ASCII only;
other characters become "?". OpenCV draws the channels in the order they come: colours here are RGB like the picture.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.entities import FrameResult, Image, Track, TrackLabel, TrackState, Zone

_Color = tuple[int, int, int]
_Rect = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_COASTING_FROM_S = 0.3  # frames that are left out by the detection stride are no loss, and dashes would flicker
_WHITE: _Color = (255, 255, 255)
_DARK: _Color = (16, 16, 16)
_ZONE: _Color = (255, 200, 60)


@dataclass(frozen=True)
class _Pen:
    """Sizes in pixels for one picture height."""

    font: float
    stroke: int  # of letters
    line: int  # of boxes
    pad: int
    bar: int

    @classmethod
    def for_height(cls, height: int) -> _Pen:
        unit = max(height, 120) / 720
        line = max(1, round(2 * unit))
        stroke, gap = max(1, round(1.4 * unit)), max(2, round(5 * unit))
        return cls(max(0.38, 0.55 * unit), stroke, line, pad=gap, bar=gap)


def draw(result: FrameResult, buffer_size: int = 64, clock: str | None = None) -> Image:
    """The frame with zones, the wall clock, and for every confirmed track box, ID, action, confidence and buffer fill.

    → new uint8 (H, W, 3) RGB; ``result`` is left as it is. A coasting track's box is dashed and paler. A provisional
    label ends in "?". ``buffer_size`` is what a full buffer holds. ``clock`` replaces the frame's time in UTC.
    """
    image = np.ascontiguousarray(result.frame.image).copy()
    pen = _Pen.for_height(image.shape[0])
    tracks = [track for track in result.tracks if _is_drawable(track)]
    for zone in result.zones:
        _draw_outline(image, zone, pen)
    for track in tracks:
        _draw_box(image, track, pen)
    taken: list[_Rect] = []
    _draw_clock(image, utc_clock(result.frame.captured_at) if clock is None else clock, pen, taken)
    # The lowest box is nearest to the camera and drawn last, but its label gets the first choice of place.
    for track in sorted(tracks, key=lambda item: -float(item.box_xyxy[3])):
        fill = result.buffers.get(track.track_id, 0) / max(1, buffer_size)
        text = label_text(track.track_id, result.labels.get(track.track_id), result.counted.get(track.track_id))
        panel = _Panel(text, color_of(track.track_id), fill)
        rect = _place(panel.size(pen, image), _pixel_box(track, image), image, taken)
        taken.append(rect)
        panel.draw(image, rect, pen)
    for zone in result.zones:  # people's labels have the first choice of place
        _draw_name(image, zone, pen, taken)
    return image


def write_plate(image: Image, lines: Sequence[str]) -> None:
    """Writes lines of text into the middle of a picture, uint8 (H, W, 3) RGB, in place."""
    pen = _Pen.for_height(image.shape[0])
    panels = [_Panel(text, _WHITE) for text in lines]
    sizes = [panel.size(pen, image) for panel in panels]
    top = (image.shape[0] - sum(height for _, height in sizes)) // 2
    for panel, (width, height) in zip(panels, sizes, strict=True):
        rect = _inside((image.shape[1] - width) // 2, top, (width, height), image)
        panel.draw(image, rect, pen)
        top += height


def _corners(zone: Zone, image: Image) -> NDArray[np.int32]:
    """→ (P, 2) x, y in pixels."""
    height, width = image.shape[:2]
    return np.asarray(np.rint(np.array(zone.polygon) * (width - 1, height - 1)), np.int32)


def _draw_outline(image: Image, zone: Zone, pen: _Pen) -> None:
    cv2.polylines(image, [_corners(zone, image)], True, _ZONE, pen.line, cv2.LINE_AA)


def _draw_name(image: Image, zone: Zone, pen: _Pen, taken: list[_Rect]) -> None:
    """Within the zone's top left where there is room, else near it."""
    (x1, y1), (x2, y2) = _corners(zone, image).min(axis=0), _corners(zone, image).max(axis=0)
    panel = _Panel(zone.name, _ZONE)
    size = panel.size(pen, image)
    rect = _place(size, (int(x1), int(y1) + size[1], int(x2), int(y2)), image, taken)
    taken.append(rect)
    panel.draw(image, rect, pen)


def color_of(track_id: int) -> _Color:
    """→ RGB. The same ID always has the same colour; neighbouring IDs differ clearly (golden-ratio steps of hue)."""
    red, green, blue = colorsys.hsv_to_rgb(track_id * 0.618034 % 1.0, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def label_text(track_id: int, label: TrackLabel | None, counted: tuple[str, int] | None = None) -> str:
    """→ ``#7 walking 83%``, with a ``?`` when the label is provisional; the ID alone without a label.

    ``counted``: an exercise and its repetitions so far, → ``#7 squat 83% squat x3``.
    """
    words = [f"#{track_id}"]
    if label is not None:
        words.append(f"{label.action} {label.confidence:.0%}{'?' if label.provisional else ''}")
    if counted is not None:
        words.append(f"{counted[0]} x{counted[1]}")
    return " ".join(words)


def utc_clock(captured_at: float) -> str:
    """Unix time → ``2026-01-31 12:34:56.7 UTC``; empty where no calendar has such a time."""
    try:
        moment = datetime.fromtimestamp(captured_at, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return ""
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 100_000} UTC"


def _is_drawable(track: Track) -> bool:
    return track.state is TrackState.CONFIRMED and bool(np.isfinite(track.box_xyxy).all())


def _pixel_box(track: Track, image: Image) -> _Rect:
    """The box in whole pixels, limited to a little more than the image: OpenCV fails on huge coordinates."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(value) for value in track.box_xyxy)
    xs, ys = np.clip([x1, x2], -width, 2 * width), np.clip([y1, y2], -height, 2 * height)
    return round(xs[0]), round(ys[0]), round(xs[1]), round(ys[1])


def _draw_box(image: Image, track: Track, pen: _Pen) -> None:
    x1, y1, x2, y2 = _pixel_box(track, image)
    color = color_of(track.track_id)
    if track.coasting_s <= _COASTING_FROM_S:
        cv2.rectangle(image, (x1, y1), (x2, y2), color, pen.line)
        return
    pale = tuple((channel + 255) // 2 for channel in color)
    for start, end in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
        _draw_dashes(image, start, end, pale, pen.line)


def _draw_dashes(image: Image, start: tuple[int, int], end: tuple[int, int], color: tuple[int, ...], line: int) -> None:
    a, b = np.array(start, float), np.array(end, float)
    count = max(1, int(np.hypot(*(b - a)) / (5 * line + 3)))
    for index in range(0, count, 2):
        p, q = a + (b - a) * index / count, a + (b - a) * (index + 1) / count
        cv2.line(image, (round(p[0]), round(p[1])), (round(q[0]), round(q[1])), color, line)


@dataclass(frozen=True)
class _Panel:
    """A dark, see-through plate with one line of text; ``fill`` (0..1) adds the bar of the track's buffer below it."""

    text: str
    color: _Color
    fill: float | None = None

    def size(self, pen: _Pen, image: Image) -> tuple[int, int]:
        """→ (width, height) in pixels, never more than the image's."""
        (width, height), baseline = cv2.getTextSize(_fitting(self.text, pen, image), _FONT, pen.font, pen.stroke)
        bar = 0 if self.fill is None else pen.bar
        return min(image.shape[1], width + 2 * pen.pad), min(image.shape[0], height + baseline + pen.pad + bar)

    def draw(self, image: Image, rect: _Rect, pen: _Pen) -> None:
        x1, y1, x2, y2 = rect
        plate = image[y1:y2, x1:x2]
        plate[:] = plate // 3 + np.array(_DARK, np.uint8)
        text = _fitting(self.text, pen, image)
        (_, height), _ = cv2.getTextSize(text, _FONT, pen.font, pen.stroke)
        # Drawn into the plate alone, so that no stroke can leave it.
        cv2.putText(plate, text, (pen.pad, height + pen.pad // 2), _FONT, pen.font, _WHITE, pen.stroke, cv2.LINE_AA)
        if self.fill is not None:
            plate[-pen.bar :] = np.array(self.color, np.uint8) // 4
            plate[-pen.bar :, : round(plate.shape[1] * min(1.0, max(0.0, self.fill)))] = self.color


def _fitting(text: str, pen: _Pen, image: Image) -> str:
    """The text as far as the image is wide, in characters that the font has; ".." marks what was cut off."""
    text = "".join(char if " " <= char <= "~" else "?" for char in text)
    room = image.shape[1] - 2 * pen.pad
    if cv2.getTextSize(text, _FONT, pen.font, pen.stroke)[0][0] <= room:
        return text
    while text and cv2.getTextSize(text + "..", _FONT, pen.font, pen.stroke)[0][0] > room:
        text = text[:-1]
    return text + ".." if text else ""


def _place(size: tuple[int, int], box: _Rect, image: Image, taken: list[_Rect]) -> _Rect:
    """A place for a label inside the image: above its box, else below, else within; the first that covers no other."""
    (width, height), (x1, y1, x2, y2) = size, box
    wishes = [(x1, y1 - height), (x1, y2), (x1, y1), (x2 - width, y1 - height), (x2, y1), (x1 - width, y1)]
    places = [_inside(left, top, size, image) for left, top in wishes]
    free = (place for place in places if not any(_overlap(place, other) for other in taken))
    return next(free, places[0])


def _inside(left: int, top: int, size: tuple[int, int], image: Image) -> _Rect:
    x1 = max(0, min(left, image.shape[1] - size[0]))
    y1 = max(0, min(top, image.shape[0] - size[1]))
    return x1, y1, x1 + size[0], y1 + size[1]


def _overlap(a: _Rect, b: _Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _draw_clock(image: Image, text: str, pen: _Pen, taken: list[_Rect]) -> None:
    """In the top right corner."""
    if not text:
        return
    panel = _Panel(text, _WHITE)
    rect = _inside(image.shape[1], 0, panel.size(pen, image), image)
    taken.append(rect)
    panel.draw(image, rect, pen)

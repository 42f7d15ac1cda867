"""Person tracks and actions from CVAT's "CVAT for video 1.1" XML.

    <annotations>…<track id="0" label="person"><box frame="0" outside="0" xtl=… ytl=… xbr=… ybr=…>
    <attribute name="action">Walking</attribute></box>…</track></annotations>

Frames count from 0 there, from 1 here. Between two boxes of a track the box moves on a straight line, as CVAT draws
it; from a box with ``outside="1"`` on there is none. What a person does is the attribute ``action`` of the box (or of
the track), and where there is none the track's label. https://docs.cvat.ai/docs/manual/advanced/xml_format/
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from models.data.imports.motchallenge import BoxTrack, between, raise_problems
from models.errors import DatasetError
from pipeline.entities import Floats

ACTION_ATTRIBUTE = "action"


@dataclass(frozen=True, slots=True)
class ActionRange:
    """What one person does from frame ``start`` to ``end`` (from 1, both included)."""

    track_id: int
    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class CvatTracks:
    """The content of one file. ``source``: name of the video it was made for, empty where the file does not say."""

    source: str
    tracks: tuple[BoxTrack, ...]
    actions: tuple[ActionRange, ...]


@dataclass(frozen=True, slots=True)
class _Box:
    frame: int  # from 1
    outside: bool
    box_xyxy: Floats
    action: str


def read_cvat(path: Path) -> CvatTracks:
    """Read a file element by element. Raises DatasetError listing everything that is wrong with it."""
    source, tracks, actions, problems = "", [], [], list[str]()
    try:
        # expat bounds the expansion of entities itself, and fetches nothing from outside
        for _event, element in ElementTree.iterparse(path):  # noqa: S314
            if element.tag == "source" and not source:
                source = (element.text or "").strip()
            if element.tag != "track":
                continue
            boxes = _boxes(element, problems, str(path))
            track_id = _track_id(element, problems, str(path))
            element.clear()
            if any(not box.outside for box in boxes):
                tracks.append(BoxTrack(track_id, _every_frame(boxes)))
                actions.extend(_ranges(track_id, boxes))
    except (OSError, ElementTree.ParseError) as error:
        raise DatasetError(f"{path} is no CVAT XML that can be read: {error}") from error
    raise_problems(problems + _repeated(tracks, path))
    tracks.sort(key=lambda track: track.track_id)
    return CvatTracks(source, tuple(tracks), tuple(actions))


def _track_id(element: ElementTree.Element, problems: list[str], where: str) -> int:
    """CVAT counts tracks from 0; the ID here is one more, since 0 stands for no person."""
    try:
        return int(element.get("id", "")) + 1
    except ValueError:
        problems.append(f"{where}: track: expected a whole number as id, got {element.get('id')!r}")
        return 0


def _repeated(tracks: list[BoxTrack], path: Path) -> list[str]:
    seen = [track.track_id for track in tracks]
    return [f"{path}: track {number - 1} occurs twice" for number in sorted({n for n in seen if seen.count(n) > 1})]


def _boxes(track: ElementTree.Element, problems: list[str], where: str) -> list[_Box]:
    """→ the boxes of a track by frame, each frame once."""
    default = _action(track) or (track.get("label") or "").strip()
    boxes: dict[int, _Box] = {}
    for element in track.iterfind("box"):
        try:
            box = _box(element, default)
        except (TypeError, ValueError) as error:
            problems.append(f"{where}: track {track.get('id')}, box of frame {element.get('frame')}: {error}")
        else:
            boxes[box.frame] = box
    return [boxes[frame] for frame in sorted(boxes)]


def _box(element: ElementTree.Element, default: str) -> _Box:
    corners = np.array([float(element.get(name, "nan")) for name in ("xtl", "ytl", "xbr", "ybr")], np.float32)
    frame, outside = int(element.get("frame", "")) + 1, element.get("outside", "0") == "1"
    if not np.isfinite(corners).all() or (corners[2:] <= corners[:2]).any() or frame < 1:
        raise ValueError("expected frame, xtl < xbr and ytl < ybr")
    return _Box(frame, outside, corners, _action(element) or default)


def _action(element: ElementTree.Element) -> str:
    for attribute in element.iterfind("attribute"):
        if attribute.get("name", "").lower() == ACTION_ATTRIBUTE:
            return (attribute.text or "").strip()
    return ""


def _every_frame(boxes: list[_Box]) -> dict[int, Floats]:
    """The boxes that are inside, and the straight lines between them."""
    found = {box.frame: box.box_xyxy for box in boxes if not box.outside}
    for first, second in pairwise(boxes):
        if not first.outside:
            last = first.box_xyxy if second.outside else second.box_xyxy
            found.update(between(first.box_xyxy, last, first.frame, second.frame))
    return found


def _ranges(track_id: int, boxes: list[_Box]) -> list[ActionRange]:
    """Runs of frames with the same action; a box's action holds until the next box."""
    ranges: list[ActionRange] = []
    for box, following in pairwise([*boxes, None]):
        if box is None or box.outside:
            continue
        end = following.frame - 1 if following is not None else box.frame
        last = ranges[-1] if ranges else None
        if last is not None and last.label == box.action and last.end == box.frame - 1:
            ranges[-1] = ActionRange(track_id, last.start, end, box.action)
        else:
            ranges.append(ActionRange(track_id, box.frame, end, box.action))
    return [item for item in ranges if item.label]
